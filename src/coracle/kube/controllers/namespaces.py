"""Empty a namespace that is being deleted, then let it go.

Pods go before everything else, for they may need it to the end.  They take their time; whatever is left is looked at
again when a pod goes, or a little later.

Source: Kubernetes documentation, "Namespaces"; its ordered deletion; the conditions of a Terminating namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection, Deletion
from coracle.core.errors import NotFound
from coracle.core.informer import Informer
from coracle.core.loop import Again, itself
from coracle.core.object import Json, Key, Object
from coracle.core.store import Event
from coracle.kube.kinds import namespace
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.conditions import with_condition

NAMESPACE, POD, EVENT = namespace.KIND.type, pods.KIND.type, "Event"
_ORDER = {POD: 0, EVENT: 2}
LOOK_AGAIN_S = 1.0  # things held by finalizers of others tell us nothing when they go


def _room(event: Event) -> Iterable[Key]:
    return (Key("", event.entry.key.namespace),) if event.type == "DELETED" else ()


class Namespaces:
    name = "namespaces"

    def __init__(
        self, caches: Mapping[str, Informer], writer: Collection, contents: Sequence[Collection], clock: Clock
    ) -> None:
        """`contents` are the collections of every namespaced kind."""
        self._namespaces, self._writer, self._clock = caches[NAMESPACE], writer, clock
        # Events last: the others may say something while they go.
        self._contents = sorted(contents, key=lambda collection: _ORDER.get(collection.kind.type, 1))
        self.watches = {NAMESPACE: itself, POD: _room}

    async def reconcile(self, key: Key) -> Again | None:
        found = self._namespaces.find(key)
        if found is None or not found.meta.deleting or namespace.FINALIZER not in (found.spec.get("finalizers") or ()):
            return None
        left: dict[str, int] = {}
        finalizers: dict[str, int] = {}
        for collection in self._contents:
            for obj in await self._empty(collection, key.name):
                left[collection.kind.resource] = left.get(collection.kind.resource, 0) + 1
                for name in obj.meta.finalizers:
                    finalizers[name] = finalizers.get(name, 0) + 1
            if left and collection.kind.type == POD:
                break
        await self._tell(key, left, finalizers)
        if left:
            return Again(LOOK_AGAIN_S)
        await self._let_go(key)
        return None

    async def _empty(self, collection: Collection, room: str) -> list[Object]:
        """Ask everything of one kind to go.  Returns what is still there."""
        for obj in collection.list(room):
            if not obj.meta.deleting:
                await collection.delete(obj.key, Deletion(propagation="Background"), missing_ok=True)
        return list(collection.list(room))

    async def _tell(self, key: Key, left: Mapping[str, int], finalizers: Mapping[str, int]) -> None:
        now = rfc3339(self._clock.now_s())

        def told(present: Object) -> Object:
            others = {*(present.spec.get("finalizers") or ()), *present.meta.finalizers} - {namespace.FINALIZER}
            if not left and not others:
                return present  # it goes next: no use in a last word
            conditions: list[Json] = present.status.get("conditions") or []
            for condition in state(left, finalizers):
                conditions = with_condition(conditions, condition, now)
            return present.with_status(phase="Terminating", conditions=conditions)

        try:
            await self._writer.change(key, told, part="status")
        except NotFound:
            return

    async def _let_go(self, key: Key) -> None:
        def freed(present: Object) -> Object:
            kept = [name for name in present.spec.get("finalizers") or () if name != namespace.FINALIZER]
            return present.with_spec(finalizers=kept)

        try:
            await self._writer.change(key, freed, part="finalize")
        except NotFound:
            return


def state(left: Mapping[str, int], finalizers: Mapping[str, int]) -> list[Json]:
    """The conditions of a namespace with `left` things per resource, held by `finalizers`."""
    remaining = ", ".join(f"{_dotted(name)} has {number} resource instances" for name, number in sorted(left.items()))
    holding = ", ".join(f"{name} in {number} resource instances" for name, number in sorted(finalizers.items()))
    content, finalizing = _NO_CONTENT, _NO_FINALIZERS
    if left:
        content = ("SomeResourcesRemain", f"Some resources are remaining: {remaining}")
    if finalizers:
        finalizing = ("SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {holding}")
    return [
        *(_condition(type, False, said) for type, said in _WELL),
        _condition("NamespaceContentRemaining", bool(left), content),
        _condition("NamespaceFinalizersRemaining", bool(finalizers), finalizing),
    ]


_NO_CONTENT = ("ContentRemoved", "All content successfully removed")
_NO_FINALIZERS = ("ContentHasNoFinalizers", "All content-preserving finalizers finished")
_PARSED = ("ParsedGroupVersions", "All legacy kube types successfully parsed")
_DELETED = "All content successfully deleted, may be waiting on finalization"
# Failures that we cannot have, told because clients look for them.
_WELL = (
    ("NamespaceDeletionDiscoveryFailure", ("ResourcesDiscovered", "All resources successfully discovered")),
    ("NamespaceDeletionGroupVersionParsingFailure", _PARSED),
    ("NamespaceDeletionContentFailure", ("ContentDeleted", _DELETED)),
)


def _dotted(resource: str) -> str:
    """`pods.`, `leases.coordination.k8s.io`: as Kubernetes writes the core group here."""
    return resource if "." in resource else f"{resource}."


def _condition(type: str, holds: bool, said: tuple[str, str]) -> Json:
    reason, message = said
    return {"type": type, "status": "True" if holds else "False", "reason": reason, "message": message}
