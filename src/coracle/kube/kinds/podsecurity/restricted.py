"""The checks of the standard `restricted`, besides those of `baseline`: what a hardened pod says.  Pure.

Source: Kubernetes documentation, "Pod Security Standards"; the messages of its Pod Security admission.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.kube.kinds.podsecurity.baseline import (
    Annotations,
    Check,
    Finding,
    adding,
    containers,
    context,
    own_users,
    proc_of_all,
    seccomp,
)
from coracle.kube.kinds.podsecurity.words import counted, quoted, setters, which

_VOLUMES = frozenset((
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
))  # fmt: skip


def _windows(spec: Mapping[str, Any]) -> bool:
    return (spec.get("os") or {}).get("name") == "windows"


def escalation(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    those = [one["name"] for one in containers(spec) if context(one).get("allowPrivilegeEscalation") is not False]
    detail = f"{which(those)} must set securityContext.allowPrivilegeEscalation=false"
    return ("allowPrivilegeEscalation != false", detail) if those and not _windows(spec) else None


def capabilities(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    keeping = [
        one["name"]
        for one in containers(spec)
        if "ALL" not in ((context(one).get("capabilities") or {}).get("drop") or ())
    ]
    those, added = adding(spec, ("NET_BIND_SERVICE",))
    said = [f'{which(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    if those:
        said.append(f"{which(those)} must not include {quoted(added)} in securityContext.capabilities.add")
    return ("unrestricted capabilities", "; ".join(said)) if said and not _windows(spec) else None


def volumes(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    types = {
        volume["name"]: next(
            (name for name, given in volume.items() if name != "name" and given is not None), "unknown"
        )
        for volume in spec.get("volumes") or ()
    }
    bad = {name: type for name, type in types.items() if type not in _VOLUMES}
    uses, used = "uses" if len(bad) == 1 else "use", sorted(set(bad.values()))
    detail = f"{counted('volume', bad)} {quoted(bad)} {uses} {counted('restricted volume type', used)} {quoted(used)}"
    return ("restricted volume types", detail) if bad else None


def no_root(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    if own_users(spec):
        return None
    pod = context(spec).get("runAsNonRoot")
    given = {one["name"]: context(one).get("runAsNonRoot") for one in containers(spec)}
    who = " and ".join(setters(pod is False, [name for name, said in given.items() if said is False]))
    if who:
        return "runAsNonRoot != true", f"{who} must not set securityContext.runAsNonRoot=false"
    silent = [name for name, said in given.items() if said is None and not pod]
    detail = f"pod or {which(silent)} must set securityContext.runAsNonRoot=true"
    return ("runAsNonRoot != true", detail) if silent else None


def no_user_0(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    those = [one["name"] for one in containers(spec) if context(one).get("runAsUser") == 0]
    who = " and ".join(setters(context(spec).get("runAsUser") == 0, those))
    return ("runAsUser=0", f"{who} must not set runAsUser=0") if who and not own_users(spec) else None


def confined(annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    if _windows(spec):
        return None
    bad = seccomp(annotations, spec)
    if bad or context(spec).get("seccompProfile") is not None:
        return bad
    silent = [one["name"] for one in containers(spec) if context(one).get("seccompProfile") is None]
    wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return ("seccompProfile", f"pod or {which(silent)} {wanted}") if silent else None


# id -> since which minor version, the check
CHECKS: Mapping[str, tuple[int, Check]] = {
    "allowPrivilegeEscalation": (8, escalation),
    "capabilities_restricted": (22, capabilities),
    "procMount_restricted": (0, proc_of_all),
    "restrictedVolumes": (0, volumes),
    "runAsNonRoot": (0, no_root),
    "runAsUser": (23, no_user_0),
    "seccompProfile_restricted": (19, confined),
}
# The check of `baseline` that one of these says more than.
INSTEAD = {
    "capabilities_restricted": "capabilities_baseline",
    "procMount_restricted": "procMount",
    "restrictedVolumes": "hostPathVolumes",
    "seccompProfile_restricted": "seccompProfile_baseline",
}
