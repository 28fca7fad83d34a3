"""On which nodes the pods may be: `platform`, `deploy.placement`, `runtime`.

Source: Kubernetes documentation, "Assigning Pods to Nodes", "Pod Topology Spread Constraints".
"""

from __future__ import annotations

import re
from typing import Any

from coracle.compose.kubernetes.fields import Fields, compact

_WORDS = {
    "node.hostname": "kubernetes.io/hostname",
    "node.platform.os": "kubernetes.io/os",
    "node.platform.arch": "kubernetes.io/arch",
}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_CONSTRAINT = re.compile(r"\s*([\w.\-/]+)\s*(==|!=)\s*(.+?)\s*")


def placement(service: Fields, deploy: Fields, labels: dict[str, str]) -> dict[str, Any]:
    """What of the pod's spec says where it may be; `labels` are those of its like."""
    given = deploy.part("placement")
    selector, needs = _platform(service), []
    for constraint in given.take("constraints", ()):
        need = _need(constraint)
        if need is None:
            given.warn("constraints", f"{constraint}: nodes of a cluster have no such property")
        elif need["operator"] == "In":
            selector[need["key"]] = need["values"][0]
        else:
            needs.append(need)
    required = {"nodeSelectorTerms": [{"matchExpressions": needs}]}
    affinity: dict[str, Any] = {"nodeAffinity": {_REQUIRED: required}} if needs else {}
    if given.take("max_replicas_per_node") == 1:
        term = {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
        affinity["podAntiAffinity"] = {_REQUIRED: [term]}
    elif given.take("max_replicas_per_node"):
        given.warn("max_replicas_per_node", "a number of pods for each node can be 1 only")
    return compact(
        nodeSelector=selector,
        affinity=affinity,
        topologySpreadConstraints=_spreads(given, labels),
        runtimeClassName=_runtime(service),
    )


def _platform(service: Fields) -> dict[str, str]:
    os, slash, rest = str(service.take("platform", "")).partition("/")
    if not slash:
        os, rest = ("linux", os) if os not in ("linux", "windows") else (os, "")
    architecture = rest.partition("/")[0]
    if not service.take("platform"):
        return {}
    return compact(
        **{"kubernetes.io/os": os, "kubernetes.io/arch": _ARCHITECTURES.get(architecture, architecture) or None}
    )


def _need(constraint: str) -> dict[str, Any] | None:
    """A constraint of Swarm's as a requirement on a node's labels; None where nodes have no such label."""
    parts = _CONSTRAINT.fullmatch(constraint)
    if not parts:
        return None
    word, sign, value = parts.groups()
    if word == "node.role":
        leads = (value == "manager") == (sign == "==")
        return {"key": _CONTROL_PLANE, "operator": "Exists" if leads else "DoesNotExist"}
    key = _WORDS.get(word) or word.removeprefix("node.labels.")
    if key == word:
        return None
    value = _ARCHITECTURES.get(value, value) if word == "node.platform.arch" else value
    return {"key": key, "operator": "In" if sign == "==" else "NotIn", "values": [value]}


def _spreads(given: Fields, labels: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for preference in given.parts("preferences"):
        word = str(preference.take("spread", ""))
        key = _WORDS.get(word) or word.removeprefix("node.labels.")
        if key == word:
            preference.warn("spread", f"{word}: nodes of a cluster have no such property")
            continue
        selector = {"matchLabels": labels}
        found.append(
            {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}
        )
    return found


def _runtime(service: Fields) -> str | None:
    name = str(service.take("runtime", ""))
    if name in ("", "runc", "crun"):
        return None
    service.warn("runtime", f"the cluster must have a RuntimeClass {name}")
    return name
