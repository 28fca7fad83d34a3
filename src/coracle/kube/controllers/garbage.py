"""Remove what belongs to something that is gone.

    owner gone, another owner there    the reference to the gone one is dropped
    every owner gone                   the dependent is deleted
    owner waits (foregroundDeletion)   its dependents are deleted; it goes when those that block it have
    owner lets them stay (orphan)      the references to it are dropped; then it goes
    owners in a circle                 one of them stops blocking the others, so that all can go

An owner is known by its uid: another object of the same name is another owner.  One that is named by something in
another namespace, or by something in none, is no owner: an Event says so.

Source: Kubernetes documentation, "Garbage Collection", "Use Cascading Deletion in a Cluster".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from coracle.core.collection import Collection, Deletion, Propagation
from coracle.core.informer import Informer
from coracle.core.loop import ToKeys
from coracle.core.object import Key, Object, Owner, type_of
from coracle.core.sameness import change_same, delete_same
from coracle.core.store import Entry, Event
from coracle.kube.kinds.recorder import EventRecorder

SPEAKER = "garbage-collector-controller"
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_HELD = (f'"{FOREGROUND}"'.encode(), f'"{ORPHAN}"'.encode())

Verdict = Literal["solid", "waiting", "gone"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a dependent: nothing, fewer owners, or deletion (`how`).

    `unblock`: its owners need not wait for it, lest they wait for themselves.
    """

    delete: bool = False
    how: Propagation = "Background"
    unblock: bool = False
    drop: tuple[str, ...] = ()


def decide(obj: Object, verdicts: Mapping[str, Verdict], dependents: Sequence[Object]) -> Fate:
    """`verdicts`: the uid of each owner -> how it is.  An object that is going already is left alone."""
    if obj.meta.deleting or not verdicts:
        return Fate()
    lost = tuple(uid for uid, verdict in verdicts.items() if verdict != "solid")
    if len(lost) < len(verdicts):
        return Fate(drop=lost)
    if "waiting" in verdicts.values() and dependents:
        return Fate(delete=True, how="Foreground", unblock=any(waits(one) for one in dependents))
    return Fate(delete=True, how=_asked(obj))


def _asked(obj: Object) -> Propagation:
    """What its finalizers ask for."""
    if ORPHAN in obj.meta.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in obj.meta.finalizers else "Background"


def waits(obj: Object) -> bool:
    """Whether it goes when its dependents have."""
    return bool(obj.meta.deleting) and FOREGROUND in obj.meta.finalizers


