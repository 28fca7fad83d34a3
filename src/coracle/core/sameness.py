"""Changing or removing an object that one has looked at, and no other that has taken its name since."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

from coracle.core.collection import Collection, Deletion
from coracle.core.errors import Conflict, NotFound
from coracle.core.object import Object

_PLAINLY = Deletion()


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


async def delete_same(writer: Collection, obj: Object, how: Deletion = _PLAINLY) -> None:
    """As `Collection.delete`; nothing is done where it is gone by now, or another one."""
    with contextlib.suppress(Conflict):
        await writer.delete(obj.key, replace(how, uid=obj.meta.uid), missing_ok=True)
