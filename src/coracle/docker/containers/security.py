"""What a container may do: `Privileged`, `CapAdd`, `SecurityOpt` and their fellows.

Source: Docker Engine API 1.50, "HostConfig"; moby daemon/daemon_unix.go (parseSecurityOpt).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Invalid, Malformed
from coracle.engine.bundles import named_capabilities
from coracle.engine.kinds.container import Security

MAX_PROFILE_BYTES = 1 << 20


def security(host: Mapping[str, Any]) -> Security:
    """Raises Malformed (an option that is not known), as dockerd words it."""
    for field in ("CapAdd", "CapDrop"):
        _check_capabilities(host, field)
    no_new_privileges, seccomp = False, "default"
    for option in host.get("SecurityOpt", ()):
        name, sign, value = _split(option)
        if name == "no-new-privileges":
            no_new_privileges = _flag(value if sign else "true", option)
        elif name == "seccomp" and sign:
            seccomp = _profile(value)
        elif name not in ("apparmor", "label", "writable-cgroups") or not sign:
            raise Malformed(f'invalid --security-opt 2: "{option[:100]}"')
    return Security(
        privileged=bool(host.get("Privileged")),
        add=tuple(host.get("CapAdd", ())),
        drop=tuple(host.get("CapDrop", ())),
        no_new_privileges=no_new_privileges,
        read_only_root=bool(host.get("ReadonlyRootfs")),
        seccomp=seccomp,
        masked_paths=_paths(host, "MaskedPaths"),
        read_only_paths=_paths(host, "ReadonlyPaths"),
    )


def _check_capabilities(host: Mapping[str, Any], field: str) -> None:
    try:
        named_capabilities(host.get(field, ()))
    except Invalid as error:
        raise Malformed(f"invalid {field}: {error}") from error


def _split(option: str) -> tuple[str, str, str]:
    """ "a=b" and the older "a:b"; whichever sign comes first."""
    at = min((option.index(sign) for sign in "=:" if sign in option), default=len(option))
    return option[:at], option[at : at + 1], option[at + 1 :]


def _flag(value: str, option: str) -> bool:
    words = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
    if value.lower() not in words:
        raise Malformed(f'invalid --security-opt 2: "{option[:100]}"')
    return words[value.lower()]


def _profile(value: str) -> str:
    if value in ("unconfined", "default", "builtin"):
        return "default" if value == "builtin" else value
    if not value.lstrip().startswith("{") or len(value) > MAX_PROFILE_BYTES:
        raise Malformed("opening seccomp profile failed: a profile is sent as its text, a JSON object")
    return value


def _paths(host: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    return tuple(host[name]) if name in host else None
