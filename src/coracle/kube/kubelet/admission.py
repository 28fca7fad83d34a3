"""Pods that this node cannot run as they ask: refused before anything of them is made.  Pure.

A refused pod has failed, with the reason in its status and in an event; the scheduler cannot know better.

Source: Kubernetes documentation, "Using sysctls in a Kubernetes Cluster", "Restrict a Container's Access to Resources
with AppArmor"; kubelet's sysctl allowlist and admission handlers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.object import Object
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.records import everyone

SAFE_SYSCTLS = frozenset((
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
))  # fmt: skip

_NAMESPACED = ("net.", "fs.mqueue.", "kernel.msg", "kernel.sem", "kernel.shm")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not: for the status and the event."""

    reason: str
    message: str


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _profile(holder: Mapping[str, Any]) -> str:
    """The AppArmor profile that a pod's or a container's securityContext names."""
    profile = (holder.get("securityContext") or {}).get("appArmorProfile") or {}
    return str(profile.get("type") or "")


def sysctl_name(name: str) -> str:
    """With dots between its parts, however it was written: `kernel/shm_rmid_forced`, `net/ipv4/conf/eth0.1/x`."""
    slash, dot = name.find("/"), name.find(".")
    if slash < 0 or 0 <= dot < slash:
        return name
    return name.translate(str.maketrans("/.", "./"))


def sysctl_patterns(given: Any) -> tuple[str, ...]:
    """Names of sysctls of a pod's own namespaces, or beginnings of names with a `*` behind.  Raises ValueError."""
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise ValueError("must be a list of names")
    for pattern in given:
        if not sysctl_name(pattern).startswith(_NAMESPACED):
            raise ValueError(f"{pattern!r} is no sysctl of a namespace: it would change the host")
    return tuple(sysctl_name(pattern) for pattern in given)


def refusal(pod: Object, config: NodeConfig) -> Refusal | None:
    """None: it may run."""
    if (pod.spec.get("os") or {}).get("name") not in (None, "", "linux"):
        return Refusal("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    profiles = {_profile(one) for one in [pod.spec, *everyone(pod)]}
    if profiles & {"Localhost", "RuntimeDefault"} and not config.apparmor:
        return Refusal("AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host")
    if "RuntimeDefault" in profiles:
        return Refusal("AppArmor", "Cannot enforce AppArmor: the runtime has no default profile")
    for sysctl in (pod.spec.get("securityContext") or {}).get("sysctls") or ():
        name = sysctl_name(str(sysctl["name"]))
        if name not in SAFE_SYSCTLS and not any(_fits(name, pattern) for pattern in config.unsafe_sysctls):
            return Refusal("SysctlForbidden", f'forbidden sysctl: "{name}" not allowlisted')
        if name.startswith("net.") and pod.spec.get("hostNetwork"):
            return Refusal("SysctlForbidden", f'forbidden sysctl: "{name}" not allowed with host net enabled')
        if name.startswith("kernel.") and pod.spec.get("hostIPC"):
            return Refusal("SysctlForbidden", f'forbidden sysctl: "{name}" not allowed with host ipc enabled')
    return None