class Garbage:
    """Keys are (type in the store, "namespace/name"): this loop looks after objects of every kind."""

    name = "garbage"

    def __init__(
        self, caches: Mapping[str, Informer], collections: Mapping[str, Collection], recorder: EventRecorder
    ) -> None:
        """`collections` by type in the store, one for each kind that may own or be owned; `caches` has all of them."""
        self._caches = {type: caches[type] for type in collections}
        self._collections, self._recorder = collections, recorder
        self.watches: Mapping[str, ToKeys] = dict.fromkeys(collections, self._concerned)

    async def reconcile(self, key: Key) -> None:
        type, at = key.namespace, _place(key.name)
        obj = self._caches[type].find(at)
        if obj is None:
            return
        if waits(obj):
            await self._remove_dependents(obj)
        elif obj.meta.deleting and ORPHAN in obj.meta.finalizers:
            await self._free_dependents(obj)
        elif obj.meta.owners:
            await self._judge(obj)

    # -- who is concerned ----------------------------------------------------------------------------------------

    def _concerned(self, event: Event) -> Iterable[Key]:
        """The object itself, if its owners are new or it waits; what it owned, once it is gone; who waited for it."""
        entry = event.entry
        if event.type == "DELETED":
            dependents = [_key(obj.type, obj.key) for obj in self._dependents(entry.uid)]
            return dependents + (self._waiting_owners(entry) if entry.owner_uids else [])
        keys = []
        moved = event.before is None or event.before.owner_uids != entry.owner_uids
        if (entry.owner_uids and moved) or any(held in entry.raw for held in _HELD):
            keys.append(_key(entry.type, entry.key))
        if moved and event.before is not None and event.before.owner_uids:
            keys += self._waiting_owners(event.before)
        return keys

    def _waiting_owners(self, entry: Entry) -> list[Key]:
        found = []
        for ref in entry.object().meta.owners:
            owner = self._find(ref, entry.key.namespace)
            if owner is not None and waits(owner):
                found.append(_key(owner.type, owner.key))
        return found

    def _dependents(self, uid: str) -> list[Object]:
        return [obj for cache in self._caches.values() for obj in cache.owned_by(uid)]

    def _find(self, ref: Owner, namespace: str) -> Object | None:
        cache = self._caches.get(type_of(ref.api, ref.kind))
        if cache is None:
            return None
        room = namespace if self._collections[cache.type].kind.namespaced else ""
        found = cache.find(Key(room, ref.name))
        return found if found is not None and found.meta.uid == ref.uid else None

    # -- dependents ----------------------------------------------------------------------------------------------

    async def _judge(self, obj: Object) -> None:
        for ref in filter(lambda ref: self._strays(obj, ref), obj.meta.owners):
            self._report(obj, ref)
        room = obj.meta.namespace
        if not all(self._may_own(ref, room) for ref in obj.meta.owners):
            return  # an owner of a kind that is not served here, or not for this: nobody can say that it is gone
        verdicts = {ref.uid: self._verdict(ref, room) for ref in obj.meta.owners}
        fate = decide(obj, verdicts, self._dependents(obj.meta.uid))
        if fate.unblock:
            await self._unblock(obj)
        if fate.delete:
            await self._delete(obj, fate.how)
        elif fate.drop:
            await self._drop_owners(obj, fate.drop)

    def _may_own(self, ref: Owner, namespace: str) -> bool:
        """Whether there can be such an owner for something in `namespace` (or in none)."""
        type = type_of(ref.api, ref.kind)
        return type in self._caches and bool(namespace or not self._collections[type].kind.namespaced)

    def _strays(self, obj: Object, ref: Owner) -> bool:
        """Whether it names an owner of another namespace."""
        cache = self._caches.get(type_of(ref.api, ref.kind))
        if cache is None or not self._collections[cache.type].kind.namespaced:
            return False
        if self._find(ref, obj.meta.namespace) is not None:
            return False
        return any(entry.uid == ref.uid and entry.key.namespace != obj.meta.namespace for entry in cache.entries())

    def _report(self, obj: Object, ref: Owner) -> None:
        room = obj.meta.namespace
        named = f"[{ref.api}/{ref.kind}, namespace: {room}, name: {ref.name}, uid: {ref.uid}]"
        said = f'ownerRef {named} does not exist in namespace "{room}"'
        self._recorder.emit(obj, "Warning", "OwnerRefInvalidNamespace", said)

    def _verdict(self, ref: Owner, namespace: str) -> Verdict:
        owner = self._find(ref, namespace)
        if owner is None:
            return "gone"
        return "waiting" if waits(owner) else "solid"

    async def _delete(self, obj: Object, how: Propagation) -> None:
        await delete_same(self._collections[obj.type], obj, Deletion(propagation=how))

    async def _unblock(self, obj: Object) -> None:
        def unblocked(present: Object) -> Object:
            return present.with_meta(owners=tuple(replace(ref, block_deletion=False) for ref in present.meta.owners))

        await self._change(obj, unblocked)

    async def _drop_owners(self, obj: Object, uids: tuple[str, ...]) -> None:
        def freed(present: Object) -> Object:
            return present.with_meta(owners=tuple(ref for ref in present.meta.owners if ref.uid not in uids))

        await self._change(obj, freed)

    # -- owners that wait ----------------------------------------------------------------------------------------

    async def _remove_dependents(self, owner: Object) -> None:
        dependents = self._dependents(owner.meta.uid)
        for obj in dependents:
            if not obj.meta.deleting:
                await self._judge(obj)
        blocking = [obj for obj in self._dependents(owner.meta.uid) if _blocks(obj, owner.meta.uid)]
        if all(self._waits_for(obj, owner) for obj in blocking):
            await self._finish(owner, FOREGROUND)

    def _waits_for(self, obj: Object, owner: Object) -> bool:
        """Whether it goes only after `owner`, which would wait for itself."""
        reached, seen = [obj], {obj.meta.uid}
        while reached:
            one = reached.pop()
            if one.meta.uid == owner.meta.uid:
                return True
            after = self._dependents(one.meta.uid) if waits(one) else []
            reached += [other for other in after if _blocks(other, one.meta.uid) and other.meta.uid not in seen]
            seen |= {other.meta.uid for other in after}
        return False

    async def _free_dependents(self, owner: Object) -> None:
        for obj in self._dependents(owner.meta.uid):
            await self._drop_owners(obj, (owner.meta.uid,))
        await self._finish(owner, ORPHAN)

    async def _finish(self, owner: Object, finalizer: str) -> None:
        await self._change(owner, lambda present: present.without_finalizer(finalizer))

    async def _change(self, obj: Object, how: Callable[[Object], Object]) -> None:
        await change_same(self._collections[obj.type], obj, how)


def _blocks(obj: Object, uid: str) -> bool:
    return any(ref.uid == uid and ref.block_deletion for ref in obj.meta.owners)


def _key(type: str, key: Key) -> Key:
    return Key(type, f"{key.namespace}/{key.name}")


def _place(name: str) -> Key:
    namespace, _, rest = name.partition("/")
    return Key(namespace, rest)
