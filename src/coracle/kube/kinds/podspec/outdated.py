"""What pods may say that has another name by now, or no effect any more: told to the client, which goes on.  Pure.

Source: Kubernetes API, "Warnings"; "Well-Known Labels, Annotations and Taints"; the messages of its pod warnings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from coracle.core.object import Json
from coracle.kube.kinds.podspec import profiles
from coracle.kube.kinds.podspec.affinities import PREFERRED, REQUIRED

_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_APPARMOR = 'deprecated since v1.30; use the "appArmorProfile" field instead'
_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageOS": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}


def labels(at: str, spec: Mapping[str, Any]) -> Iterator[str]:
    """Of nodes, where pods are placed by them."""
    for key in spec.get("nodeSelector") or {}:
        if key in _LABELS:
            yield f"{at}.nodeSelector[{key}]: {_LABELS[key]}"
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    for index, term in enumerate((affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ()):
        yield from of_term(f"{at}.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[{index}]", term)
    for index, weighted in enumerate(affinity.get(PREFERRED) or ()):
        where = f"{at}.affinity.nodeAffinity.{PREFERRED}[{index}].preference"
        yield from of_term(where, weighted.get("preference") or {})
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        yield from of_key(f"{at}.topologySpreadConstraints[{index}].topologyKey", constraint.get("topologyKey"))


def of_term(at: str, term: Json) -> Iterator[str]:
    for index, need in enumerate(term.get("matchExpressions") or ()):
        yield from of_key(f"{at}.matchExpressions[{index}].key", need.get("key"))


def of_key(at: str, key: Any) -> Iterator[str]:
    if key in _LABELS:
        yield f"{at}: {key} is {_LABELS[key]}"


def notes(at: str, given: Mapping[str, str], spec: Mapping[str, Any]) -> Iterator[str]:
    for key, said in _ANNOTATIONS.items():
        if key in given:
            yield f"{at}[{key}]: {said}"
    yield from _seccomp(at, given, "seccomp.security.alpha.kubernetes.io/pod", spec)
    for which in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(which) or ():
            key = f"container.seccomp.security.alpha.kubernetes.io/{container.get('name', '')}"
            yield from _seccomp(at, given, key, container)
            key = f"{profiles.PREFIX}{container.get('name', '')}"
            if key in given:
                yield f"{at}[{key}]: {_APPARMOR}"


def _seccomp(at: str, given: Mapping[str, str], key: str, of: Mapping[str, Any]) -> Iterator[str]:
    if key in given and (of.get("securityContext") or {}).get("seccompProfile") is None:
        yield f"{at}[{key}]: {_SECCOMP}"


def volumes(at: str, given: Sequence[Json]) -> Iterator[str]:
    for index, volume in enumerate(given):
        for name, said in VOLUMES.items():
            if volume.get(name) is not None:
                yield f"{at}[{index}].{name}: {said}"
