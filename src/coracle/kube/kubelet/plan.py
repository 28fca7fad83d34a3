"""What to do next for a pod: pure, from the pod, what there is of it, what is known of it, and the present time.

    not there yet     make the sandbox (volumes first), then the init containers in order, then all others at once, but
                      for those that come after one whose postStart hook goes on
    there             start again what has ended and should run, after its back-off; end what its probes condemn
    deleting          end everything within the grace, then take all down, then let the object go
    over              (Succeeded, Failed) end what runs, give the address back, keep the records for their logs
    another round     (see `rounds`) end what runs of the last one, then begin with the init containers

Source: Kubernetes documentation, "Pod Lifecycle"; kubelet's computePodActions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object
from coracle.kube.kubelet import policy, resizing, rounds
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.policy import sidecar
from coracle.kube.kubelet.records import (
    Attempt,
    Present,
    container_of,
    containers_of,
    ephemeral_of,
    init_containers_of,
)
from coracle.kube.kubelet.resizing import Regroup, Resize
from coracle.kube.kubelet.volumes.using import used

KEPT_ATTEMPTS = 2  # the present one, and the last for its state and logs


@dataclass(frozen=True, slots=True)
class Start:
    """Make and start an attempt; `backoff_s` will apply after its end.  `id`: of one that was made but not started.
    `beside`: of a container whose processes it shall see.  `round`: see `rounds`.  `mended`: of its
    sandbox."""

    container: str
    number: int = 0
    backoff_s: float = 0.0
    id: str = ""
    beside: str = ""
    round: int = 0
    mended: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """End a container: SIGTERM, `grace_s`, SIGKILL.  `message`: of the event.  `after`: ids of those whose end its
    SIGTERM waits for, within the same grace."""

    id: str
    container: str
    grace_s: float
    message: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """`sandbox`: make or mend it.  `forget`: ids of records that nobody asks for any more.  `release`: the sandbox may
    go, the records stay.  `finish`: everything may go, and the object.  `look_again_s`: from now, None: never.
    `resize`, `regroup`: what is given other limits while it runs, each container and together."""

    sandbox: bool = False
    start: tuple[Start, ...] = ()
    stop: tuple[Stop, ...] = ()
    forget: tuple[str, ...] = ()
    release: bool = False
    finish: bool = False
    look_again_s: float | None = None
    resize: tuple[Resize, ...] = ()
    regroup: Regroup | None = None


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    now_s: float
    round: int = 0
    mended: int = 0
    start: list[Start] = field(default_factory=list)
    due_s: list[float] = field(default_factory=list)

    def wait_until(self, at_s: float) -> None:
        self.due_s.append(at_s)


def plan(pod: Object, present: Present, notes: Notes, now_s: float) -> Plan:
    """The next steps.  Doing nothing and waiting for a record or for `look_again_s` is a step too."""
    if pod.meta.deleting:
        return _ending(pod, present, now_s)
    if policy.outcome(pod, present, now_s) is not None:
        return _ended(pod, present, notes)
    stands = rounds.current(pod, present)
    if stands.leftover:
        return Plan(stop=tuple(_stop(attempt, 0.0) for attempt in stands.leftover))
    draft = _Draft(now_s, stands.number, present.mended)
    if not (present.sandbox_ready and notes.checked and _has_volumes(pod, notes)):
        if notes.sandbox is not None and notes.sandbox.until_s > now_s:
            draft.wait_until(notes.sandbox.until_s)
            return _done(pod, Plan(), draft)
        return _done(pod, Plan(sandbox=True), draft)
    for container in ephemeral_of(pod):
        _join(pod, container, present, notes, draft)
    outdated, present = _outdated(present), stands.present
    if _initialize(pod, present, notes, draft):
        for container in containers_of(pod):
            _keep(pod, container, present, notes, draft)
            if _hooking(container, present, notes, draft):
                break
    resizes = resizing.resizes(pod, present) if notes.postponed is None else ()
    anew = [_resized(pod, resize) for resize in resizes if resize.restart]
    stops = (*_condemned(pod, present, notes), *_replaced(pod, present), *anew)
    in_place = tuple(resize for resize in resizes if not resize.restart)
    regroup = resizing.regroup(pod, present) if notes.postponed is None else None
    if notes.resize_error:
        draft.wait_until(draft.now_s + resizing.RETRY_S)
    return _done(pod, Plan(stop=stops, forget=outdated, resize=in_place, regroup=regroup), draft)


def _has_volumes(pod: Object, notes: Notes) -> bool:
    """An ephemeral container may come with one that nobody has used before."""
    return not pod.spec.get("ephemeralContainers") or used(pod) <= set(notes.volumes or ())


def _hooking(container: Mapping[str, Any], present: Present, notes: Notes, draft: _Draft) -> bool:
    """Whether those after `container` wait for its postStart hook."""
    if "postStart" not in (container.get("lifecycle") or {}):
        return False
    last = present.latest(container["name"])
    starts = bool(draft.start) and draft.start[-1].container == container["name"]
    return starts or (last is not None and last.id in notes.hooking)


def _initialize(pod: Object, present: Present, notes: Notes, draft: _Draft) -> bool:
    """Bring the init containers on by one step.  True when the others may start."""
    done = policy.initialized(pod, present, notes)
    for container in init_containers_of(pod):
        if done and not sidecar(container):
            continue
        _keep(pod, container, present, notes, draft)
        if not done and not policy.init_done(container, present, notes):
            return False
    return True


def _join(pod: Object, container: Mapping[str, Any], present: Present, notes: Notes, draft: _Draft) -> None:
    """Start an ephemeral container, once; it waits for the one whose processes it shall see."""
    begun, target = present.latest(container["name"]), container.get("targetContainerName")
    seen = present.latest(target) if target else None
    if (begun is not None and begun.state != "created") or (target and (seen is None or seen.state != "running")):
        return
    _keep(pod, container, present, notes, draft)
    if seen is not None and draft.start and draft.start[-1].container == container["name"]:
        draft.start[-1] = replace(draft.start[-1], beside=seen.id)


def _keep(pod: Object, container: Mapping[str, Any], present: Present, notes: Notes, draft: _Draft) -> None:
    """Start `container` if it does not run and should, and may by now."""
    name = container["name"]
    last = present.latest(name)
    if last is not None and last.state == "running":
        return
    if last is not None and last.ended and not policy.restarts(pod, container, last):
        return
    waiting, past = notes.waiting.get(name), present.past.get(name)
    asked = past is not None and bool(policy.action(container, past))  # for this round: then its back-off counts
    before = last if last is not None else past if asked else None
    after_s = policy.restart_at_s(before, container) if before is not None and before.ended else 0.0
    at_s = max(after_s, waiting.until_s if waiting else 0.0)
    if at_s > draft.now_s:
        draft.wait_until(at_s)
    elif before is not None and before.ended:
        backoff_s = 0.0 if policy.changed(container, before) else policy.next_backoff_s(before)
        draft.start.append(Start(name, before.number + 1, backoff_s, round=draft.round))
    elif last is not None:
        draft.start.append(Start(name, last.number, last.backoff_s, last.id))
    elif past is not None:
        draft.start.append(Start(name, past.number + 1, past.backoff_s, round=draft.round))
    else:
        draft.start.append(Start(name, round=draft.round))


def _condemned(pod: Object, present: Present, notes: Notes) -> tuple[Stop, ...]:
    found = ((attempt, notes.health_of(attempt.id).failed) for attempt in present.all if attempt.state == "running")
    return tuple(_condemn(pod, attempt, failed) for attempt, failed in found if failed)


def _condemn(pod: Object, attempt: Attempt, failed: str) -> Stop:
    container = container_of(pod, attempt.container)
    own = (container.get(f"{failed.removesuffix(' probe')}Probe") or {}).get("terminationGracePeriodSeconds")
    grace_s = float(own if own is not None else attempt.grace_s)
    if not failed.endswith("probe"):
        return Stop(attempt.id, attempt.container, grace_s, "FailedPostStartHook")
    again = ", will be restarted" if policy.restarts(pod, container, replace(attempt, exit_code=137)) else ""
    return Stop(attempt.id, attempt.container, grace_s, f"Container {attempt.container} failed {failed}{again}")


def _replaced(pod: Object, present: Present) -> list[Stop]:
    """Those that run from another image than is asked for by now."""
    grace_s, stops = float(pod.spec.get("terminationGracePeriodSeconds", 30)), []
    for container in [*filter(sidecar, init_containers_of(pod)), *containers_of(pod)]:
        last = present.latest(container["name"])
        if last is not None and last.state == "running" and policy.changed(container, last):
            said = f"Container {last.container} definition changed, will be restarted"
            stops.append(Stop(last.id, last.container, grace_s, said))
    return stops


def _resized(pod: Object, resize: Resize) -> Stop:
    grace_s = float(pod.spec.get("terminationGracePeriodSeconds", 30))
    return Stop(resize.id, resize.container, grace_s, f"Container {resize.container} resize requires restart")


def _outdated(present: Present) -> tuple[str, ...]:
    return tuple(
        attempt.id for attempts in present.attempts.values() for attempt in attempts[:-KEPT_ATTEMPTS] if attempt.ended
    )


def grace_left_s(pod: Object, now_s: float) -> float:
    """Of a pod that is being deleted.  deletionTimestamp has whole seconds, hence one more."""
    grace_s = float(pod.meta.grace_s if pod.meta.grace_s is not None else 30)
    return max(0.0, min(grace_s, from_rfc3339(pod.meta.deleting) + 1 - now_s))


def _ending(pod: Object, present: Present, now_s: float) -> Plan:
    stops = _stops(pod, present, grace_left_s(pod, now_s))
    return Plan(stop=stops, finish=not stops)


def _ended(pod: Object, present: Present, notes: Notes) -> Plan:
    own_s = float(pod.spec.get("terminationGracePeriodSeconds", 30))
    stops = _stops(pod, present, own_s if notes.end_grace_s is None else min(own_s, notes.end_grace_s))
    released = policy.over(pod) and not stops and present.sandbox is not None
    return Plan(stop=stops, release=released, forget=_outdated(present))


def _stops(pod: Object, present: Present, grace_s: float) -> tuple[Stop, ...]:
    """Ordinary containers first; then the sidecars, the last one first."""
    living = {attempt.container: attempt for attempt in present.all if attempt.state == "running"}
    beside = [living.pop(one["name"]) for one in init_containers_of(pod) if sidecar(one) and one["name"] in living]
    stops, ended = [], tuple(attempt.id for attempt in living.values())
    for attempt in living.values():
        stops.append(_stop(attempt, grace_s))
    for attempt in reversed(beside):
        stops.append(_stop(attempt, grace_s, ended))
        ended = (*ended, attempt.id)
    return tuple(stops)


def _stop(attempt: Attempt, grace_s: float, after: tuple[str, ...] = ()) -> Stop:
    return Stop(attempt.id, attempt.container, grace_s, f"Stopping container {attempt.container}", after)


def _done(pod: Object, begun: Plan, draft: _Draft) -> Plan:
    last_s = policy.deadline_s(pod)
    due: Iterable[float] = [*draft.due_s, *([last_s] if last_s is not None else [])]
    soonest_s = min(due, default=None)
    again_s = None if soonest_s is None else max(soonest_s - draft.now_s, 0.001)
    return replace(begun, start=tuple(replace(one, mended=draft.mended) for one in draft.start), look_again_s=again_s)
