"""securityContext as the engine takes it.  Pure.

Source: Kubernetes documentation, "Configure a Security Context for a Pod or Container".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from coracle.core.object import Object
from coracle.engine.kinds.container import Security
from coracle.kube.kubelet.environment import ConfigError
from coracle.kube.kubelet.records import containers_of, init_containers_of

_SECCOMP_ROOT = "/var/lib/kubelet/seccomp/"


def security(pod: Object, container: Mapping[str, Any], *, seccomp_default: bool = True) -> Security:
    """What the container may do; `seccomp_default` as in NodeConfig.  Raises ConfigError."""
    own = context(pod, container)
    capabilities = own.get("capabilities") or {}
    bare = own.get("procMount") == "Unmasked"
    return Security(
        privileged=bool(own.get("privileged")),
        add=tuple(capabilities.get("add") or ()),
        drop=tuple(capabilities.get("drop") or ()),
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        seccomp=_seccomp(own.get("seccompProfile") or {}, "RuntimeDefault" if seccomp_default else "Unconfined"),
        apparmor=_apparmor(own.get("appArmorProfile") or {}),
        masked_paths=() if bare else None,
        read_only_paths=() if bare else None,
    )


def context(pod: Object, container: Mapping[str, Any]) -> dict[str, Any]:
    """The container's securityContext over the pod's."""
    own = {name: value for name, value in (container.get("securityContext") or {}).items() if value is not None}
    return {**(pod.spec.get("securityContext") or {}), **own}


def _apparmor(profile: Mapping[str, Any]) -> str:
    """The name of a profile that the host has loaded; ""."""
    return str(profile.get("localhostProfile") or "") if profile.get("type") == "Localhost" else ""


def _seccomp(profile: Mapping[str, Any], default: str) -> str:
    match profile.get("type", default):
        case "Unconfined":
            return "unconfined"
        case "Localhost":
            path = str(profile.get("localhostProfile") or "")
            if not path or path.startswith("/") or ".." in path.split("/"):
                raise ConfigError(f"localhost seccomp profile must be a path below {_SECCOMP_ROOT}")
            return _SECCOMP_ROOT + path
    return "default"


def user(pod: Object, container: Mapping[str, Any], image_config: Mapping[str, Any]) -> str:
    """`uid`, `uid:gid` or "" for the image's own.  Raises ConfigError (runAsNonRoot, a group without a user)."""
    own = context(pod, container)
    uid, gid = own.get("runAsUser"), own.get("runAsGroup")
    if own.get("runAsNonRoot"):
        _refuse_root(pod, container, uid, str(image_config.get("user") or ""))
    if uid is None:
        if gid is not None:
            image_user = str(image_config.get("user") or "0").partition(":")[0]
            return f"{image_user}:{gid}"
        return ""
    return f"{uid}:{gid}" if gid is not None else str(uid)


def common_user(pod: Object) -> int | None:
    """The user that every container is to run as, None where one is told none or they differ."""
    everyone = [*init_containers_of(pod), *containers_of(pod)]
    users = {context(pod, one).get("runAsUser") for one in everyone}
    return users.pop() if len(users) == 1 else None


def _refuse_root(pod: Object, container: Mapping[str, Any], uid: int | None, image_user: str) -> None:
    who = f'(pod: "{pod.meta.name}_{pod.meta.namespace}({pod.meta.uid})", container: {container["name"]})'
    if uid == 0:
        raise ConfigError(f"container's runAsUser breaks non-root policy {who}")
    if uid is not None:
        return
    name = image_user.partition(":")[0]
    if name in ("", "0", "root"):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {who}")
    if not name.isdecimal():
        said = (
            f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {who}"
        )
        raise ConfigError(said)


def groups(pod: Object) -> tuple[str, ...]:
    """More groups of every container's processes."""
    own = pod.spec.get("securityContext") or {}
    asked = [*(own.get("supplementalGroups") or ()), *([own["fsGroup"]] if own.get("fsGroup") is not None else [])]
    return tuple(str(gid) for gid in dict.fromkeys(asked))


def memberships(pod: Object) -> Literal["all", "none"]:
    """Whether the groups count that the image gives its user."""
    strict = (pod.spec.get("securityContext") or {}).get("supplementalGroupsPolicy") == "Strict"
    return "none" if strict else "all"
