"""When a container is started again, how long that waits, and when a pod is over: pure.

    restart      by the container's own rules, then its own policy, then the pod's
    back-off     at once the first time, then 10 s, doubling to 5 min; one that ran for ten minutes starts afresh
    outcome      a pod is over when its deadline has passed, an init container has failed for good, or no ordinary
                 container will run again; sidecars do not count

Source: Kubernetes documentation, "Pod Lifecycle", "Sidecar Containers"; kubelet's getPhase and
ContainerShouldRestart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.records import Attempt, Present, containers_of, init_containers_of, is_init

FIRST_BACKOFF_S = 10.0
LONGEST_BACKOFF_S = 300.0
STABLE_S = 600.0  # one that ran so long starts afresh
RESTART_ALL = "RestartAllContainers"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a pod has ended, as its status says it."""

    phase: str
    reason: str = ""
    message: str = ""


SUCCEEDED, FAILED = Outcome("Succeeded"), Outcome("Failed")
TOO_LATE = Outcome("Failed", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


# -- restarts -------------------------------------------------------------------------------------------------------


def sidecar(container: Mapping[str, Any]) -> bool:
    """Of an init container: it stays beside the others."""
    return container.get("restartPolicy") == "Always"


def restarts(pod: Object, container: Mapping[str, Any], attempt: Attempt) -> bool:
    """Whether an ended container is to be started again."""
    init = is_init(pod, container["name"])
    if changed(container, attempt) and (sidecar(container) or not init):
        return True
    if init and attempt.succeeded and not sidecar(container):
        return False
    if action(container, attempt):
        return True
    match container.get("restartPolicy") or pod.spec.get("restartPolicy", "Always"):
        case "Never":
            return False
        case "OnFailure":
            return not attempt.succeeded
    return True


def changed(container: Mapping[str, Any], attempt: Attempt) -> bool:
    """Whether the container asks for another image by now: it is replaced, whatever its policy."""
    return bool(attempt.image) and attempt.image != container.get("image")


def action(container: Mapping[str, Any], attempt: Attempt) -> str:
    """What the first of the container's restart rules that fits says: Restart, RestartAllContainers; "" where none."""
    rules = container.get("restartPolicyRules") or ()
    if not rules or not attempt.ended:
        return ""
    return next((str(rule["action"]) for rule in rules if _matches(rule, attempt)), "")


def _matches(rule: Mapping[str, Any], attempt: Attempt) -> bool:
    codes = rule.get("exitCodes") or {}
    inside = attempt.exit_code in (codes.get("values") or ())
    return inside == (codes.get("operator") == "In")


def next_backoff_s(last: Attempt) -> float:
    """What applies after the end of the attempt that follows `last`: 10 s, doubling to 5 min."""
    if last.backoff_s == 0 or _ran_s(last) >= STABLE_S:
        return FIRST_BACKOFF_S
    return min(last.backoff_s * 2, LONGEST_BACKOFF_S)


def _ran_s(attempt: Attempt) -> float:
    return attempt.finished_s - attempt.started_s if attempt.started_at and attempt.finished_at else 0.0


def restart_at_s(last: Attempt, container: Mapping[str, Any]) -> float:
    """When the attempt after `last` may begin (seconds since 1970): at once where it has another image."""
    at_once = _ran_s(last) >= STABLE_S or changed(container, last)
    return last.finished_s if at_once else last.finished_s + last.backoff_s


# -- initialization -------------------------------------------------------------------------------------------------


def initialized(pod: Object, present: Present, notes: Notes) -> bool:
    """Whether every init container has done its part."""
    begun = [attempt for container in containers_of(pod) for attempt in present.attempts.get(container["name"], ())]
    if any(attempt.mended == present.mended for attempt in begun):
        return True
    return all(init_done(container, present, notes) for container in init_containers_of(pod))


def init_done(container: Mapping[str, Any], present: Present, notes: Notes) -> bool:
    last = present.latest(container["name"])
    if last is None:
        return False
    if not sidecar(container):
        return last.succeeded
    return last.state == "running" and started(container, last, notes)


def started(container: Mapping[str, Any], attempt: Attempt, notes: Notes) -> bool:
    """Running, through its postStart hook, and through its startup probe if it has one."""
    if attempt.state != "running" or attempt.id in notes.hooking:
        return False
    return "startupProbe" not in container or notes.health_of(attempt.id).started is True


# -- the end --------------------------------------------------------------------------------------------------------


def over(pod: Object) -> bool:
    return pod.status.get("phase") in ("Succeeded", "Failed")


def deadline_s(pod: Object) -> float | None:
    """When `activeDeadlineSeconds` are over (seconds since 1970)."""
    allowed, begun = pod.spec.get("activeDeadlineSeconds"), pod.status.get("startTime")
    return from_rfc3339(begun) + allowed if allowed is not None and begun else None


def outcome(pod: Object, present: Present, now_s: float) -> Outcome | None:
    """How the pod has ended, whether or not something of it still runs; None: it has not."""
    present = present.lately
    if over(pod):
        return Outcome(
            str(pod.status["phase"]), str(pod.status.get("reason") or ""), str(pod.status.get("message") or "")
        )
    at_s = deadline_s(pod)
    if at_s is not None and now_s >= at_s:
        return TOO_LATE
    if cause(pod, present) is not None:
        return None
    if _given_up(pod, present, init_containers_of(pod), failed=True):
        return FAILED
    last = _given_up(pod, present, containers_of(pod))
    if not last or len(last) < len(containers_of(pod)):
        return None
    return SUCCEEDED if all(attempt.succeeded for attempt in last) else FAILED


def cause(pod: Object, present: Present) -> Attempt | None:
    """The attempt of `present`, a single round, whose end starts the whole pod anew (see `rounds`).

    One that ended after all ordinary containers had ended for good is none: it was they that ended it.
    """
    mine = containers_of(pod)
    pairs = [(one, present.latest(one["name"])) for one in (*init_containers_of(pod), *mine)]
    asked = [last for one, last in pairs if last is not None and action(one, last) == RESTART_ALL]
    if not asked:
        return None
    done = _given_up(pod, present, mine)
    done_s = max((attempt.finished_s for attempt in done), default=0.0) if len(done) == len(mine) else float("inf")
    return next((last for last in asked if last.finished_s <= done_s), None)


def when_deleted(pod: Object, present: Present) -> Outcome:
    """How a deleted pod of which nothing runs any more has ended."""
    if over(pod):
        return Outcome(str(pod.status["phase"]))
    last = [present.latest(container["name"]) for container in containers_of(pod)]
    return SUCCEEDED if all(attempt is not None and attempt.succeeded for attempt in last) else FAILED


def _given_up(
    pod: Object, present: Present, containers: Sequence[Mapping[str, Any]], *, failed: bool = False
) -> list[Attempt]:
    """The last attempts that nothing will follow; with `failed` only those that have failed."""
    found = []
    for container in containers:
        last = present.latest(container["name"])
        if last is None or not last.ended or restarts(pod, container, last):
            continue
        if not (failed and last.succeeded):
            found.append(last)
    return found
