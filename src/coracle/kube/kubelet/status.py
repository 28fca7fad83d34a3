"""A pod's status, from what there is of it: pure.

    container   waiting (why) -> running (since) -> terminated (code, reason) -> waiting CrashLoopBackOff (lastState)
    phase       Pending until every container was once started, then Running, then Succeeded or Failed

Source: Kubernetes documentation, "Pod Lifecycle"; kubelet's getPhase and convertToAPIContainerStatuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coracle.core.clock import from_rfc3339, rfc3339
from coracle.core.object import Json, Object
from coracle.kube.kubelet import conditions, policy, rounds
from coracle.kube.kubelet.admission import refusal
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.policy import Outcome
from coracle.kube.kubelet.records import (
    Attempt,
    Present,
    containers_of,
    ephemeral_of,
    everyone,
    init_containers_of,
    is_ephemeral,
    is_init,
)
from coracle.kube.kubelet.resizing import different
from coracle.kube.kubelet.resources import quality
from coracle.kube.kubelet.rounds import Round

RUNTIME = "coracle"
_NEVER = "1970-01-01T00:00:00Z"  # when a container began that could not be started, as containerd reports it
_FAILED_CODE = 128  # of a container that could not be started, as containerd reports it
_LONGEST_MESSAGE, _ALL_MESSAGES = 4096, 12 * 1024


@dataclass(frozen=True, slots=True)
class View:
    """All that a status is made from.  `host_address`: of the node."""

    pod: Object
    present: Present
    notes: Notes
    now_s: float
    host_address: str

    @property
    def refused(self) -> bool:
        """Nothing of it was ever made, nor will be."""
        if self.present.attempts:
            return False
        never_began = policy.over(self.pod) and not self.pod.status.get("containerStatuses")
        return never_began or refusal(self.pod) is not None

    @property
    def longest_message(self) -> int:
        """Of a container's end, so that those of the whole pod stay within bounds."""
        return min(_LONGEST_MESSAGE, _ALL_MESSAGES // max(1, len(everyone(self.pod))))

    @property
    def outcome(self) -> Outcome | None:
        """How the pod has ended, or is about to end."""
        return policy.outcome(self.pod, self.present, self.now_s)

    @property
    def end(self) -> Outcome | None:
        """How the pod has ended, once nothing of it runs; a pod's phase is not final before."""
        if any(attempt.state == "running" for attempt in self.present.all):
            return self.outcome if policy.over(self.pod) else None
        if self.pod.meta.deleting and self.outcome is None:
            return policy.when_deleted(self.pod, self.present)
        return self.outcome


def status(view: View) -> Json:
    """The whole status, what others have put there kept."""
    pod, present = view.pod, view.present
    stands = rounds.current(pod, present)
    ready_to_start = policy.initialized(pod, stands.present, view.notes)
    init = [_container(view, container, ready_to_start, stands) for container in _told(view, init_containers_of(pod))]
    main = [_container(view, container, ready_to_start, stands) for container in _told(view, containers_of(pod))]
    late = [_container(view, container, True, stands) for container in ephemeral_of(pod)]
    end = view.end
    phase = end.phase if end is not None else _phase(main, anew=stands.number > 0 and not ready_to_start)
    statuses, ready = {"init": init, "main": main}, present.sandbox_ready
    said = conditions.verdicts(pod, phase, statuses, sandbox=ready, postponed=view.notes.postponed)
    said |= rounds.verdict(pod, phase, stands)
    kept = {name: value for name, value in pod.status.items() if name not in ("reason", "message")}
    return {
        **kept,
        "observedGeneration": pod.meta.generation,
        "phase": phase,
        **({"reason": end.reason} if end is not None and end.reason else {}),
        **({"message": end.message} if end is not None and end.message else {}),
        "conditions": conditions.conditions(pod, said, rfc3339(view.now_s)),
        **_addresses(view),
        "startTime": pod.status.get("startTime") or rfc3339(view.now_s),
        **({"initContainerStatuses": init} if init else {}),
        **({"containerStatuses": _by_name(main)} if main else {}),
        **({"ephemeralContainerStatuses": _by_name(late)} if late else {}),
        "qosClass": pod.status.get("qosClass") or quality(pod),
    }


def _told(view: View, containers: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Those that have a status: none of a pod that was refused."""
    return () if view.refused else containers


def _by_name(statuses: list[Json]) -> list[Json]:
    """The kubelet's order; init containers keep theirs."""
    return sorted(statuses, key=lambda one: str(one["name"]))


def _addresses(view: View) -> Json:
    host = {"hostIP": view.host_address, "hostIPs": [{"ip": view.host_address}]}
    ip = view.host_address if view.pod.spec.get("hostNetwork") else view.present.address
    if not ip or not view.present.sandbox_ready:
        return host  # what was there before stays with the status
    return {**host, "podIP": ip, "podIPs": [{"ip": ip}]}


# -- phase ----------------------------------------------------------------------------------------------------------


def _phase(main: Sequence[Json], *, anew: bool) -> str:
    """Of a pod that is not over; `anew`: its init containers run once more."""
    return "Pending" if anew or any(_settled(one) == "waiting" for one in main) else "Running"


def _settled(status: Json) -> str:
    """waiting, running or ended; one that waits to be started again counts as ended."""
    state = status["state"]
    if "running" in state:
        return "running"
    return "ended" if state.get("terminated") or status["lastState"].get("terminated") else "waiting"


# -- containers -----------------------------------------------------------------------------------------------------


def _container(view: View, container: Mapping[str, Any], may_start: bool, stands: Round) -> Json:
    name = container["name"]
    last, before = view.present.latest(name), view.present.before(name)
    had = _said(view.pod, name) if last is None and policy.over(view.pod) else {}
    if had:
        return dict(had)  # its container was removed to make room
    state, past = _states(view, container, may_start, stands)
    running = last if last is not None and "running" in state else None
    shown = last or before
    return {
        "name": name,
        "state": state,
        "lastState": past,
        "ready": _is_ready(view, container, last, running),
        "restartCount": last.number if last is not None else 0,
        "image": shown.image if shown is not None and shown.image else container.get("image", ""),
        "imageID": shown.image_id if shown is not None else "",
        **({"containerID": container_id(last)} if last is not None else {}),
        "started": running is not None and policy.started(container, running, view.notes),
        **_resources(view, container, running),
        **_mounts(container),
        **_user(shown),
    }


def _mounts(container: Mapping[str, Any]) -> Json:
    """The volumes' places, and whether those that are read-only are so all the way down."""
    shown = []
    for mount in container.get("volumeMounts") or ():
        deep = "Enabled" if mount.get("recursiveReadOnly") in ("Enabled", "IfPossible") else "Disabled"
        read_only = {"readOnly": True, "recursiveReadOnly": deep} if mount.get("readOnly") else {}
        shown.append({"name": mount["name"], "mountPath": mount["mountPath"], **read_only})
    return {"volumeMounts": shown} if shown else {}


def _user(attempt: Attempt | None) -> Json:
    if attempt is None or not attempt.user:
        return {}
    user = attempt.user
    return {"user": {"linux": {"uid": user["uid"], "gid": user["gid"], "supplementalGroups": user["groups"]}}}


def _resources(view: View, container: Mapping[str, Any], running: Attempt | None) -> Json:
    """What the container has: what it asks for, or, as long as it has not got that, what was said before."""
    if different(container, running):
        had = _said(view.pod, container["name"])
        return {name: had[name] for name in ("allocatedResources", "resources") if name in had}
    asked = container.get("resources") or {}
    allocated = asked.get("requests")
    return {**({"allocatedResources": allocated} if allocated else {}), "resources": asked}


def _said(pod: Object, container: str) -> Mapping[str, Any]:
    groups = ("initContainerStatuses", "containerStatuses")
    statuses = (one for group in groups for one in pod.status.get(group) or ())
    return next((one for one in statuses if one["name"] == container), {})


def container_id(attempt: Attempt) -> str:
    return f"{RUNTIME}://{attempt.id}"


def _is_ready(view: View, container: Mapping[str, Any], last: Attempt | None, running: Attempt | None) -> bool:
    if is_ephemeral(view.pod, container["name"]):
        return False
    if is_init(view.pod, container["name"]) and not policy.sidecar(container):
        return last is not None and last.succeeded
    if running is None or not policy.started(container, running, view.notes):
        return False
    return "readinessProbe" not in container or view.notes.health_of(running.id).ready is True


def _states(view: View, container: Mapping[str, Any], may_start: bool, stands: Round) -> tuple[Json, Json]:
    """The state and the last state."""
    name, notes = container["name"], view.notes
    last, before = view.present.latest(name), view.present.before(name)
    past = {"terminated": terminated(before, notes, view.longest_message)} if before is not None else {}
    waiting = notes.waiting.get(name)
    if last is None or last.state == "created" or last.id in notes.hooking:
        return {"waiting": _why_waiting(view, name, may_start)}, past
    if last.state == "running":
        return {"running": {"startedAt": _seconds(last.started_at)}}, past
    ended = {"terminated": terminated(last, notes, view.longest_message)}
    if last.round < stands.number and not is_ephemeral(view.pod, name):
        return {"waiting": _why_waiting(view, name, may_start)}, ended
    final = view.pod.meta.deleting or view.outcome is not None or is_ephemeral(view.pod, name)
    if final or not policy.restarts(view.pod, container, last):
        return ended, past
    if waiting is not None:
        return {"waiting": _reason(waiting.reason, waiting.message)}, ended
    if notes.health_of(last.id).failed == "postStart hook" and last.backoff_s <= policy.FIRST_BACKOFF_S:
        return {"waiting": _reason("PostStartHookError", "PostStartHook failed")}, ended
    if view.now_s < policy.restart_at_s(last, container) or last.state == "failed":
        return {"waiting": _crashing(view.pod, name, last)}, ended
    return ended, past


def _why_waiting(view: View, name: str, may_start: bool) -> Json:
    waiting = view.notes.waiting.get(name)
    if waiting is not None:
        return _reason(waiting.reason, waiting.message)
    if init_containers_of(view.pod) and (is_init(view.pod, name) or not may_start):
        return {"reason": "PodInitializing"}
    return {"reason": "ContainerCreating"}


def _crashing(pod: Object, name: str, last: Attempt) -> Json:
    if last.state == "failed" and last.backoff_s <= policy.FIRST_BACKOFF_S:
        return _reason("RunContainerError", last.message)
    wait_s = int(last.backoff_s)
    shown = f"{wait_s // 60}m{wait_s % 60}s" if wait_s >= 60 else f"{wait_s}s"
    who = f"container={name} pod={pod.meta.name}_{pod.meta.namespace}({pod.meta.uid})"
    return _reason("CrashLoopBackOff", f"back-off {shown} restarting failed {who}")


def _reason(reason: str, message: str) -> Json:
    return {"reason": reason, **({"message": message[:_LONGEST_MESSAGE]} if message else {})}


def terminated(attempt: Attempt, notes: Notes, most: int = _LONGEST_MESSAGE) -> Json:
    """How an attempt ended; with at most so much of its message."""
    code = _FAILED_CODE if attempt.state == "failed" else attempt.exit_code
    message = (notes.messages.get(attempt.id) or attempt.message)[:most]
    return {
        "exitCode": code,
        "reason": _ending(attempt, code),
        **({"message": message} if message else {}),
        "startedAt": _seconds(attempt.started_at) if attempt.started_at else _NEVER,
        "finishedAt": _seconds(attempt.finished_at) if attempt.finished_at else None,
        "containerID": container_id(attempt),
    }


def _ending(attempt: Attempt, code: int) -> str:
    if attempt.state == "failed":
        return "StartError"
    if attempt.oom_killed:
        return "OOMKilled"
    return "Completed" if code == 0 else "Error"


def _seconds(at: str) -> str:
    """Whole seconds, as metav1.Time is written."""
    return rfc3339(from_rfc3339(at))
