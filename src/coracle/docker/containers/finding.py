"""Which container a client means: its id, the beginning of it, or its name with or without a slash."""

from __future__ import annotations

import re

from coracle.core.errors import Invalid, NotFound
from coracle.core.object import Object
from coracle.core.store import Store
from coracle.engine.containers import Containers
from coracle.engine.kinds import container as containers

_HEX = re.compile(r"[0-9a-f]{1,64}")


class Finder:
    """Reads the store itself, so that what was just created is found."""

    def __init__(self, store: Store, containers: Containers) -> None:
        self._store, self._containers = store, containers

    def get(self, reference: str) -> Object:
        """The container meant.  Raises NotFound, Invalid (the beginning of several ids)."""
        found = self.find(reference)
        if found is None:
            raise NotFound(f"No such container: {reference[:300]}", kind="Container", name=reference)
        return found

    def find(self, reference: str) -> Object | None:
        """Raises Invalid, as `get`."""
        if len(reference) == 64 and (whole := self._containers.find(reference)) is not None:
            return whole
        named = self._containers.find_named(reference.removeprefix("/"))
        return named if named is not None else self._begins(reference)

    def _begins(self, start: str) -> Object | None:
        if not _HEX.fullmatch(start):
            return None
        found = [e for e in self._store.entries(containers.TYPE) if e.key.name.startswith(start)]
        if len(found) > 1:
            raise Invalid(message=f"multiple IDs found with provided prefix: {start}", kind="Container", name=start)
        return found[0].object() if found else None
