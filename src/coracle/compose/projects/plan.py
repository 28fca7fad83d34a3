"""What is to be done about a project now; pure.

    networks, volumes -> containers made, made anew, taken away -> stopped, started in the order of dependencies

Steps that may be done at the same time come together; what has to wait comes with a later plan, when what it waits for
is so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.compose import order
from coracle.compose.create import labels
from coracle.compose.create.containers import joined_services
from coracle.compose.create.networks import network_body
from coracle.compose.projects import conditions
from coracle.compose.projects.fitting import Fitting
from coracle.compose.projects.objects import Service, Spec
from coracle.compose.projects.seen import Present, Seen
from coracle.compose.projects.steps import (
    MAKING,
    Create,
    DropNetwork,
    DropVolume,
    MakeNetwork,
    MakeVolume,
    Plan,
    Recreate,
    Remove,
    Restart,
    Start,
    Step,
    Stop,
)


def plan(spec: Spec, present: Present, ended: Mapping[str, int]) -> Plan:
    """What makes `spec` true of a project that is not going.  `ended`: as in the status."""
    return _Planning(spec, present, ended).whole()


class _Planning:
    def __init__(self, spec: Spec, present: Present, ended: Mapping[str, int]) -> None:
        self._spec, self._present = spec, present
        self._fitting = Fitting(spec, present, ended)
        self._before, self._after = order.dependencies(spec.known), order.dependents(spec.known)
        self._restarted = order.restarted_with(spec.known)
        self._networks: list[Step] = []
        self._volumes: list[Step] = []
        self._late = False
        self._waits: dict[str, str] = {}
        self._failures: dict[str, None] = {}
        self._skipped: dict[tuple[str, str], None] = {}

    def whole(self) -> Plan:
        if not self._spec.borrowed:
            self._plan_networks()
            self._plan_volumes()
        steps = [*self._networks, *self._volumes, *self._discarded(), *self._undone()]
        for name in self._spec.services:
            steps += self._made(name)
        making = self._late or any(isinstance(step, MAKING) for step in steps)
        for name, service in self._spec.services.items():
            steps += self._run(name, service, starts=not (making and self._spec.trial))
        unique = {step.subject: step for step in reversed(steps)}  # the first of each subject
        return Plan(
            tuple(reversed(unique.values())),
            self._late or len(unique) < len(steps),
            tuple(self._waits.items()),
            tuple(self._failures),
            tuple(self._skipped),
        )

    # -- networks and volumes ------------------------------------------------------------------------------------

    def _used(self, kind: str) -> set[str]:
        found: set[str] = set()
        for name, service in self._spec.services.items():
            if service.want == "stopped" or not service.hash:
                continue
            given = self._spec.known[name]
            if kind == "networks":
                found |= set(given.get("networks") or ())
            else:
                found |= {m["source"] for m in given.get("volumes") or () if m["type"] == "volume" and m.get("source")}
        return found

    def _plan_networks(self) -> None:
        present = {network.name: network for network in self._present.networks}
        for key in sorted(self._used("networks")):
            body = network_body(self._spec.model, key)
            if body is None:
                continue
            network = present.get(body["Name"])
            if network is None:
                self._networks.append(MakeNetwork(key))
            elif network.hash and network.hash != body["Labels"][labels.HASH]:
                on_it = [one for one in self._present.containers if one.alive and network.name in one.networks]
                self._networks += [Stop(one) for one in on_it] or [DropNetwork(network)]
                self._late = True

    def _plan_volumes(self) -> None:
        for key in sorted(self._used("volumes")):
            volume = self._spec.model["volumes"][key]
            if not volume.get("external") and volume["name"] not in self._present.volumes:
                self._volumes.append(MakeVolume(key))

    def _undone(self) -> list[Step]:
        """What came with a declaration that was taken back."""
        undo, steps = self._spec.undo, list[Step]()
        if undo is None:
            return steps
        steps += [
            Remove(one, volumes=True)
            for one in self._present.containers
            if one.id not in undo.containers and one.service not in self._spec.services and not one.one_off
        ]
        if steps:
            self._late = True
            return steps
        kept = {name for name, _ in self._named("networks")} | set(undo.networks)
        steps += [DropNetwork(network) for network in self._present.networks if network.name not in kept]
        kept = {name for name, _ in self._named("volumes")} | set(undo.volumes)
        return steps + [DropVolume(name, key) for name, key in self._present.volumes.items() if name not in kept]

    def _named(self, kind: str) -> list[tuple[str, Any]]:
        return [(thing["name"], thing) for thing in (self._spec.model.get(kind) or {}).values()]

    # -- containers that come and go -----------------------------------------------------------------------------

    def _discarded(self) -> list[Step]:
        doomed = {one.id: one for one in self._present.containers if one.id in self._spec.discard}
        services = {one.service for one in doomed.values()}
        steps: list[Step] = []
        for id, one in doomed.items():
            if self._after.get(one.service, frozenset()) & services:
                self._late = True
            else:
                steps.append(Remove(one, volumes=self._spec.discard[id]))
        return steps

    def _made(self, name: str) -> list[Step]:
        fit = self._fitting.of(name)
        if not fit.known:
            self._late = True
        if not fit.steps:
            return []
        given = self._spec.known[name]
        if self._lacks(given) or not self._linked_are_there(given) or self._is_leant_on(name, fit.steps):
            self._late = True
            return [step for step in fit.steps if not isinstance(step, (Create, Recreate))]
        return fit.steps

    def _lacks(self, given: Mapping[str, Any]) -> bool:
        """Whether a network or volume of the service is still to be made."""
        networks = {step.key for step in self._networks if isinstance(step, MakeNetwork)}
        stale = any(not isinstance(step, MakeNetwork) for step in self._networks)
        volumes = {step.key for step in self._volumes if isinstance(step, MakeVolume)}
        sources = {mount.get("source") for mount in given.get("volumes") or ()}
        return stale or bool(networks & set(given.get("networks") or ())) or bool(volumes & sources)

    def _linked_are_there(self, given: Mapping[str, Any]) -> bool:
        named = {text.partition(":")[0] for text in given.get("links") or ()} | joined_services(given)
        return all(self._fitting.of(other).done for other in named if other in self._spec.services)

    def _is_leant_on(self, name: str, steps: list[Step]) -> bool:
        """Whether containers that start anew with this service's have still to be stopped."""
        if not any(isinstance(step, Recreate) for step in steps):
            return False
        others = (other for other in self._restarted.get(name, ()) if other in self._spec.services)
        return any(one.alive and _is_meant(one, self._spec.services[o].ends) for o in others for one in self._kept(o))

    def _kept(self, name: str) -> list[Seen]:
        return self._fitting.containers(name)

    # -- containers that run and end -----------------------------------------------------------------------------

    def _run(self, name: str, service: Service, *, starts: bool) -> list[Step]:
        if not self._fitting.of(name).known:
            return self._ended(name, service)
        steps = self._ended(name, service)
        if service.want != "running":
            return steps
        for one in self._kept(name):
            if one.alive and _is_meant(one, service.again) and not _is_meant(one, service.ends):
                steps += self._restarts(name, one)
            elif is_due(one, service):
                steps += self._starts(name, one, starts=starts)
        return steps

    def _ended(self, name: str, service: Service) -> list[Step]:
        """Those that are to stop, once nothing that depends on them and is to stop too runs."""
        doomed = [one for one in self._kept(name) if one.alive and _is_meant(one, service.ends)]
        for other in self._after.get(name, ()) if doomed else ():
            theirs = self._spec.services.get(other)
            if theirs and any(one.alive and _is_meant(one, theirs.ends) for one in self._kept(other)):
                self._late = True
                return []
        return [Stop(one) for one in doomed]

    def _restarts(self, name: str, one: Seen) -> list[Step]:
        for other in self._before.get(name, ()):
            theirs = self._spec.services.get(other)
            if theirs and any(_is_meant(before, theirs.again) for before in self._kept(other)):
                self._late = True
                return []
        return [Restart(one)]

    def _starts(self, name: str, one: Seen, *, starts: bool) -> list[Step]:
        if not starts or not self._may_start(name):
            self._late = True
            return []
        return [Start(one)]

    def _may_start(self, name: str) -> bool:
        service, given = self._spec.services[name], self._spec.known[name]
        if service.alone:
            return True
        waits = (given.get("depends_on") or {}).items()
        answers = [self._is_so(name, other, how) for other, how in waits]  # each is told of
        return all(answers)

    def _is_so(self, name: str, other: str, how: Mapping[str, Any]) -> bool:
        declared = self._spec.services.get(other)
        if other not in self._spec.known or (declared and declared.scale == 0):
            return True
        containers = self._kept(other)
        if declared and self._is_unfinished(other, declared, containers):
            self._waiting(how, containers, "Waiting")
            return False
        gone = self._fitting.gone(other) if declared else []
        if not containers and not gone:
            return self._fails(f"{name} is missing dependency {other}", other, how)
        found = conditions.verdict(how["condition"], other, [*containers, *gone])
        self._waiting(how, containers, found.word)
        return self._fails(found.why, other, how) if found.answer == "never" else found.answer == "yes"

    def _is_unfinished(self, name: str, service: Service, containers: list[Seen]) -> bool:
        if not self._fitting.of(name).done:
            return True
        if service.want != "running":
            return False
        return any(is_due(one, service) or (one.alive and _is_meant(one, service.again)) for one in containers)

    def _waiting(self, how: Mapping[str, Any], containers: list[Seen], word: str) -> None:
        if how["condition"] != conditions.STARTED and word:
            self._waits.update({one.title: word for one in containers})

    def _fails(self, why: str, other: str, how: Mapping[str, Any]) -> bool:
        """Whether the dependency is dispensed with."""
        if conditions.is_required(how):
            self._failures[why] = None
            return False
        said = f"Skipped: {conditions.optional(other, why)}"
        self._skipped.update({(one.title, said): None for one in self._kept(other)})
        return True


def _is_meant(one: Seen, runs: Mapping[str, str]) -> bool:
    return runs.get(one.id) == one.run


def is_due(one: Seen, service: Service) -> bool:
    """Whether a container that does not run is to start: it never ran, or its run counts as over, or was cut off."""
    if one.alive:
        return False
    return not one.run or one.state == "created" or one.lost or _is_meant(one, service.again)
