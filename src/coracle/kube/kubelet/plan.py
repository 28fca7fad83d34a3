"""What to do next for a pod: pure, from the pod, what there is of it, what is known of it, and the present time.

    not there yet     make the sandbox (volumes first), then the init containers in order, then all others at once
    there             start again what has ended and should run, after its back-off; end what its probes condemn
    deleting          end everything within the grace, then take all down, then let the object go
    over              (Succeeded, Failed) end what runs, give the address back, keep the records for their logs

Source: Kubernetes documentation, "Pod Lifecycle"; kubelet's computePodActions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.records import Attempt, Present, containers_of, init_containers_of

FIRST_BACKOFF_S = 10.0
LONGEST_BACKOFF_S = 300.0
STABLE_S = 600.0  # one that ran so long starts afresh
KEPT_ATTEMPTS = 2  # the present one, and the last for its state and logs


@dataclass(frozen=True, slots=True)
class Start:
    """Make and start an attempt; `backoff_s` will apply after its end.  `id`: of one that was made but not started."""

    container: str
    number: int = 0
    backoff_s: float = 0.0
    id: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """End a container: SIGTERM, `grace_s`, SIGKILL.  `message`: of the event."""

    id: str
    container: str
    grace_s: float
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`sandbox`: make or mend it.  `forget`: ids of records that nobody asks for any more.  `release`: the sandbox may
    go, the records stay.  `finish`: everything may go, and the object.  `look_again_s`: from now, None: never."""

    sandbox: bool = False
    start: tuple[Start, ...] = ()
    stop: tuple[Stop, ...] = ()
    forget: tuple[str, ...] = ()
    release: bool = False
    finish: bool = False
    look_again_s: float | None = None


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    now_s: float
    start: list[Start] = field(default_factory=list)
    due_s: list[float] = field(default_factory=list)

    def wait_until(self, at_s: float) -> None:
        self.due_s.append(at_s)


def plan(pod: Object, present: Present, notes: Notes, now_s: float) -> Plan:
    """The next steps.  Doing nothing and waiting for a record or for `look_again_s` is a step too."""
    if pod.meta.deleting:
        return _ending(pod, present, now_s)
    if over(pod) or past_deadline(pod, now_s):
        return _ended(pod, present)
    draft = _Draft(now_s)
    if not (present.sandbox_ready and notes.checked):
        if notes.sandbox is not None and notes.sandbox.until_s > now_s:
            draft.wait_until(notes.sandbox.until_s)
            return _done(pod, Plan(), draft)
        return _done(pod, Plan(sandbox=True), draft)
    if _initialize(pod, present, notes, draft):
        for container in containers_of(pod):
            _keep(pod, container, present, notes, draft)
    return _done(pod, Plan(stop=_condemned(pod, present, notes), forget=_outdated(present)), draft)


def over(pod: Object) -> bool:
    return pod.status.get("phase") in ("Succeeded", "Failed")


def deadline_s(pod: Object) -> float | None:
    """When `activeDeadlineSeconds` are over (seconds since 1970)."""
    allowed, begun = pod.spec.get("activeDeadlineSeconds"), pod.status.get("startTime")
    return from_rfc3339(begun) + allowed if allowed is not None and begun else None


def past_deadline(pod: Object, now_s: float) -> bool:
    at = deadline_s(pod)
    return at is not None and now_s >= at


def sidecar(container: Mapping[str, Any]) -> bool:
    """An init container that stays beside the others."""
    return container.get("restartPolicy") == "Always"


def restarts(pod: Object, container: Mapping[str, Any], attempt: Attempt) -> bool:
    """Whether an ended container is to be started again."""
    if sidecar(container):
        return True
    policy = pod.spec.get("restartPolicy", "Always")
    is_init = any(init["name"] == container["name"] for init in init_containers_of(pod))
    if attempt.succeeded:
        return bool(policy == "Always") and not is_init
    return bool(policy != "Never")


def next_backoff_s(last: Attempt) -> float:
    """What applies after the end of the attempt that follows `last`: 10 s, doubling to 5 min."""
    if last.backoff_s == 0 or _ran_s(last) >= STABLE_S:
        return FIRST_BACKOFF_S
    return min(last.backoff_s * 2, LONGEST_BACKOFF_S)


def _ran_s(attempt: Attempt) -> float:
    return attempt.finished_s - attempt.started_s if attempt.started_at and attempt.finished_at else 0.0


def restart_at_s(last: Attempt) -> float:
    """When the attempt after `last` may begin (seconds since 1970)."""
    return last.finished_s if _ran_s(last) >= STABLE_S else last.finished_s + last.backoff_s


