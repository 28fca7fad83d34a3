"""Which nodes a DaemonSet's pods are for, and what such a pod looks like.

Source: Kubernetes documentation, "DaemonSet: How Daemon Pods are scheduled", "Taints and tolerations".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from coracle.core.object import Json, Object
from coracle.core.selectors import matches
from coracle.kube.controllers.history import HASH
from coracle.kube.controllers.templates import new_pod
from coracle.kube.kinds.nodeterms import Place, any_fits
from coracle.kube.kinds.podspec.affinities import REQUIRED
from coracle.kube.kinds.taints import tolerated

_PREFIX = "node.kubernetes.io/"
# Daemons stay where others would be sent away.
_ADDED = (
    ("not-ready", "NoExecute"), ("unreachable", "NoExecute"), ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"), ("pid-pressure", "NoSchedule"), ("unschedulable", "NoSchedule"),
)  # fmt: skip


class Fit(NamedTuple):
    """Whether a node is to have the pod, and whether one that is there may stay."""

    runs: bool
    stays: bool


def fit(daemons: Object, node: Object) -> Fit:
    spec = daemons.spec["template"]["spec"]
    chosen, name = spec.get("nodeName"), node.meta.name
    if (chosen and chosen != name) or not _selected(spec, node):
        return Fit(False, False)
    taints, tolerations = node.spec.get("taints") or (), _tolerations(spec)
    repelling = [taint for taint in taints if not tolerated(taint, tolerations)]
    effects = {taint["effect"] for taint in repelling}
    return Fit(runs=not effects & {"NoSchedule", "NoExecute"}, stays="NoExecute" not in effects)


def _selected(spec: Mapping[str, Any], node: Object) -> bool:
    if not matches(spec.get("nodeSelector") or {}, node.meta.labels):
        return False
    needed = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    return needed is None or any_fits(needed.get("nodeSelectorTerms") or (), Place(node.meta.name, node.meta.labels))


def _tolerations(spec: Mapping[str, Any]) -> list[Json]:
    added = [*_ADDED, ("network-unavailable", "NoSchedule")] if spec.get("hostNetwork") else list(_ADDED)
    ours = [{"key": _PREFIX + key, "operator": "Exists", "effect": effect} for key, effect in added]
    given = [toleration for toleration in spec.get("tolerations") or () if toleration not in ours]
    return [*given, *ours]


def daemon_pod(daemons: Object, node: str, hash: str) -> Object:
    """The pod for that node: the scheduler places it there and nowhere else."""
    pod = new_pod(daemons)
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    affinity = pod.spec.get("affinity") or {}
    towards = {**(affinity.get("nodeAffinity") or {}), REQUIRED: {"nodeSelectorTerms": [term]}}
    pod = pod.with_meta(labels={**pod.meta.labels, HASH: hash})
    return pod.with_spec(tolerations=_tolerations(pod.spec), affinity={**affinity, "nodeAffinity": towards})


def node_of(pod: Object) -> str:
    """The node that a daemon's pod is on, or is to be on; "" where it says none."""
    if pod.spec.get("nodeName"):
        return str(pod.spec["nodeName"])
    needed = ((pod.spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED) or {}
    for term in needed.get("nodeSelectorTerms") or ():
        for need in term.get("matchFields") or ():
            if need["key"] == "metadata.name" and need["operator"] == "In" and need.get("values"):
                return str(need["values"][0])
    return ""
