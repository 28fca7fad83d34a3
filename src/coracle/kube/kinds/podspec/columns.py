"""How `kubectl get pods` shows a pod.

The word in STATUS comes from the phase, unless the pod's reason, a container that waits or has ended, or the deletion
says more.

Source: the columns of `kubectl get pods [-o wide]`.
"""

from __future__ import annotations

from collections.abc import Sequence

from coracle.core.clock import from_rfc3339
from coracle.core.kind import Column
from coracle.core.object import Json, Object
from coracle.kube.kinds.conditions import condition, is_so
from coracle.kube.kinds.printing import AGE, NAME, NONE, human, text, wide


def status_word(pod: Object) -> str:
    """`Pending`, `ContainerCreating`, `Running`, `Init:0/1`, `CrashLoopBackOff`, `Completed`, `Terminating`, ..."""
    reason = pod.status.get("reason") or pod.status.get("phase") or "Unknown"
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    starting = _initializing(pod)
    if starting:
        reason = starting
    if not starting or is_so(pod, "Initialized"):
        reason = _running(pod, reason)
    if pod.meta.deleting:
        lost = pod.status.get("reason") == "NodeLost"
        ended = pod.status.get("phase") in ("Succeeded", "Failed")
        return "Unknown" if lost else reason if ended else "Terminating"
    return str(reason)


def _initializing(pod: Object) -> str:
    """`Init:1/2`, `Init:Error`, ...; "" once the init containers are done."""
    restartable = {c["name"] for c in pod.spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    total = len(pod.spec.get("initContainers") or ())
    for index, status in enumerate(pod.status.get("initContainerStatuses") or ()):
        state = status.get("state") or {}
        ended, waiting = state.get("terminated"), (state.get("waiting") or {}).get("reason")
        if ended and not ended.get("exitCode"):
            continue
        if status.get("name") in restartable and status.get("started"):
            continue
        if ended:
            return f"Init:{_ending(ended)}"
        return f"Init:{waiting}" if waiting and waiting != "PodInitializing" else f"Init:{index}/{total}"
    return ""


def _running(pod: Object, reason: str) -> str:
    """What the containers say, the first one that says something over the later ones."""
    running = False
    for status in reversed(pod.status.get("containerStatuses") or ()):
        state = status.get("state") or {}
        ended, waiting = state.get("terminated"), (state.get("waiting") or {}).get("reason")
        if waiting:
            reason = waiting
        elif ended is not None:
            reason = _ending(ended)
        elif status.get("ready") and _is_running(status):
            running = True
    if reason == "Completed" and running:
        return "Running" if is_so(pod, "Ready") else "NotReady"
    return reason


def _ending(ended: Json) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _sidecars(pod: Object) -> set[str]:
    return {c["name"] for c in pod.spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}


def _counted(pod: Object) -> Sequence[Json]:
    """The statuses that count for READY and RESTARTS: containers and sidecars; while starting, all init containers."""
    initial, ordinary = pod.status.get("initContainerStatuses") or (), pod.status.get("containerStatuses") or ()
    sidecars = _sidecars(pod)
    return [*(status for status in initial if status["name"] in sidecars), *ordinary]


def ready_cell(pod: Object) -> str:
    total = len(pod.spec.get("containers") or ()) + len(_sidecars(pod))
    ready = [status for status in _counted(pod) if status.get("ready") and _is_running(status)]
    return f"{len(ready)}/{total}"


def _is_running(status: Json) -> bool:
    return (status.get("state") or {}).get("running") is not None


def restarts_cell(pod: Object, now_s: float) -> str:
    """`3 (5s ago)`: how often containers were restarted, and when the last one ended before that."""
    statuses = [*(pod.status.get("initContainerStatuses") or ())] if _initializing(pod) else _counted(pod)
    total = sum(status.get("restartCount", 0) for status in statuses)
    ended = [(status.get("lastState") or {}).get("terminated") or {} for status in statuses]
    moments = [last["finishedAt"] for last in ended if last.get("finishedAt")]
    if not total or not moments:
        return str(total)
    return f"{total} ({human(now_s - max(map(from_rfc3339, moments)))} ago)"


def _gates(pod: Object) -> str:
    gates = pod.spec.get("readinessGates") or ()
    met = sum(1 for gate in gates if is_so(pod, gate["conditionType"]))
    return f"{met}/{len(gates)}" if gates else NONE


def _address(pod: Object) -> str:
    addresses = pod.status.get("podIPs") or ()
    return str((addresses[0].get("ip") if addresses else pod.status.get("podIP")) or NONE)


COLUMNS = (
    NAME,
    text("Ready", ready_cell, "The aggregate readiness state of this pod for accepting traffic."),
    text("Status", status_word, "The aggregate status of the containers in this pod."),
    Column("Restarts", restarts_cell, description="How often containers were restarted, and when last."),
    AGE,
    wide("IP", _address, "podIP is the address allocated to the pod."),
    wide("Node", lambda pod: pod.spec.get("nodeName") or NONE, "The node this pod is scheduled to."),
    wide("Nominated Node", lambda pod: pod.status.get("nominatedNodeName") or NONE),
    wide("Readiness Gates", _gates),
)  # fmt: skip
