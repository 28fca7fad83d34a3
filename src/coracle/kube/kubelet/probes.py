"""Probes: whether a container has started, is ready, is alive.

Each probe of each running container is a chore that sleeps between its looks.  What it finds goes into the pod's notes,
and the pod's loop is woken only when that changes.  The startup probe comes first; the others begin when it has passed.

A container that is not ready yet is looked at more often than its period says, so that it serves as soon as it can: at
first after a tenth of a second (a program: four tenths), then in doubling steps up to the period.  Nothing is said of
what these looks find.

Source: Kubernetes documentation, "Configure Liveness, Readiness and Startup Probes".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from coracle.core.clock import Clock
from coracle.core.object import Object
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.actions import ActionErrored, ActionFailed, Actions, Where
from coracle.kube.kubelet.chores import Chores
from coracle.kube.kubelet.notes import Health, Notes
from coracle.kube.kubelet.records import Attempt, Present, containers_of, event_field, init_containers_of

Sort = Literal["startup", "liveness", "readiness"]
EARLY_S, EARLY_EXEC_S = 0.1, 0.4  # a program costs a hundred times as much as a connection
RESULTS = {True: "successful", False: "failed", None: "unknown"}
SORTS: tuple[Sort, ...] = ("startup", "liveness", "readiness")


@dataclass(frozen=True, slots=True)
class Streak:
    """How often in a row a probe has found the same."""

    passed: bool
    times: int = 0

    def after(self, passed: bool) -> Streak:
        return Streak(passed, self.times + 1 if passed == self.passed else 1)


def found(sort: Sort, health: Health, streak: Streak, probe: Mapping[str, Any]) -> Health:
    """What is known of the container after one more look; pure."""
    enough = probe.get("successThreshold", 1) if streak.passed else probe.get("failureThreshold", 3)
    if streak.times < enough:
        return health
    match sort:
        case "readiness":
            return replace(health, ready=streak.passed)
        case "startup" if streak.passed:
            return replace(health, started=True)
    return health if streak.passed else replace(health, failed=f"{sort} probe")


class Prober:
    """Keeps a chore for every probe that should look now."""

    def __init__(self, actions: Actions, chores: Chores, recorder: EventRecorder, clock: Clock) -> None:
        self._actions, self._chores = actions, chores
        self._recorder, self._clock = recorder, clock

    def follow(self, pod: Object, present: Present, notes: Notes, address: str = "") -> None:
        """Begin the probes of what runs, end those of what does not.  `address`: where the pod is reached."""
        wanted: dict[str, tuple[Sort, Where, Attempt]] = {}
        for container in [*containers_of(pod), *init_containers_of(pod)]:
            last = present.latest(container["name"])
            if last is None or last.state != "running" or last.id in notes.hooking:
                continue
            for sort in due(container, notes.health_of(last.id), ending=bool(pod.meta.deleting)):
                wanted[f"probe/{sort}/{last.id}"] = (sort, Where(pod, container, last.id, address), last)
        for name in self._chores.names(pod.meta.uid):
            if name.startswith("probe/") and name not in wanted:
                self._chores.cancel(pod.meta.uid, name)
        for name, (sort, where, attempt) in wanted.items():
            self._begin(name, sort, where, attempt, notes)

    def _begin(self, name: str, sort: Sort, where: Where, attempt: Attempt, notes: Notes) -> None:
        pod = where.pod
        self._chores.begin(pod.meta.uid, pod.key, name, lambda: self._probe(sort, where, attempt.started_s, notes))

    async def _probe(self, sort: Sort, where: Where, started_s: float, notes: Notes) -> None:
        probe = where.container[f"{sort}Probe"]
        period_s = float(probe.get("periodSeconds", 10))
        early_s = EARLY_EXEC_S if "exec" in probe else EARLY_S
        streak = Streak(passed=True)
        await self._clock.sleep(max(0.0, started_s + probe.get("initialDelaySeconds", 0) - self._clock.now_s()))
        while True:
            early = sort == "readiness" and early_s < period_s and not notes.health_of(where.id).ready
            passed = await self._look(sort, probe, where, quiet=early)
            if passed or not early:
                notes.looks[where.container["name"], sort.capitalize(), RESULTS[passed]] += 1
            if passed is not None:
                streak = streak.after(passed)
                before = notes.health_of(where.id)
                after = found(sort, before, streak, probe)
                if after != before:
                    notes.health[where.id] = after
                    self._chores.wake(where.pod.key)
                    if sort == "startup" or after.failed:
                        return
            await self._clock.sleep(early_s if early and not passed else period_s)
            early_s *= 2

    async def _look(self, sort: Sort, probe: Mapping[str, Any], where: Where, *, quiet: bool) -> bool | None:
        """Whether it passes; None where that could not be found out."""
        name = sort.capitalize()
        try:
            warning = await self._actions.probe(probe, where)
        except ActionErrored as error:
            self._say(where, "Unhealthy", f"{name} probe errored and resulted in unknown state: {error}", quiet)
            return None
        except ActionFailed as error:
            self._say(where, "Unhealthy", f"{name} probe failed: {error}", quiet)
            return False
        if warning:
            self._say(where, "ProbeWarning", f"{name} probe warning: {warning}", quiet)
        return True

    def _say(self, where: Where, reason: str, message: str, quiet: bool) -> None:
        if not quiet:
            field = event_field(where.pod, where.container["name"])
            self._recorder.emit(where.pod, "Warning", reason, message, field=field)


def due(container: Mapping[str, Any], health: Health, *, ending: bool) -> list[Sort]:
    """Which probes look now.  What is ending, with its pod or by itself, keeps its readiness probe only."""
    ending = ending or bool(health.failed)
    if "startupProbe" in container and not health.started:
        return [] if ending else ["startup"]
    asked: list[Sort] = [sort for sort in ("liveness", "readiness") if f"{sort}Probe" in container]
    return [sort for sort in asked if sort == "readiness" or not ending]
