"""How a container of a pod is, in the pod's status.  Pure.

    waiting (why) -> running (since) -> terminated (code, reason) -> waiting CrashLoopBackOff (lastState)

Source: Kubernetes documentation, "Pod Lifecycle", "Container states"; kubelet's convertToAPIContainerStatuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.clock import from_rfc3339, rfc3339
from coracle.core.object import Json, Object
from coracle.kube.kubelet import policy
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.records import Attempt, init_containers_of, is_ephemeral, is_init, statuses_of
from coracle.kube.kubelet.resizing import different
from coracle.kube.kubelet.rounds import Round
from coracle.kube.kubelet.view import LONGEST_MESSAGE, View

RUNTIME = "coracle"
_NEVER = "1970-01-01T00:00:00Z"  # when a container began that could not be started, as containerd reports it
_ANEW: Json = {
    "reason": "RestartingAllContainers",
    "message": "The container is removed because RestartAllContainers in place",
}
_SWEPT: Json = {"terminated": {"exitCode": 137, **_ANEW, "startedAt": None, "finishedAt": None}}
_UNKNOWN = "ContainerStatusUnknown"  # nobody saw how it ended: a reboot, a lost monitor
_FAILED_CODE = 128  # of a container that could not be started, as containerd reports it


def container_status(view: View, container: Mapping[str, Any], stands: Round) -> Json:
    name = container["name"]
    last, before = view.present.latest(name), view.present.before(name)
    had = _said(view.pod, name) if last is None and policy.over(view.pod) else {}
    if had:
        return dict(had)  # its container was removed to make room
    state, past = _states(view, container, stands)
    running = last if last is not None and "running" in state else None
    shown, swept = last or before, last is not None and _is_swept(view, last, stands)
    return {
        "name": name,
        "state": state,
        "lastState": past,
        "ready": _is_ready(view, container, last, running),
        "restartCount": last.number + swept if last is not None else 0,
        "image": shown.image if shown is not None and shown.image else container.get("image", ""),
        "imageID": shown.image_id if shown is not None else "",
        **({"containerID": container_id(last)} if last is not None and not swept else {}),
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
    if different(view.pod, container, running):
        had = _said(view.pod, container["name"])
        return {name: had[name] for name in ("allocatedResources", "resources") if name in had}
    asked = container.get("resources") or {}
    allocated = asked.get("requests")
    return {**({"allocatedResources": allocated} if allocated else {}), "resources": asked}


def _said(pod: Object, container: str) -> Mapping[str, Any]:
    return next((one for one in statuses_of(pod) if one["name"] == container), {})


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


def _remembered(view: View, name: str) -> Json:
    """The last state, where the attempt that it is of was removed to make room."""
    last, said = view.present.latest(name), _said(view.pod, name)
    same = last is not None and last.number > 0 and said.get("restartCount") == last.number
    return dict(said.get("lastState") or {}) if same else {}


def _states(view: View, container: Mapping[str, Any], stands: Round) -> tuple[Json, Json]:
    """The state and the last state."""
    name, notes = container["name"], view.notes
    last, before = view.present.latest(name), view.present.before(name)
    past = _remembered(view, name)
    if before is not None:
        past = {"terminated": terminated(before, notes, view.longest_message)}
    if before is not None and last is not None and before.round < last.round:
        past = _SWEPT
    waiting = notes.waiting.get(name)
    if last is None or last.state == "created" or last.id in notes.hooking:
        return {"waiting": _why_waiting(view, name)}, past
    if last.state == "running":
        return {"running": {"startedAt": _seconds(last.started_at)}}, past
    ended = {"terminated": terminated(last, notes, view.longest_message)}
    if _is_swept(view, last, stands):
        return {"waiting": _reason(waiting.reason, waiting.message) if waiting is not None else _ANEW}, _SWEPT
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


def _is_swept(view: View, last: Attempt, stands: Round) -> bool:
    """Whether an attempt is of a round before, and its container was not begun anew so far."""
    return last.ended and last.round < stands.number and not is_ephemeral(view.pod, last.container)


def _why_waiting(view: View, name: str) -> Json:
    """In a pod with init containers the one word for all, even when these are done, as the kubelet has it."""
    waiting = view.notes.waiting.get(name)
    if waiting is not None:
        return _reason(waiting.reason, waiting.message)
    return {"reason": "PodInitializing" if init_containers_of(view.pod) else "ContainerCreating"}


def _crashing(pod: Object, name: str, last: Attempt) -> Json:
    if last.state == "failed" and last.backoff_s <= policy.FIRST_BACKOFF_S:
        return _reason("RunContainerError", last.message)
    wait_s = int(last.backoff_s)
    shown = f"{wait_s // 60}m{wait_s % 60}s" if wait_s >= 60 else f"{wait_s}s"
    who = f"container={name} pod={pod.meta.name}_{pod.meta.namespace}({pod.meta.uid})"
    return _reason("CrashLoopBackOff", f"back-off {shown} restarting failed {who}")


def _reason(reason: str, message: str) -> Json:
    return {"reason": reason, **({"message": message[:LONGEST_MESSAGE]} if message else {})}


def terminated(attempt: Attempt, notes: Notes, most: int = LONGEST_MESSAGE) -> Json:
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
    if attempt.reason == _UNKNOWN:
        return _UNKNOWN
    return "Completed" if code == 0 else "Error"


def _seconds(at: str) -> str:
    """Whole seconds, as metav1.Time is written."""
    return rfc3339(from_rfc3339(at))
