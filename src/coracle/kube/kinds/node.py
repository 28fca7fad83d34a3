"""Node: a machine that runs pods.

Source: Kubernetes v1 API, Node; printed columns as `kubectl get nodes`.
"""

from __future__ import annotations

from coracle.core.errors import Problem, forbidden, required
from coracle.core.kind import Kind, Problems
from coracle.core.names import qualified_faults
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.conditions import condition, is_so
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import one_of

ROLE_PREFIX, ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"
EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


def default(node: Object) -> Object:
    """What it has, it gives, where it does not say how much."""
    status = dict(node.status)
    if status.get("capacity") is not None and status.get("allocatable") is None:
        status["allocatable"] = status["capacity"]
    return node.with_body(spec=absent(node.body.get("spec")), status=status)


def validate(node: Object) -> Problems:
    problems: Problems = []
    for index, taint in enumerate(node.spec.get("taints") or ()):
        problems += _taint(f"spec.taints[{index}]", taint)
    return problems


def _taint(at: str, taint: dict[str, str]) -> list[Problem]:
    key = taint.get("key") or ""
    if not key:
        return [required(f"{at}.key")]
    faults = [Problem(f"{at}.key", "invalid", f'Invalid value: "{key}": {fault}') for fault in qualified_faults(key)]
    return faults + one_of(f"{at}.effect", taint.get("effect"), EFFECTS)


def validate_change(new: Object, old: Object, part: str) -> Problems:
    """Only what operators set may be changed: labels, taints, whether it takes pods."""
    before, after = old.spec.get("podCIDR"), new.spec.get("podCIDR")
    if part != "status" and before and after != before:
        said = "node updates may only change labels, taints, or capacity (or configSource, if the DynamicKubeletConfig feature gate is enabled)"  # noqa: E501
        return [forbidden("spec", said)]
    return []


def ready(node: Object) -> bool:
    return is_so(node, "Ready")


def _status(node: Object) -> str:
    known = condition(node, "Ready")
    word = "Unknown" if not known else "Ready" if known.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if node.spec.get("unschedulable") else word


def _roles(node: Object) -> str:
    names = {key.removeprefix(ROLE_PREFIX) for key in node.meta.labels if key.startswith(ROLE_PREFIX)}
    names.add(node.meta.labels.get(ROLE_LABEL, ""))
    return ",".join(sorted(filter(None, names))) or printing.NONE


def address(node: Object, type: str) -> str:
    """The first address of that type (`InternalIP`, `ExternalIP`, `Hostname`), or ""."""
    addresses = node.status.get("addresses") or ()
    return next((str(entry["address"]) for entry in addresses if entry.get("type") == type), "")


def _info(node: Object, name: str) -> str:
    return (node.status.get("nodeInfo") or {}).get(name) or ""


KIND = Kind(
    name="Node",
    plural="nodes",
    singular="node",
    short=("no",),
    namespaced=False,
    schema=schema("v1", "Node"),
    default=default,
    validate=validate,
    validate_change=validate_change,
    fields={"spec.unschedulable": lambda node: "true" if node.spec.get("unschedulable") else "false"},
    columns=(
        printing.NAME,
        printing.text("Status", _status, "The status of the node"),
        printing.text("Roles", _roles, "The roles of the node"),
        printing.AGE,
        printing.text("Version", lambda node: _info(node, "kubeletVersion"), "Kubelet Version reported by the node."),
        printing.wide("Internal-IP", lambda node: address(node, "InternalIP") or printing.NONE),
        printing.wide("External-IP", lambda node: address(node, "ExternalIP") or printing.NONE),
        printing.wide("OS-Image", lambda node: _info(node, "osImage") or printing.UNKNOWN),
        printing.wide("Kernel-Version", lambda node: _info(node, "kernelVersion") or printing.UNKNOWN),
        printing.wide("Container-Runtime", lambda node: _info(node, "containerRuntimeVersion") or printing.UNKNOWN),
    ),
    subresources=frozenset(("proxy", "status")),
    counts_generations=False,
    loop="coracle.kube.kubelet.nodes:NodeSync",
)
