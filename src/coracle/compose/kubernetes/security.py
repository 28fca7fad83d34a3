"""Who a container is, and what it may.

Source: Kubernetes documentation, "Configure a Security Context for a Pod or Container".
"""

from __future__ import annotations

from typing import Any

from coracle.compose.kubernetes.fields import Fields, compact

_SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
)
_SELINUX = ("user", "role", "type", "level")


def of_container(service: Fields) -> dict[str, Any]:
    """The container's `securityContext`."""
    capabilities = compact(
        add=[_capability(name) for name in service.take("cap_add", ())],
        drop=[_capability(name) for name in service.take("cap_drop", ())],
    )
    options = _options(service)
    if service.take("privileged") and options.pop("allowPrivilegeEscalation", None) is not None:
        service.warn("security_opt", "no-new-privileges: a privileged container cannot be kept from new privileges")
    return compact(
        **_user(service),
        privileged=service.take("privileged") or None,
        readOnlyRootFilesystem=service.take("read_only") or None,
        capabilities=capabilities,
        **options,
    )


def of_pod(service: Fields) -> dict[str, Any]:
    """The pod's `securityContext`; volumes are given to the group of a user that is not root."""
    return compact(
        fsGroup=_group_of_volumes(service),
        supplementalGroups=_groups(service),
        sysctls=_sysctls(service),
    )


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _user(service: Fields) -> dict[str, Any]:
    user, colon, group = str(service.take("user", "")).partition(":")
    if (user and not user.isdecimal()) or (colon and not group.isdecimal()):
        service.warn("user", "Kubernetes takes numbers only, it does not look names up in the image")
    return {
        "runAsUser": int(user) if user.isdecimal() else None,
        "runAsGroup": int(group) if group.isdecimal() else None,
    }


def _group_of_volumes(service: Fields) -> int | None:
    user, _, group = str(service.take("user", "")).partition(":")
    if not service.take("volumes") or not user.isdecimal() or int(user) == 0:
        return None
    return int(group) if group.isdecimal() else int(user)


def _groups(service: Fields) -> list[int]:
    groups = service.take("group_add", ())
    if not all(group.isdecimal() for group in groups):
        service.warn("group_add", "Kubernetes takes numbers only, it does not look names up in the image")
    return [int(group) for group in groups if group.isdecimal()]


def _sysctls(service: Fields) -> list[dict[str, str]]:
    given = service.take("sysctls", {})
    unsafe = sorted(name for name in given if name not in _SAFE_SYSCTLS)
    if unsafe:
        service.warn("sysctls", f"{', '.join(unsafe)}: every node's kubelet must allow it (--allowed-unsafe-sysctls)")
    return [{"name": name, "value": str(value)} for name, value in sorted(given.items())]


def _options(service: Fields) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option in service.take("security_opt", ()):
        name, mark, value = option.partition("=") if "=" in option else option.partition(":")
        if not (said := _option(name, value if mark else "true")):
            service.warn("security_opt", f"{option}: there is no such thing in Kubernetes, or it needs a file on nodes")
        for key, part in said.items():
            found[key] = {**found[key], **part} if isinstance(part, dict) and key in found else part
    return found


def _option(name: str, value: str) -> dict[str, Any]:
    """One of `security_opt`; empty where it cannot be said."""
    match name:
        case "no-new-privileges":
            return {"allowPrivilegeEscalation": value != "true"}
        case "seccomp" if value == "unconfined":
            return {"seccompProfile": {"type": "Unconfined"}}
        case "apparmor" if value == "unconfined":
            return {"appArmorProfile": {"type": "Unconfined"}}
        case "apparmor":
            return {"appArmorProfile": {"type": "Localhost", "localhostProfile": value}}
        case "label":
            key, _, what = value.partition(":")
            return {"seLinuxOptions": {key: what}} if key in _SELINUX and what else {}
    return {}
