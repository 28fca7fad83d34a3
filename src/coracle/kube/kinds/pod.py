"""Pod: containers that live and die together on one node, with one address.

What pods are asked (`active`, `ready`, `ended`) is here too: the loops ask nothing else of a pod's status.

Source: Kubernetes v1 API, Pod; printed columns as `kubectl get pods`.
"""

from __future__ import annotations

from typing import Any

from coracle.core.errors import Problem, forbidden
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.object import Object
from coracle.kube.kinds.conditions import is_so
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.podspec import changes, defaults, labelkeys, notes, profiles, rules
from coracle.kube.kinds.podspec.amounts import qos_class
from coracle.kube.kinds.podspec.columns import COLUMNS

GRACE_S = 30
ENDED = ("Succeeded", "Failed")


def active(pod: Object) -> bool:
    """Neither ended nor on its way out."""
    return not ended(pod) and not pod.meta.deleting


def ended(pod: Object) -> bool:
    return pod.status.get("phase") in ENDED


def ready(pod: Object) -> bool:
    return is_so(pod, "Ready")


def default(pod: Object) -> Object:
    return pod.with_body(spec=defaults.pod_spec(pod.body.get("spec")))


def assign(pod: Object, old: Object | None, _reader: Reader) -> Object:
    """A new pod is pending, whatever its maker says of its status."""
    if old is not None:
        return pod
    spec = labelkeys.merged(pod.spec, pod.meta.labels)
    pod = pod.with_body(spec=profiles.profiled(spec, pod.meta.annotations))
    return pod.with_body(status={"phase": "Pending", "qosClass": _qos(pod)})


def _qos(pod: Object) -> str:
    try:
        return qos_class(pod.spec)
    except ValueError:
        return "BestEffort"  # a quantity that `validate` refuses next


def validate(pod: Object) -> Problems:
    found = rules.problems(pod.spec) + notes.problems(pod.meta.annotations, "metadata.annotations")
    if not pod.meta.revision:
        found += profiles.problems(pod.meta.annotations, pod.spec, "metadata.annotations")
    if not pod.meta.revision and pod.spec.get("ephemeralContainers"):
        found.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    return found


def validate_change(new: Object, old: Object, part: str) -> Problems:
    if part == "status":
        return []
    if part == "binding":
        return _binding(new, old)
    if part == "resize":
        return changes.resize_problems(new.spec, old.spec)
    if part == "ephemeralcontainers":
        return changes.ephemeral_problems(new.spec, old.spec)
    found: list[Problem] = changes.problems(new.spec, old.spec)
    return found


def _binding(new: Object, old: Object) -> Problems:
    before = old.spec.get("nodeName")
    unbound = {name: value for name, value in new.spec.items() if name != "nodeName"}
    if before:
        return [forbidden("spec.nodeName", f"pod {old.meta.name} is already assigned to node {before}")]
    if unbound != {name: value for name, value in old.spec.items() if name != "nodeName"}:
        return [forbidden("spec", "binding may only set the node")]
    return []


def grace(pod: Object, asked_s: int | None) -> int:
    """A pod that never ran, or has ended, goes at once; others have the time that was asked or that they ask for."""
    if not pod.spec.get("nodeName") or ended(pod):
        return 0
    if asked_s is None:
        asked_s = pod.spec.get("terminationGracePeriodSeconds", GRACE_S)
    return 1 if asked_s < 0 else asked_s


def _spec(name: str) -> Any:
    return lambda pod: str(pod.spec.get(name) or "")


def _status(name: str) -> Any:
    return lambda pod: str(pod.status.get(name) or "")


KIND = Kind(
    name="Pod",
    plural="pods",
    singular="pod",
    short=("po",),
    categories=("all",),
    schema=schema("v1", "Pod"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    grace=grace,
    fields={
        "spec.nodeName": _spec("nodeName"),
        "spec.restartPolicy": _spec("restartPolicy"),
        "spec.schedulerName": _spec("schedulerName"),
        "spec.serviceAccountName": _spec("serviceAccountName"),
        "spec.hostNetwork": lambda pod: "true" if pod.spec.get("hostNetwork") else "false",
        "status.phase": _status("phase"),
        "status.podIP": _status("podIP"),
        "status.podIPs": _status("podIP"),
        "status.nominatedNodeName": _status("nominatedNodeName"),
    },
    columns=COLUMNS,
    subresources=frozenset(
        (
            "status",
            "log",
            "exec",
            "attach",
            "portforward",
            "proxy",
            "binding",
            "eviction",
            "ephemeralcontainers",
            "resize",
        )
    ),
    loop="coracle.kube.kubelet.pods:PodSync",
)
