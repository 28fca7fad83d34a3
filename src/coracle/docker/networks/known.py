"""The networks that Docker's clients see: the engine's, and "host" and "none", which have no records.

"host" is the host's own network, "none" is nothing but a loopback; they are described in the form of records, so that
everybody else treats all alike.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from coracle.core.errors import Malformed, NotFound
from coracle.core.object import Object
from coracle.docker.networks.modes import BRIDGE, HOST, NONE
from coracle.engine.kinds import network as networks
from coracle.engine.kinds.network import NetworkSpec
from coracle.engine.networks import Networks

_ID = re.compile(r"[0-9a-f]{2,64}")
_DRIVERS: Mapping[str, str] = {HOST: "host", NONE: "null"}


class KnownNetworks:
    """Looks networks up as Docker does."""

    def __init__(self, engine: Networks) -> None:
        self._engine = engine

    def list(self) -> Sequence[Object]:
        return [*self._engine.list(), *self._words()]

    def get(self, text: str) -> Object:
        """By id, name, or the only id that begins so.  Raises NotFound, Malformed (several)."""
        if text in _DRIVERS:
            return _word(text, self._engine.get(BRIDGE))
        try:
            found = self._engine.get(text)
        except NotFound:
            return self._word_with(text)
        if text in (found.meta.name, found.spec["name"]) or not any(self._beginning(text)):
            return found
        raise Malformed(f"network {text} is ambiguous (several matches found based on ID prefix)")

    def _word_with(self, text: str) -> Object:
        """The one whose id begins so."""
        found = list(self._beginning(text))
        if len(found) > 1:
            raise Malformed(f"network {text} is ambiguous ({len(found)} matches found based on ID prefix)")
        if not found:
            raise NotFound(f"network {text} not found", kind="Network", name=text)
        return found[0]

    def _beginning(self, text: str) -> Iterator[Object]:
        return (word for word in self._words() if text and word.meta.name.startswith(text))

    def _words(self) -> Sequence[Object]:
        bridge = self._engine.get(BRIDGE)
        return [_word(name, bridge) for name in _DRIVERS]


def _word(name: str, bridge: Object) -> Object:
    """Its id follows from that of "bridge", so that it is the cloud's own and stays."""
    id = hashlib.sha256(f"{bridge.meta.name}/{name}".encode()).hexdigest()
    record = networks.to_record(id, NetworkSpec(name=name, made_by="docker", details={"Driver": _DRIVERS[name]}))
    return record.with_meta(created=bridge.meta.created).with_status(state="ready")
