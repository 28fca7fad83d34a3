"""Whose dependents are whose: a controller adopts orphans that match its selector and releases what no longer does.

Dependents are pods; ReplicaSets of Deployments; ControllerRevisions of StatefulSets and DaemonSets.

Source: Kubernetes documentation, "Owners and Dependents"; design of the controller reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from coracle.core.collection import Collection
from coracle.core.errors import NotFound
from coracle.core.informer import Index, Informer
from coracle.core.object import Key, Object
from coracle.core.selectors import Selector, from_label_selector
from coracle.core.store import Event
from coracle.kube.kinds.pod import ended

Fits = Callable[[Object], bool]
Change = Callable[[Object], Object]


def _orphan(obj: Object) -> Iterable[str]:
    return () if obj.meta.controller else (obj.meta.namespace,)


def _living(pod: Object) -> Iterable[str]:
    """Whose it is, or of which namespace an orphan; pods that have ended, of which there may be very many, aside."""
    if ended(pod):
        return ()
    ref = pod.meta.controller
    return (ref.uid,) if ref is not None else (f"/{pod.meta.namespace}",)


OF_DEPENDENTS: dict[str, Index] = {"orphans": _orphan}
OF_PODS: dict[str, Index] = {**OF_DEPENDENTS, "living": _living}
OF_OWNERS: dict[str, Index] = {"uid": lambda obj: (obj.meta.uid,), "namespace": lambda obj: (obj.meta.namespace,)}


def is_of(obj: Object, uid: str) -> bool:
    """Whether its controller is the one with this uid."""
    ref = obj.meta.controller
    return ref is not None and ref.uid == uid


def selector_of(owner: Object) -> Selector:
    """Which objects are its own by their labels: `spec.selector`, a metav1.LabelSelector."""
    return from_label_selector(owner.spec.get("selector"))


def concerned(owners: Informer, selector: Callable[[Object], Selector]) -> Callable[[Event], Iterable[Key]]:
    """The owners that have the changed thing or had it before; for an orphan, those that would like to.

    `owners` has the indexes OF_OWNERS, so that only an orphan's candidates are decoded.
    """

    def keys(event: Event) -> Iterable[Key]:
        entries = [entry for entry in (event.entry, event.before) if entry is not None]
        found = {key for entry in entries for uid in entry.owner_uids for key in owners.keys_by("uid", uid)}
        entry = event.entry
        if event.type != "DELETED" and not entry.owner_uids:
            candidates = owners.by("namespace", entry.key.namespace)
            found |= {owner.key for owner in candidates if selector(owner).accepts(entry.labels)}
        return found

    return keys


@dataclass(frozen=True, slots=True)
class Claims:
    """The dependents that are the controller's and stay so, those to take and those to let go."""

    keep: tuple[Object, ...] = ()
    adopt: tuple[Object, ...] = ()
    release: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """Which dependents fit, by their labels and by what else; which of them are looked at at all.

    `living`: only pods that have not ended.  `adopts`: which orphans are worth it.  `adopted`, `released`: what else is
    done to one that is.
    """

    selector: Selector
    also: Fits = lambda _obj: True
    living: bool = False
    adopts: Fits = lambda _obj: True
    adopted: Change = lambda obj: obj
    released: Change = lambda obj: obj

    def fits(self, obj: Object) -> bool:
        return self.selector.accepts(obj.meta.labels) and self.also(obj)


async def claimed(owner: Object, cache: Informer, writer: Collection, terms: Terms) -> list[Object]:
    """The dependents in `cache` that are `owner`'s, after adopting orphans that fit and releasing what does not."""
    owned, orphans = _candidates(owner, cache, terms)
    return await settle(owner, sort_out(owner, owned, orphans, terms.fits), writer, terms)


def _candidates(owner: Object, cache: Informer, terms: Terms) -> tuple[Sequence[Object], Sequence[Object]]:
    """Those that are its own now, and the orphans that it might like."""
    room = owner.meta.namespace
    if terms.living:
        owned, near = cache.by("living", owner.meta.uid), cache.entries_by("living", f"/{room}")
    else:
        owned, near = cache.owned_by(owner.meta.uid), cache.entries_by("orphans", room)
    orphans = (entry.object() for entry in near if terms.selector.accepts(entry.labels))
    return owned, [obj for obj in orphans if terms.adopts(obj)]


def sort_out(owner: Object, owned: Iterable[Object], orphans: Iterable[Object], fits: Fits) -> Claims:
    """`owned` have the owner as their controller, `orphans` have none; an owner on its way out takes no more."""
    mine = [obj for obj in owned if is_of(obj, owner.meta.uid)]
    keep = tuple(obj for obj in mine if fits(obj))
    release = tuple(obj for obj in mine if not fits(obj) and not obj.meta.deleting)
    if owner.meta.deleting:
        return Claims(keep, (), release)
    return Claims(keep, tuple(obj for obj in orphans if fits(obj) and not obj.meta.deleting), release)


async def settle(owner: Object, claims: Claims, writer: Collection, terms: Terms) -> list[Object]:
    """Write what `claims` decides.  Returns the dependents that are the owner's now."""
    taken = []
    for obj in claims.adopt:
        try:
            taken.append(await writer.change(obj.key, lambda obj: _adopted(obj, owner, terms)))
        except NotFound:
            continue
    for obj in claims.release:
        try:
            await writer.change(obj.key, lambda obj: terms.released(_released(obj, owner)))
        except NotFound:
            continue
    return [*claims.keep, *(obj for obj in taken if is_of(obj, owner.meta.uid))]


def _adopted(obj: Object, owner: Object, terms: Terms) -> Object:
    """Unless somebody else was quicker, or it is on its way out by now."""
    if obj.meta.controller is not None or obj.meta.deleting:
        return obj
    return terms.adopted(obj.with_meta(owners=(*obj.meta.owners, owner.as_owner())))


def _released(obj: Object, owner: Object) -> Object:
    return obj.with_meta(owners=tuple(ref for ref in obj.meta.owners if ref.uid != owner.meta.uid))
