"""A pod's status, from what there is of it: pure.

    phase       Pending until every container was once started, then Running, then Succeeded or Failed
    containers  see `containerstatus`; conditions: see `conditions`

Source: Kubernetes documentation, "Pod Lifecycle"; kubelet's getPhase.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.clock import rfc3339
from coracle.core.object import Json, Object
from coracle.kube.kinds.podspec.amounts import has_own
from coracle.kube.kubelet import conditions, policy, rounds
from coracle.kube.kubelet.containerstatus import container_status
from coracle.kube.kubelet.policy import Outcome
from coracle.kube.kubelet.records import containers_of, ephemeral_of, init_containers_of
from coracle.kube.kubelet.resizing import regroup
from coracle.kube.kubelet.resources import quality
from coracle.kube.kubelet.view import View


def status(view: View) -> Json:
    """The whole status, what others have put there kept."""
    pod, present = view.pod, view.present
    stands = rounds.current(pod, present)
    ready_to_start = policy.initialized(pod, stands.present, view.notes)
    init = [container_status(view, container, stands) for container in _told(view, init_containers_of(pod))]
    main = [container_status(view, container, stands) for container in _told(view, containers_of(pod))]
    late = [container_status(view, container, stands) for container in ephemeral_of(pod)]
    end = view.end
    begins = stands.number > 0 and stands.cause is None and not ready_to_start
    phase = end.phase if end is not None else _phase(main, anew=begins)
    statuses, ready = {"init": init, "main": main}, present.sandbox_ready
    said = conditions.verdicts(pod, phase, statuses, sandbox=ready, notes=view.notes)
    said |= rounds.verdict(pod, phase, stands)
    kept = {name: value for name, value in pod.status.items() if name not in ("reason", "message")}
    return {
        **kept,
        "observedGeneration": pod.meta.generation,
        "phase": phase,
        **_why(pod, phase, end),
        "conditions": conditions.conditions(pod, said, rfc3339(view.now_s)),
        **_addresses(view),
        "startTime": pod.status.get("startTime") or rfc3339(view.now_s),
        **({"initContainerStatuses": init} if init else {}),
        **({"containerStatuses": _by_name(main)} if main else {}),
        **({"ephemeralContainerStatuses": _by_name(late)} if late else {}),
        **_whole(view),
        "qosClass": pod.status.get("qosClass") or quality(pod),
    }


def _whole(view: View) -> Json:
    """What the pod as a whole has, where it says something of that; until it has got it, what was said before."""
    if not has_own(view.pod.spec) or regroup(view.pod, view.present) is not None:
        return {}
    own = view.pod.spec["resources"]
    return {**({"allocatedResources": own["requests"]} if own.get("requests") else {}), "resources": own}


def _why(pod: Object, phase: str, end: Outcome | None) -> Json:
    """Reason and message; what others have said of a phase stays as long as the phase does."""
    same = pod.status if end is None and pod.status.get("phase") == phase else {}
    said = {"reason": end.reason, "message": end.message} if end is not None else same
    return {name: said[name] for name in ("reason", "message") if said.get(name)}


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
