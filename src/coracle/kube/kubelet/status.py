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
from coracle.kube.kubelet import conditions, plan
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.records import Attempt, Present, containers_of, init_containers_of
from coracle.kube.kubelet.resources import quality

RUNTIME = "coracle"
_FAILED_CODE = 128  # of a container that could not be started, as containerd reports it
_LONGEST_MESSAGE = 4096


@dataclass(frozen=True, slots=True)
class View:
    """All that a status is made from.  `host_address`: of the node."""

    pod: Object
    present: Present
    notes: Notes
    now_s: float
    host_address: str


def status(view: View) -> Json:
    """The whole status, what others have put there kept."""
    pod, present = view.pod, view.present
    ready_to_start = plan.initialized(pod, present, view.notes)
    init = [_container(view, container, ready_to_start) for container in init_containers_of(pod)]
    main = [_container(view, container, ready_to_start) for container in containers_of(pod)]
    phase, reason, message = _phase(view, init, main)
    said = conditions.verdicts(pod, phase, {"init": init, "main": main}, sandbox=present.sandbox_ready)
    kept = {name: value for name, value in pod.status.items() if name not in ("reason", "message")}
    return {
        **kept,
        "observedGeneration": pod.meta.generation,
        "phase": phase,
        **({"reason": reason} if reason else {}),
        **({"message": message} if message else {}),
        "conditions": conditions.conditions(pod, said, rfc3339(view.now_s)),
        **_addresses(view),
        "startTime": pod.status.get("startTime") or rfc3339(view.now_s),
        **({"initContainerStatuses": init} if init else {}),
        "containerStatuses": main,
        "qosClass": pod.status.get("qosClass") or quality(pod),
    }


def _addresses(view: View) -> Json:
    host = {"hostIP": view.host_address, "hostIPs": [{"ip": view.host_address}]}
    ip = view.host_address if view.pod.spec.get("hostNetwork") else view.present.address
    if not ip or not view.present.sandbox_ready:
        return host  # what was there before stays with the status
    return {**host, "podIP": ip, "podIPs": [{"ip": ip}]}


# -- phase ----------------------------------------------------------------------------------------------------------


def _phase(view: View, init: Sequence[Json], main: Sequence[Json]) -> tuple[str, str, str]:
    """Phase, reason and message."""
    pod = view.pod
    if plan.over(pod):
        return str(pod.status["phase"]), str(pod.status.get("reason") or ""), str(pod.status.get("message") or "")
    if plan.past_deadline(pod, view.now_s):
        return "Failed", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
    return _phase_of(pod, init, main), "", ""


def _phase_of(pod: Object, init: Sequence[Json], main: Sequence[Json]) -> str:
    states = [_settled(one) for one in main]
    if pod.meta.deleting and main and all(state.startswith("ended") for state in states):
        return "Succeeded" if all(state == "ended well" for state in states) else "Failed"
    if pod.spec.get("restartPolicy") == "Never" and any(_settled(one) == "ended badly" for one in init):
        return "Failed"
    if any(state == "waiting" for state in states):
        return "Pending"
    if "running" in states or pod.spec.get("restartPolicy", "Always") == "Always":
        return "Running"
    if all(state == "ended well" for state in states):
        return "Succeeded"
    return "Failed" if pod.spec.get("restartPolicy") == "Never" else "Running"


def _settled(status: Json) -> str:
    """waiting, running, ended well or ended badly; one that waits to be started again counts as ended."""
    state = status["state"]
    if "running" in state:
        return "running"
    ended = state.get("terminated") or status["lastState"].get("terminated")
    if ended is None:
        return "waiting"
    return "ended well" if ended["exitCode"] == 0 else "ended badly"


# -- containers -----------------------------------------------------------------------------------------------------


def _container(view: View, container: Mapping[str, Any], may_start: bool) -> Json:
    name = container["name"]
    last, before = view.present.latest(name), view.present.before(name)
    state, past = _states(view, container, may_start)
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
        "started": running is not None and plan.started(container, running, view.notes),
    }


def container_id(attempt: Attempt) -> str:
    return f"{RUNTIME}://{attempt.id}"


def _is_ready(view: View, container: Mapping[str, Any], last: Attempt | None, running: Attempt | None) -> bool:
    is_init = any(init["name"] == container["name"] for init in init_containers_of(view.pod))
    if is_init and not plan.sidecar(container):
        return last is not None and last.succeeded
    if running is None or not plan.started(container, running, view.notes):
        return False
    return "readinessProbe" not in container or view.notes.health_of(running.id).ready is True


def _states(view: View, container: Mapping[str, Any], may_start: bool) -> tuple[Json, Json]:
    """The state and the last state."""
    name, notes = container["name"], view.notes
    last, before = view.present.latest(name), view.present.before(name)
    past = {"terminated": terminated(before)} if before is not None else {}
    waiting = notes.waiting.get(name)
    if last is None or last.state == "created":
        return {"waiting": _why_waiting(view, name, may_start)}, past
    if last.state == "running":
        return {"running": {"startedAt": _seconds(last.started_at)}}, past
    ended = {"terminated": terminated(last)}
    if view.pod.meta.deleting or plan.over(view.pod) or not plan.restarts(view.pod, container, last):
        return ended, past
    if waiting is not None:
        return {"waiting": _reason(waiting.reason, waiting.message)}, ended
    if view.now_s < plan.restart_at_s(last) or last.state == "failed":
        return {"waiting": _crashing(view.pod, name, last)}, ended
    return ended, past


def _why_waiting(view: View, name: str, may_start: bool) -> Json:
    waiting = view.notes.waiting.get(name)
    if waiting is not None:
        return _reason(waiting.reason, waiting.message)
    is_init = any(init["name"] == name for init in init_containers_of(view.pod))
    if init_containers_of(view.pod) and (is_init or not may_start):
        return {"reason": "PodInitializing"}
    return {"reason": "ContainerCreating"}


def _crashing(pod: Object, name: str, last: Attempt) -> Json:
    if last.state == "failed" and last.backoff_s <= plan.FIRST_BACKOFF_S:
        return _reason("RunContainerError", last.message)
    wait_s = int(last.backoff_s)
    shown = f"{wait_s // 60}m{wait_s % 60}s" if wait_s >= 60 else f"{wait_s}s"
    who = f"container={name} pod={pod.meta.name}_{pod.meta.namespace}({pod.meta.uid})"
    return _reason("CrashLoopBackOff", f"back-off {shown} restarting failed {who}")


def _reason(reason: str, message: str) -> Json:
    return {"reason": reason, **({"message": message[:_LONGEST_MESSAGE]} if message else {})}


def terminated(attempt: Attempt) -> Json:
    """How an attempt ended."""
    code = _FAILED_CODE if attempt.state == "failed" and not attempt.exit_code else attempt.exit_code
    return {
        "exitCode": code,
        "reason": _ending(attempt, code),
        **({"message": attempt.message[:_LONGEST_MESSAGE]} if attempt.message else {}),
        "startedAt": _seconds(attempt.started_at) if attempt.started_at else None,
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
