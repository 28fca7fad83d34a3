"""`--link db:database`: another container by a name of one's own, written into /etc/hosts at the start.

On the default network what is linked must run, on a network that a user made it may come later: there its own name is
known anyway.  Environment variables of the linked container are not passed on.

Source: Docker's documentation, "Legacy container links"; messages of moby daemon/container_operations_unix.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from coracle.core.errors import Conflict, Malformed, NotFound
from coracle.core.object import Object
from coracle.docker.networks.modes import BRIDGE
from coracle.engine.sandboxes import Sandboxes

Host = tuple[str, ...]  # a line of /etc/hosts: address, names


def read_link(text: str) -> tuple[str, str]:
    """ "db:database" -> (db, database); "db" -> (db, db).  Raises Malformed."""
    name, colon, alias = text.removeprefix("/").partition(":")
    alias = alias.rpartition("/")[2] if colon else name
    if not name or not alias or ":" in alias:
        raise Malformed(f"bad format for links: {text[:80]}")
    return name, alias


class Links:
    """`find`: a container by what a client calls it, None where there is none."""

    def __init__(self, find: Callable[[str], Object | None], sandboxes: Sandboxes) -> None:
        self._find, self._sandboxes = find, sandboxes

    def hosts(self, record: Object) -> list[Host]:
        """Lines for the container's /etc/hosts.

        Raises: Malformed; NotFound, Conflict where what is linked on the default network is not there, or does not run.
        """
        details = record.spec["details"]
        kept = (details.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
        strict = (details.get("HostConfig") or {}).get("Links") if BRIDGE in kept else ()
        return [*(self._line(record, text) for text in strict or ()), *self._loose(kept)]

    def _line(self, record: Object, text: str) -> Host:
        name, alias = read_link(text)
        other = self._find(name)
        if other is None:
            raise NotFound(
                f"could not get container for {name}: No such container: {name}", kind="Container", name=name
            )
        found = self._address(other, BRIDGE)
        if not found:
            said = f"Cannot link to a non running container: /{other.spec['name']} AS /{record.spec['name']}/{alias}"
            raise Conflict(said, kind="Container", name=name)
        return (found, alias, other.meta.name[:12], other.spec["name"])

    def _loose(self, kept: Mapping[str, Any]) -> Iterator[Host]:
        """Links of endpoints, as far as what they mean is there."""
        for network, endpoint in kept.items():
            for text in (endpoint or {}).get("Links") or ():
                name, alias = read_link(text)
                other = self._find(name)
                address = self._address(other, network) if other is not None else ""
                if address:
                    yield (address, alias)

    def _address(self, container: Object, network: str) -> str:
        """Where it is on that network now, or ""."""
        sandbox = self._sandboxes.find(str(container.spec["sandbox"]))
        there = sandbox.status["endpoints"] if sandbox is not None else ()
        return next((one["address"] for one in there if one["network"] == network and one["state"] == "ready"), "")
