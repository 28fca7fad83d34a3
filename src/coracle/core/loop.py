"""The control loop: observe, rectify, repeat.

A Reconciler is handed a key and nothing else; it looks into its caches, decides with a pure function and acts through
collections and services.  Before each call every cache has reached the store's revision, so it sees its own writes and
needs no memory of them.

    raises          again after a delay that doubles from 5 ms to 60 s
    Again(after_s)  again after that time
    None            done, until something it watches changes
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from coracle.core.errors import CloudError, Conflict
from coracle.core.informer import Informer
from coracle.core.object import Key
from coracle.core.store import Entry, Event, Store
from coracle.core.workqueue import Workqueue

log = logging.getLogger(__name__)

ToKeys = Callable[[Event], Iterable[Key]]


@dataclass(frozen=True, slots=True)
class Again:
    """Look at this key again after a while."""

    after_s: float


class Reconciler(Protocol):
    """`watches`: type in the store -> which of our keys a change of such a thing concerns."""

    name: str

    @property
    def watches(self) -> Mapping[str, ToKeys]: ...

    async def reconcile(self, key: Key) -> Again | None: ...


def itself(event: Event) -> Iterable[Key]:
    """The changed thing."""
    return (event.entry.key,)


def owner(kind: str) -> ToKeys:
    """The controllers of that kind (`ReplicationController`) that own the changed thing, or owned it before."""

    def keys(event: Event) -> Iterable[Key]:
        return {key for entry in (event.entry, event.before) if entry is not None for key in _controllers(entry, kind)}

    return keys


def _controllers(entry: Entry, kind: str) -> Iterable[Key]:
    if not entry.owner_uids:
        return ()
    owners = entry.object().meta.owners
    return [Key(entry.key.namespace, ref.name) for ref in owners if ref.controller and ref.kind == kind]


def everything(key: Key = Key("", "all")) -> ToKeys:  # noqa: B008
    """One key, whatever changed: for loops that always do the whole."""
    return lambda _event: (key,)


class Loop:
    """A Part that runs one reconciler over `caches` (by type) with `workers` keys at a time."""

    def __init__(
        self, reconciler: Reconciler, caches: Mapping[str, Informer], store: Store, *, workers: int = 1
    ) -> None:
        self._reconciler, self._store, self._workers = reconciler, store, workers
        self._caches = {type: caches[type] for type in reconciler.watches}
        self.queue: Workqueue[Key] = Workqueue()
        for type, to_keys in reconciler.watches.items():
            self._caches[type].listen(self._listener(to_keys))

    async def run(self, up: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"{self._reconciler.name}-{number}")
            up()

    def _listener(self, to_keys: ToKeys) -> Callable[[Event], None]:
        def listen(event: Event) -> None:
            for key in to_keys(event):
                self.queue.add(key)

        return listen

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            try:
                await self._once(key)
            except asyncio.CancelledError:
                self.queue.add(key)  # for the next run
                raise
            finally:
                self.queue.done(key)

    async def _once(self, key: Key) -> None:
        try:
            await self._catch_up()
            again = await self._reconciler.reconcile(key)
        except Exception as error:
            delay_s = self.queue.add_failed(key)
            expected = isinstance(error, Conflict) or (isinstance(error, CloudError) and error.retryable)
            level = logging.DEBUG if expected else logging.WARNING
            known = isinstance(error, CloudError) or getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT)
            trace = None if known else error
            log.log(level, "%s %s: %s; again in %.3f s", self._reconciler.name, key, error, delay_s, exc_info=trace)
            return
        self.queue.forget(key)
        if again is not None:
            self.queue.add_after(key, again.after_s)

    async def _catch_up(self) -> None:
        revision = self._store.revision
        for cache in self._caches.values():
            await cache.wait_revision(revision)
