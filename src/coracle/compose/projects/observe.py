"""What there is of a project: its containers as Docker shows them, looked at again only when their records change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from coracle.compose.create import labels
from coracle.compose.projects.asking import Asking, Refused, path
from coracle.compose.projects.seen import Present, Seen, SeenNetwork, seen
from coracle.core import claims
from coracle.core.informer import Index, Informer
from coracle.core.object import Key, Object
from coracle.core.store import Event, Store
from coracle.engine.kinds.container import TYPE as CONTAINERS
from coracle.engine.kinds.network import TYPE as NETWORKS
from coracle.engine.kinds.network import name_claim as network_name
from coracle.engine.kinds.volume import TYPE as VOLUMES

BY_PROJECT = "compose-project"
_LOST = "ContainerStatusUnknown"


def _project(record: Object) -> Iterable[str]:
    name = record.meta.labels.get(labels.PROJECT)
    return (name,) if name else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {type: {BY_PROJECT: _project} for type in (CONTAINERS, NETWORKS, VOLUMES)}


def to_project(event: Event) -> Iterable[Key]:
    """The project that a changed container, network or volume is of."""
    name = event.entry.labels.get(labels.PROJECT)
    return (Key("", name),) if name else ()


class Observer:
    def __init__(self, docker: Asking, store: Store, caches: Mapping[str, Informer]) -> None:
        self._docker, self._store = docker, store
        self._caches = {type: caches[type] for type in INDEXES}
        self._seen: dict[str, tuple[int, Seen]] = {}

    async def look(self, project: str) -> Present:
        """Everything that was committed up to now is in it."""
        revision = self._store.revision
        for cache in self._caches.values():
            await cache.wait_revision(revision)
        found = [await self._container(record) for record in self._caches[CONTAINERS].by(BY_PROJECT, project)]
        return Present(
            [one for one in found if one is not None],
            [_network(record) for record in self._caches[NETWORKS].by(BY_PROJECT, project)],
            {
                record.meta.name: record.meta.labels.get(labels.VOLUME, record.meta.name)
                for record in self._caches[VOLUMES].by(BY_PROJECT, project)
            },
            _Stored(self._store, claims.TYPE, network_name),
            _Stored(self._store, VOLUMES, str),
        )

    async def _container(self, record: Object) -> Seen | None:
        id, revision = record.meta.name, record.meta.revision
        known = self._seen.get(id)
        if known is not None and known[0] == revision:
            return known[1]
        try:
            inspected = await self._docker.call("GET", path("containers", id, "json"))
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise
        one = seen(inspected, lost=record.status.get("reason") == _LOST)
        self._seen[id] = (revision, one)
        return one


@dataclass(frozen=True, slots=True)
class _Stored:
    """The names for which there is an object in the store."""

    store: Store
    type: str
    to_name: Callable[[str], str]

    def __contains__(self, name: object) -> bool:
        return self.store.find(self.type, Key("", self.to_name(str(name)))) is not None


def _network(record: Object) -> SeenNetwork:
    marks = record.meta.labels
    name = str(record.spec["name"])
    return SeenNetwork(
        id=record.meta.name,
        name=name,
        key=marks.get(labels.NETWORK, name),
        hash=marks.get(labels.HASH, ""),
        ready=record.status.get("state") == "ready",
    )
