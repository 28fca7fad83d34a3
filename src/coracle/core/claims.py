"""Names that one object holds alone: addresses, node ports, host ports, whichever API they came through.

A claim is an object of its own, committed together with its holder (`Collection`), so that two holders of one address
cannot both be acknowledged, in one process or in several.  It goes in the commit that removes its holder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coracle.core.errors import AlreadyExists
from coracle.core.kind import Reader
from coracle.core.object import Key, Meta, Object
from coracle.core.store import Change, Delete, Put

API = "coracle/v1"
KIND = "Claim"
TYPE = "Claim.coracle"


def holder(reader: Reader, name: str) -> str:
    """Who holds `name` ("Service default/web"), or ""."""
    entry = reader.find(TYPE, Key("", name))
    return str(entry.object().body["holder"]) if entry is not None else ""


def held_by(reader: Reader, name: str, uid: str) -> bool:
    """Whether the object with this uid holds `name`."""
    entry = reader.find(TYPE, Key("", name))
    return entry is not None and entry.object().body["uid"] == uid


def changes(reader: Reader, obj: Object, before: Iterable[str], after: Iterable[str]) -> list[Change]:
    """What to commit so that `obj`, which held `before`, holds `after`.  Raises AlreadyExists naming the holder."""
    old, new = set(before), set(after)
    for name in sorted(new - old):
        who = holder(reader, name)
        if who:
            raise AlreadyExists(f"{name} is already allocated to {who}", kind=TYPE, name=name, holder=who)
    taken: list[Change] = [Put(_claim(name, obj), expect=0) for name in sorted(new - old)]
    freed: list[Change] = [Delete(TYPE, Key("", name)) for name in sorted(old - new)]
    return taken + freed


def moves(reader: Reader, holders: Sequence[tuple[Object, Iterable[str], Iterable[str]]]) -> list[Change]:
    """As `changes` for several objects (obj, before, after) in one commit: a name may pass from one to another."""
    freed = {name for _, before, after in holders for name in {*before} - {*after}}
    done: list[Change] = []
    for obj, before, after in holders:
        taken = {*after} - {*before}
        done += changes(reader, obj, (), taken - freed)
        done += [Put(_claim(name, obj)) for name in sorted(taken & freed)]
        freed -= taken
    return done + [Delete(TYPE, Key("", name)) for name in sorted(freed)]


def _claim(name: str, obj: Object) -> Object:
    return Object(KIND, Meta(name=name), {"holder": f"{obj.kind} {obj.key}", "uid": obj.meta.uid}, API)
