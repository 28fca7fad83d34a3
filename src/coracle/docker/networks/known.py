"""The networks that Docker's clients see: the engine's, and "host" and "none", which have no records.

"host" is the host's own network, "none" is nothing but a loopback; they are described in the form of records, so that
everybody else treats all alike.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

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
        words = self._words() if text in _DRIVERS or _ID.fullmatch(text) else ()
        for word in words:
            if text in (word.meta.name, word.spec["name"]):
                return word
        begin = [word for word in words if len(text) > 1 and word.meta.name.startswith(text)]
        try:
            found = self._engine.get(text)
        except NotFound:
            if len(begin) == 1:
                return begin[0]
            raise
        if begin and found.meta.name != text and found.spec["name"] != text:
            raise Malformed(f"network {text} is ambiguous ({len(begin) + 1} matches found based on ID prefix)")
        return found

    def _words(self) -> Sequence[Object]:
        bridge = self._engine.get(BRIDGE)
        return [_word(name, driver, bridge) for name, driver in _DRIVERS.items()]


def _word(name: str, driver: str, bridge: Object) -> Object:
    """Its id follows from that of "bridge", so that it is the cloud's own and stays."""
    id = hashlib.sha256(f"{bridge.meta.name}/{name}".encode()).hexdigest()
    record = networks.to_record(id, NetworkSpec(name=name, made_by="docker", details={"Driver": driver}))
    return record.with_meta(created=bridge.meta.created).with_status(state="ready")
