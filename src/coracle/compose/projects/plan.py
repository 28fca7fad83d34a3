"""What is to be done about a project now; pure.

    networks, volumes -> containers made, made anew, taken away -> stopped, started in the order of dependencies

Steps that may be done at the same time come together; what has to wait comes with a later plan, when what it waits for
is so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from coracle.compose import order
from coracle.compose.create.containers import joined_services
from coracle.compose.projects import conditions
from coracle.compose.projects.fitting import Fitting
from coracle.compose.projects.objects import Service, Spec
from coracle.compose.projects.seen import Present, Seen
from coracle.compose.projects.steps import (
    MAKING,
    Create,
    Plan,
    Recreate,
    Remove,
    Restart,
    Start,
    Step,
    Stop,
)
from coracle.compose.projects.things import Things


def plan(
    spec: Spec,
    present: Present,
    ended: Mapping[str, int],
    *,
    given_up: Collection[str] = (),
    busy: Collection[str] = (),
) -> Plan:
    """What makes `spec` true of a project that is not going.  `ended`: as in the status; the rest as in `going`."""
    found = _Planning(Things(spec, present, busy), spec, present, ended).whole()
    return replace(found, steps=tuple(step for step in found.steps if step.subject not in given_up))


class _Planning:
    def __init__(self, things: Things, spec: Spec, present: Present, ended: Mapping[str, int]) -> None:
        self._things, self._spec, self._present = things, spec, present
        self._fitting = Fitting(spec, present, ended)
        self._before, self._after = order.dependencies(spec.known), order.dependents(spec.known)
        self._restarted = order.restarted_with(spec.known)
        self._late = things.stale
        self._waits: dict[str, str] = {}
        self._failures: dict[str, None] = {}
        self._doubts: dict[str, None] = {}
        self._skipped: dict[tuple[str, str], None] = {}

    def whole(self) -> Plan:
        steps = [*self._things.steps, *self._discarded(), *self._undone()]
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
            tuple(self._doubts),
            tuple(self._skipped),
        )

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

    def _undone(self) -> list[Step]:
        """What came with a declaration that was taken back: containers, then what they used."""
        undo = self._spec.undo
        if undo is None:
            return []
        steps: list[Step] = [
            Remove(one, volumes=True)
            for one in self._present.containers
            if one.id not in undo.containers and one.service not in self._spec.services and not one.one_off
        ]
        self._late = self._late or bool(steps)
        return steps or self._things.undone(undo)

    def _made(self, name: str) -> list[Step]:
        fit = self._fitting.of(name)
        if not fit.known:
            self._late = True
        if not fit.steps:
            return []
        given = self._spec.known[name]
        if self._things.lack(given) or not self._linked_are_there(given) or self._is_leant_on(name, fit.steps):
            self._late = True
            return [step for step in fit.steps if not isinstance(step, (Create, Recreate))]
        return fit.steps

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
        if not starts or self._things.lack(self._spec.known[name]) or not self._may_start(name):
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
        if found.doubtful and conditions.is_required(how):
            self._doubts[found.why] = None
            return False
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
