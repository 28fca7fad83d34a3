"""Whose namespaces a container lives in, and which settings exclude each other.

Source: Docker Engine API 1.50, "HostConfig"; moby runconfig/hostconfig_unix.go, daemon/container.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Malformed


def check_modes(config: Mapping[str, Any], host: Mapping[str, Any]) -> None:
    """Raises Malformed."""
    _check_one(host, "IpcMode", "IPC mode", ("", "private", "shareable", "none", "host"), container=True)
    _check_one(host, "PidMode", "PID mode", ("", "private", "host"), container=True)
    _check_one(host, "UTSMode", "UTS mode", ("", "host"))
    _check_one(host, "UsernsMode", "user namespace mode", ("", "host"))
    _check_one(host, "CgroupnsMode", "CgroupNS mode", ("", "private", "host"))
    _check_network(config, host)


def joined(mode: str) -> str:
    """The container whose namespace is meant: "web" for "container:web", else ""."""
    return mode.removeprefix("container:") if mode.startswith("container:") else ""


def _check_one(
    host: Mapping[str, Any], field: str, word: str, known: tuple[str, ...], *, container: bool = False
) -> None:
    mode = str(host.get(field, ""))
    if mode in known or (container and joined(mode)):
        return
    raise Malformed(f"invalid {word}: {mode[:100]}")


def _check_network(config: Mapping[str, Any], host: Mapping[str, Any]) -> None:
    mode = str(host.get("NetworkMode", "default"))
    if mode.startswith("container:"):
        if not joined(mode):
            raise Malformed("invalid network mode: invalid container format container:<name|id>")
        _exclude(config, host)
    if config.get("Hostname") and (mode.startswith("container:") or host.get("UTSMode") == "host"):
        what = "UTS mode" if host.get("UTSMode") == "host" else "network mode"
        raise Malformed(f"conflicting options: hostname and the {what}")
    if mode == "host" and host.get("Links"):
        raise Malformed(
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior"
        )


def _exclude(config: Mapping[str, Any], host: Mapping[str, Any]) -> None:
    published = host.get("PortBindings") or host.get("PublishAllPorts")
    excluded = (
        (host.get("Links"), "container type network can't be used with links. This would result in undefined behavior"),
        (host.get("Dns"), "dns and the network mode"),
        (host.get("ExtraHosts"), "custom host-to-IP mapping and the network mode"),
        (config.get("MacAddress"), "mac-address and the network mode"),
        (published, "port publishing and the container type network mode"),
        (config.get("ExposedPorts"), "port exposing and the container type network mode"),
    )
    for asked, words in excluded:
        if asked:
            raise Malformed(f"conflicting options: {words}")
