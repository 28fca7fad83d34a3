"""A cache of one kind, kept current by a watch, with indexes; tells its listeners what changed.

Keeps the store's own entries (bytes), decodes when asked.  `wait_revision` is how a loop makes sure that what it
decides on includes everything committed so far, its own writes among it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from coracle.core.errors import Expired, NotFound
from coracle.core.object import Key, Object
from coracle.core.selectors import EVERYTHING, Selector
from coracle.core.store import Entry, Event, Store

K = TypeVar("K")

Index = Callable[[Object], Iterable[str]]
Listener = Callable[[Event], None]


class Informer:
    """A cache of the objects of `type`.  A Part: up once it holds everything there was.

    `indexes` gives names to functions from an object to texts; `by(name, text)` finds the objects that gave that text.
    """

    def __init__(self, type: str, store: Store, indexes: Mapping[str, Index] | None = None) -> None:
        self.type = type
        self.revision = 0
        self._store = store
        self._entries: dict[Key, Entry] = {}
        self._indexes = dict(indexes or {})
        self._found: dict[tuple[str, str], set[Key]] = {}
        self._owned: dict[str, set[Key]] = {}
        self._texts: dict[Key, list[tuple[str, str]]] = {}
        self._listeners: list[Listener] = []
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._ask: Callable[[], None] = lambda: None

    # -- reading -------------------------------------------------------------------------------------------------

    def find(self, key: Key) -> Object | None:
        entry = self._entries.get(key)
        return entry.object() if entry is not None else None

    def get(self, key: Key) -> Object:
        """Raises NotFound."""
        found = self.find(key)
        if found is None:
            raise NotFound(kind=self.type, name=key.name)
        return found

    def entry(self, key: Key) -> Entry | None:
        return self._entries.get(key)

    def list(self, namespace: str | None = None, labels: Selector = EVERYTHING) -> Sequence[Object]:
        return [e.object() for e in self.entries(namespace) if labels.accepts(e.labels)]

    def entries(self, namespace: str | None = None) -> Iterable[Entry]:
        if namespace is None:
            return tuple(self._entries.values())
        return [entry for key, entry in self._entries.items() if key.namespace == namespace]

    def owned_by(self, uid: str) -> Sequence[Object]:
        return [self._entries[key].object() for key in sorted(self._owned.get(uid, ()))]

    def by(self, index: str, text: str) -> Sequence[Object]:
        return [self._entries[key].object() for key in sorted(self._found.get((index, text), ()))]

    def keys_by(self, index: str, text: str) -> Sequence[Key]:
        """As `by`, without decoding."""
        return sorted(self._found.get((index, text), ()))

    def entries_by(self, index: str, text: str) -> Iterable[Entry]:
        """As `by`, to choose from before anything is decoded."""
        return [self._entries[key] for key in self.keys_by(index, text)]

    def count_by(self, index: str, text: str) -> int:
        return len(self._found.get((index, text), ()))

    # -- keeping current -----------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        """Be told every change from now on; at start, everything there is comes as ADDED."""
        self._listeners.append(listener)

    async def wait_revision(self, revision: int) -> None:
        """Until everything committed up to `revision` is here."""
        if self.revision >= revision:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append((revision, waiter))
        self._ask()
        await waiter

    async def run(self, up: Callable[[], None]) -> None:
        while True:
            snapshot = self._store.list(self.type)
            watch = self._store.watch(self.type, snapshot.revision)
            self._ask = watch.progress
            try:
                self._replace(snapshot.entries)
                self._reached(snapshot.revision)
                if any(wanted > self.revision for wanted, _ in self._waiters):
                    watch.progress()
                up()
                async for batch in watch:
                    for event in batch.events:
                        self._apply(event)
                    self._reached(batch.revision)
            except Expired:
                continue
            finally:
                watch.close()

    def _replace(self, entries: Iterable[Entry]) -> None:
        present = {entry.key: entry for entry in entries}
        for key, entry in list(self._entries.items()):
            if key not in present:
                self._apply(Event("DELETED", entry, entry))
        for key, entry in present.items():
            before = self._entries.get(key)
            if before is None or before.revision != entry.revision:
                self._apply(Event("MODIFIED" if before else "ADDED", entry, before))

    def _apply(self, event: Event) -> None:
        key = event.entry.key
        self._drop(key)
        if event.type != "DELETED":
            self._put(event.entry)
        for listener in self._listeners:
            listener(event)

    def _put(self, entry: Entry) -> None:
        self._entries[entry.key] = entry
        for uid in entry.owner_uids:
            self._owned.setdefault(uid, set()).add(entry.key)
        if self._indexes:
            obj = entry.object()
            texts = [(name, text) for name, index in self._indexes.items() for text in index(obj)]
            self._texts[entry.key] = texts
            for pair in texts:
                self._found.setdefault(pair, set()).add(entry.key)

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        for uid in entry.owner_uids:
            _discard(self._owned, uid, key)
        for pair in self._texts.pop(key, ()):
            _discard(self._found, pair, key)

    def _reached(self, revision: int) -> None:
        self.revision = max(self.revision, revision)
        waiting = self._waiters
        self._waiters = [(wanted, waiter) for wanted, waiter in waiting if wanted > self.revision]
        for wanted, waiter in waiting:
            if wanted <= self.revision and not waiter.done():
                waiter.set_result(None)


def _discard(where: dict[K, set[Key]], name: K, key: Key) -> None:
    keys = where.get(name)
    if keys is not None:
        keys.discard(key)
        if not keys:
            del where[name]
