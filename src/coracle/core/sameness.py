"""Changing an object that one has looked at, and no other that has taken its name since."""

from __future__ import annotations

from collections.abc import Callable

from coracle.core.collection import Collection
from coracle.core.errors import NotFound
from coracle.core.object import Object


async def change_same(
    writer: Collection, obj: Object, how: Callable[[Object], Object], part: str = "main"
) -> Object | None:
    """As `Collection.change`; None, and no change, where it is gone by now, or another one.  Raises Invalid."""

    def same(present: Object) -> Object:
        return how(present) if present.meta.uid == obj.meta.uid else present

    try:
        found = await writer.change(obj.key, same, part)
    except NotFound:
        return None
    return found if found.meta.uid == obj.meta.uid else None
