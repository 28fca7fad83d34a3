"""Kinds that are served in more versions than the one that is stored.

Source: Kubernetes documentation, "API groups and versioning".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from coracle.core.collection import Collection, Deletion
from coracle.core.errors import Invalid
from coracle.core.kind import Kind
from coracle.core.object import Key, Object
from coracle.core.selectors import EVERYTHING, Selector
from coracle.kube.kinds import autoscalerv1, eventsv1

_PLAINLY = Deletion()
OTHERS: tuple[Kind, ...] = (autoscalerv1.KIND, eventsv1.KIND)


def of(collections: Iterable[Collection]) -> list[Collection]:
    """The collections of the other versions of these."""
    stored = {collection.kind.type: collection for collection in collections}
    return [OtherVersion(stored[kind.type], kind) for kind in OTHERS if kind.type in stored]


class OtherVersion(Collection):
    """A collection as clients of another version see it.  Writing goes through the rules of what is stored."""

    def __init__(self, stored: Collection, kind: Kind) -> None:
        self.kind, self._stored = kind, stored
        self._shown, self._to_stored = kind.shown or _as_it_is, kind.kept or _as_it_is

    def find(self, key: Key) -> Object | None:
        found = self._stored.find(key)
        return self._shown(found) if found is not None else None

    def get(self, key: Key) -> Object:
        return self._shown(self._stored.get(key))

    def list(self, namespace: str | None = None, labels: Selector = EVERYTHING) -> Sequence[Object]:
        return [self._shown(one) for one in self._stored.list(namespace, labels)]

    async def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        return await self._stored.create(self._strictly(self._to_stored(obj), None), dry_run=dry_run)

    async def update(self, obj: Object, part: str = "main", *, dry_run: bool = False) -> Object:
        new = self._strictly(self._to_stored(obj), self._stored.get(obj.key))
        return await self._stored.update(new, part, dry_run=dry_run)

    async def change(
        self, key: Key, how: Callable[[Object], Object], part: str = "main", *, dry_run: bool = False
    ) -> Object:
        def changed(old: Object) -> Object:
            return self._strictly(self._to_stored(how(self._shown(old))), old)

        return await self._stored.change(key, changed, part, dry_run=dry_run)

    async def delete(
        self, key: Key, how: Deletion = _PLAINLY, *, missing_ok: bool = False, dry_run: bool = False
    ) -> Object | None:
        return await self._stored.delete(key, how, missing_ok=missing_ok, dry_run=dry_run)

    def _strictly(self, new: Object, old: Object | None) -> Object:
        """Raises Invalid where it breaks a rule of this version alone."""
        problems = self.kind.stricter(new, old)
        if problems:
            raise Invalid(problems, kind=self.kind.type, name=new.meta.name)
        return new


def _as_it_is(obj: Object) -> Object:
    return obj