def initialized(pod: Object, present: Present, notes: Notes) -> bool:
    """Whether every init container has done its part."""
    if any(container["name"] in present.attempts for container in containers_of(pod)):
        return True
    return all(_init_done(container, present, notes) for container in init_containers_of(pod))


def _init_done(container: Mapping[str, Any], present: Present, notes: Notes) -> bool:
    last = present.latest(container["name"])
    if last is None:
        return False
    if not sidecar(container):
        return last.succeeded
    return last.state == "running" and started(container, last, notes)


def started(container: Mapping[str, Any], attempt: Attempt, notes: Notes) -> bool:
    """Running, and through its startup probe if it has one."""
    if attempt.state != "running":
        return False
    return "startupProbe" not in container or notes.health_of(attempt.id).started is True


def _initialize(pod: Object, present: Present, notes: Notes, draft: _Draft) -> bool:
    """Bring the init containers on by one step.  True when the others may start."""
    done = initialized(pod, present, notes)
    for container in init_containers_of(pod):
        if done and not sidecar(container):
            continue
        _keep(pod, container, present, notes, draft)
        if not done and not _init_done(container, present, notes):
            return False
    return True


def _keep(pod: Object, container: Mapping[str, Any], present: Present, notes: Notes, draft: _Draft) -> None:
    """Start `container` if it does not run and should, and may by now."""
    name = container["name"]
    last = present.latest(name)
    if last is not None and last.state == "running":
        return
    if last is not None and last.ended and not restarts(pod, container, last):
        return
    waiting = notes.waiting.get(name)
    at_s = max(restart_at_s(last) if last is not None and last.ended else 0.0, waiting.until_s if waiting else 0.0)
    if at_s > draft.now_s:
        draft.wait_until(at_s)
    elif last is None:
        draft.start.append(Start(name))
    elif last.ended:
        draft.start.append(Start(name, last.number + 1, next_backoff_s(last)))
    else:
        draft.start.append(Start(name, last.number, last.backoff_s, last.id))


def _condemned(pod: Object, present: Present, notes: Notes) -> tuple[Stop, ...]:
    stops = []
    for attempt in present.all:
        failed = notes.health_of(attempt.id).failed
        if attempt.state == "running" and failed:
            said = f"Container {attempt.container} failed {failed}, will be restarted"
            stops.append(Stop(attempt.id, attempt.container, _probe_grace_s(pod, attempt, failed), said))
    return tuple(stops)


def _probe_grace_s(pod: Object, attempt: Attempt, failed: str) -> float:
    everyone = [*containers_of(pod), *init_containers_of(pod)]
    container = next((one for one in everyone if one["name"] == attempt.container), {})
    own = (container.get(f"{failed.removesuffix(' probe')}Probe") or {}).get("terminationGracePeriodSeconds")
    return float(own if own is not None else attempt.grace_s)


def _outdated(present: Present) -> tuple[str, ...]:
    return tuple(
        attempt.id for attempts in present.attempts.values() for attempt in attempts[:-KEPT_ATTEMPTS] if attempt.ended
    )


def grace_left_s(pod: Object, now_s: float) -> float:
    """Of a pod that is being deleted.  deletionTimestamp has whole seconds, hence one more."""
    grace_s = float(pod.meta.grace_s if pod.meta.grace_s is not None else 30)
    return max(0.0, min(grace_s, from_rfc3339(pod.meta.deleting) + 1 - now_s))


def _ending(pod: Object, present: Present, now_s: float) -> Plan:
    living = [attempt for attempt in present.all if attempt.state == "running"]
    return Plan(stop=_stops(pod, living, grace_left_s(pod, now_s)), finish=not living)


def _ended(pod: Object, present: Present) -> Plan:
    living = [attempt for attempt in present.all if attempt.state == "running"]
    grace_s = float(pod.spec.get("terminationGracePeriodSeconds", 30))
    stops = _stops(pod, living, grace_s)
    return Plan(stop=stops, release=over(pod) and not living and present.sandbox is not None, forget=_outdated(present))


def _stops(pod: Object, living: Sequence[Attempt], grace_s: float) -> tuple[Stop, ...]:
    """Sidecars end after the others."""
    beside = {container["name"] for container in init_containers_of(pod) if sidecar(container)}
    first = [attempt for attempt in living if attempt.container not in beside]
    return tuple(
        Stop(attempt.id, attempt.container, grace_s, f"Stopping container {attempt.container}")
        for attempt in first or living
    )


def _done(pod: Object, begun: Plan, draft: _Draft) -> Plan:
    last_s = deadline_s(pod)
    due: Iterable[float] = [*draft.due_s, *([last_s] if last_s is not None else [])]
    soonest_s = min(due, default=None)
    again_s = None if soonest_s is None else max(soonest_s - draft.now_s, 0.001)
    return replace(begun, start=tuple(draft.start), look_again_s=again_s)
