"""A container's NetworkMode: what a word means.

default, bridge     the default network
host, none          the host's own; only a loopback
container:<id>      another container's
anything else       a network by name or id
"""

from __future__ import annotations

BRIDGE, HOST, NONE = "bridge", "host", "none"
_OTHER = "container:"


def normal(mode: str) -> str:
    """ "" and "default" are the default network."""
    return BRIDGE if mode in ("", "default") else mode


def is_shared(mode: str) -> bool:
    """Of another container, or of the host."""
    return mode == HOST or mode.startswith(_OTHER)


def container_of(mode: str) -> str:
    """Whose network it shares: the reference in "container:<reference>", else ""."""
    return mode.removeprefix(_OTHER) if mode.startswith(_OTHER) else ""


def is_network(mode: str) -> bool:
    """Whether the engine has a network for it."""
    return not is_shared(mode) and mode != NONE


def is_own(name: str) -> bool:
    """Whether a network of that name was made by a user: it then has aliases and fixed addresses."""
    return name not in (BRIDGE, HOST, NONE, "default", "pods") and not name.startswith(_OTHER)
