"""The one revisioned store: its Protocol, what it keeps, and the embedded memory every driver of one process shares.

    get, list    read memory, never wait
    commit       all or nothing; moves the one revision by one; returns when durable
    watch        every change after a revision, in order, each once

A driver that keeps the data elsewhere (`store/sqlite.py`) subclasses nothing: it owns a `Table`, checks and stamps
changes against the table's *head* (which includes what is on its way to disk), and applies them once durable.

Played out, one key, `history` of 2:

    commit Put(a)         revision 1   head {a@1}  visible {a@1}   history [1:ADDED a]
    commit Put(a,expect1) revision 2   head {a@2}  visible {a@2}   history [1:ADDED, 2:MODIFIED]
    commit Delete(a)      revision 3   head {}     visible {}      history [2:MODIFIED, 3:DELETED]

Now a watch since 0 is told Expired.
"""

from __future__ import annotations

import asyncio
import bisect
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from coracle.core.errors import AlreadyExists, Conflict, Expired, NotFound
from coracle.core.object import Key, Object, decode, encode

HISTORY = 20_000  # changes kept for watchers that come back; some 3 kB each
BACKLOG = 20_000  # changes a watcher may fall behind before it is told Expired
LIMIT_BYTES = 64 * 1024 * 1024  # of either, however few changes that is: one object may have megabytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored state of one object: its bytes, and the few facts that selecting needs without decoding them."""

    type: str
    key: Key
    uid: str
    revision: int
    raw: bytes = field(repr=False)
    labels: Mapping[str, str]
    owner_uids: tuple[str, ...] = ()

    def object(self) -> Object:
        return decode(self.raw)


class Put(NamedTuple):
    """Store `obj`.  `expect` 0: it must not exist; n: it must be at revision n; None: whatever is there."""

    obj: Object
    expect: int | None = None


class Delete(NamedTuple):
    """Remove what is at `key`.  `obj` is the last state shown to watchers; None: as it was."""

    type: str
    key: Key
    expect: int | None = None
    obj: Object | None = None


Change = Put | Delete


class Event(NamedTuple):
    """One change of one object.  `before` is None for ADDED; DELETED has the last state, at the new revision."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    entry: Entry
    before: Entry | None


class Batch(NamedTuple):
    """Everything of the watched type up to `revision` has been delivered.  `events` may be empty (progress)."""

    revision: int
    events: Sequence[Event]

    @property
    def size_bytes(self) -> int:
        return sum(len(event.entry.raw) for event in self.events)


class Snapshot(NamedTuple):
    """A consistent list, in order of namespace and name."""

    revision: int
    entries: Sequence[Entry]

    @property
    def items(self) -> list[Object]:
        return [entry.object() for entry in self.entries]


class Watch(Protocol):
    """An open watch.  Iterate to receive; Expired is raised to one that fell too far behind."""

    def __aiter__(self) -> AsyncIterator[Batch]: ...

    def progress(self) -> None:
        """Ask for a Batch soon, even an empty one (etcd: WatchProgressRequest)."""
        ...

    def close(self) -> None: ...


class Store(Protocol):
    """The state of the cloud.  Not thread-safe: called from the loop only."""

    @property
    def revision(self) -> int:
        """Of the last durable commit."""
        ...

    @property
    def failure(self) -> str:
        """Why it takes no more commits; "" while it does."""
        ...

    def find(self, type: str, key: Key) -> Entry | None: ...

    def head(self, type: str, key: Key) -> Entry | None:
        """As `find`, with commits still on their way to disk: for writing on top of them, never for showing."""
        ...

    def entries(self, type: str, namespace: str | None = None) -> Sequence[Entry]:
        """In order of namespace and name; None means every namespace."""
        ...

    def list(self, type: str, namespace: str | None = None) -> Snapshot: ...

    async def commit(self, *changes: Change) -> int:
        """Make all changes durable, or none.  Returns the revision.

        Raises:      AlreadyExists (expect=0), NotFound, Conflict (expect=n), Unavailable (the disk refuses),
                     TypeError (not JSON).
        Concurrency: safe at once; commits become visible in the order of their revisions.
        """
        ...

    async def settle(self) -> None:
        """Return once what was committed so far can be read (or was refused): for whoever is told of the head."""
        ...

    def watch(self, type: str, since: int | None = None) -> Watch:
        """Changes of `type` after `since`; None: from now.  Raises Expired when `since` is no longer in the history."""
        ...


class Table:
    """The memory of an embedded store: the head that commits are checked against, what is visible, and who watches."""

    def __init__(self, history: int = HISTORY, backlog: int = BACKLOG, limit_bytes: int = LIMIT_BYTES) -> None:
        self.revision = 0
        self.head_revision = 0
        self._visible: dict[str, dict[Key, Entry]] = {}
        self._order: dict[str, list[Key]] = {}  # the keys of each type, sorted
        self._pending: dict[tuple[str, Key], tuple[int, Entry | None]] = {}
        self._history: deque[Batch] = deque()
        self._history_bytes = 0
        self._limit, self._backlog, self._limit_bytes = history, backlog, limit_bytes
        self._forgotten = 0  # history starts after this revision
        self._watches: dict[str, set[TableWatch]] = {}

    # -- reading -------------------------------------------------------------------------------------------------

    def find(self, type: str, key: Key) -> Entry | None:
        return self._visible.get(type, {}).get(key)

    def entries(self, type: str, namespace: str | None = None) -> Sequence[Entry]:
        things = self._visible.get(type)
        if not things:
            return []
        order = self._order[type]
        if namespace is not None:
            first = bisect.bisect_left(order, Key(namespace, ""))
            last = bisect.bisect_left(order, Key(namespace + "\0", ""))
            order = order[first:last]
        return [things[key] for key in order]

    # -- writing -------------------------------------------------------------------------------------------------

    def prepare(self, changes: Sequence[Change]) -> tuple[int, tuple[Event, ...]]:
        """Check and stamp `changes` against the head, and put them on it.  Raises as Store.commit."""
        revision = self.head_revision + 1
        events = tuple(self._stamp(change, revision) for change in changes)
        self.head_revision = revision
        for event in events:
            after = None if event.type == "DELETED" else event.entry
            self._pending[event.entry.type, event.entry.key] = (revision, after)
        return revision, events

    def apply(self, revision: int, events: tuple[Event, ...]) -> None:
        """Make a prepared commit, now durable, visible, and tell the watchers."""
        for event in events:
            self._show(event)
            pending = self._pending.get((event.entry.type, event.entry.key))
            if pending is not None and pending[0] == revision:
                del self._pending[event.entry.type, event.entry.key]
        self.revision = revision
        self._remember(Batch(revision, events))
        self._tell(revision, events)

    def abandon(self) -> None:
        """Forget everything prepared and not applied: the disk refused it."""
        self._pending.clear()
        self.head_revision = self.revision

    def load(self, revision: int, entries: Iterable[Entry]) -> None:
        """Start from what was on disk."""
        for entry in entries:
            self._visible.setdefault(entry.type, {})[entry.key] = entry
        self._order = {type: sorted(things) for type, things in self._visible.items()}
        self.revision = self.head_revision = self._forgotten = revision

    def head(self, type: str, key: Key) -> Entry | None:
        """The state that the next commit will be checked against."""
        pending = self._pending.get((type, key))
        return pending[1] if pending is not None else self.find(type, key)

    def _stamp(self, change: Change, revision: int) -> Event:
        if isinstance(change, Put):
            obj = change.obj
            before = self.head(obj.type, obj.key)
            _expect(obj.type, obj.key, before, change.expect)
            return Event("MODIFIED" if before else "ADDED", to_entry(obj.with_meta(revision=revision)), before)
        before = self.head(change.type, change.key)
        if before is None:
            raise NotFound(kind=change.type, name=change.key.name)
        _expect(change.type, change.key, before, change.expect)
        last = change.obj or before.object()
        return Event("DELETED", to_entry(last.with_meta(revision=revision)), before)

    def _show(self, event: Event) -> None:
        type, key = event.entry.type, event.entry.key
        things, order = self._visible.setdefault(type, {}), self._order.setdefault(type, [])
        if event.type == "DELETED":
            if things.pop(key, None) is not None:
                del order[bisect.bisect_left(order, key)]
            return
        if key not in things:
            bisect.insort(order, key)
        things[key] = event.entry

    def _remember(self, batch: Batch) -> None:
        self._history.append(batch)
        self._history_bytes += batch.size_bytes
        while len(self._history) > self._limit or self._history_bytes > self._limit_bytes:
            oldest = self._history.popleft()
            self._history_bytes -= oldest.size_bytes
            self._forgotten = oldest.revision

    # -- watching ------------------------------------------------------------------------------------------------

    def watch(self, type: str, since: int | None = None) -> TableWatch:
        since = self.revision if since is None else since
        if since < self._forgotten:
            raise Expired(f"too old resource version: {since} ({self._forgotten})")
        watch = TableWatch(self, type, self._backlog, self._limit_bytes)
        for revision, events in self._since(since):
            mine = [event for event in events if event.entry.type == type]
            if mine:
                watch.push(Batch(revision, mine))
        self._watches.setdefault(type, set()).add(watch)
        return watch

    def unwatch(self, watch: TableWatch) -> None:
        self._watches.get(watch.type, set()).discard(watch)

    def _since(self, since: int) -> Iterable[Batch]:
        if since >= self.revision:
            return ()
        first = bisect.bisect_right(self._history, since, key=lambda batch: batch.revision)
        return [self._history[i] for i in range(first, len(self._history))]

    def _tell(self, revision: int, events: tuple[Event, ...]) -> None:
        if len(events) == 1:
            batch = Batch(revision, events)
            for watch in tuple(self._watches.get(events[0].entry.type, ())):
                watch.push(batch)
            return
        for type in {event.entry.type for event in events}:
            batch = Batch(revision, [event for event in events if event.entry.type == type])
            for watch in tuple(self._watches.get(type, ())):
                watch.push(batch)


class TableWatch:
    """A watch on a Table: a buffer that the commit fills and one reader empties."""

    def __init__(self, table: Table, type: str, backlog: int, limit_bytes: int) -> None:
        self.type = type
        self._table, self._backlog, self._limit_bytes = table, backlog, limit_bytes
        self._buffer: deque[Batch] = deque()
        self._buffer_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._lost = False

    def push(self, batch: Batch) -> None:
        self._buffer_bytes += batch.size_bytes
        if self._buffer and (len(self._buffer) >= self._backlog or self._buffer_bytes > self._limit_bytes):
            self._lost = True
            self._buffer.clear()
            self.close()
        else:
            self._buffer.append(batch)
        self._wake()

    def progress(self) -> None:
        self.push(Batch(self._table.revision, ()))

    def close(self) -> None:
        self._table.unwatch(self)

    def next_nowait(self) -> Batch | None:
        """What has come, without waiting.  Raises Expired when it fell behind."""
        if self._lost:
            raise Expired("the watch fell too far behind")
        if not self._buffer:
            return None
        batch = self._buffer.popleft()
        self._buffer_bytes -= batch.size_bytes
        return batch

    def __aiter__(self) -> AsyncIterator[Batch]:
        return self

    async def __anext__(self) -> Batch:
        while True:
            batch = self.next_nowait()
            if batch is not None:
                return batch
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class TableReads:
    """What every Store does alike that has all of its objects in a Table: a driver adds `commit`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @property
    def revision(self) -> int:
        return self._table.revision

    @property
    def failure(self) -> str:
        return ""

    def find(self, type: str, key: Key) -> Entry | None:
        return self._table.find(type, key)

    def head(self, type: str, key: Key) -> Entry | None:
        return self._table.head(type, key)

    def entries(self, type: str, namespace: str | None = None) -> Sequence[Entry]:
        return self._table.entries(type, namespace)

    def list(self, type: str, namespace: str | None = None) -> Snapshot:
        return Snapshot(self._table.revision, self._table.entries(type, namespace))

    def watch(self, type: str, since: int | None = None) -> Watch:
        return self._table.watch(type, since)


class MemoryStore(TableReads):
    """A Store that keeps nothing on disk: for tests and `--ephemeral`."""

    def __init__(self, history: int = HISTORY, backlog: int = BACKLOG, limit_bytes: int = LIMIT_BYTES) -> None:
        super().__init__(Table(history, backlog, limit_bytes))

    async def commit(self, *changes: Change) -> int:
        revision, events = self._table.prepare(changes)
        self._table.apply(revision, events)
        return revision

    async def settle(self) -> None:
        """Everything is visible at once."""


def to_entry(obj: Object) -> Entry:
    meta = obj.meta
    owners = tuple(owner.uid for owner in meta.owners)
    return Entry(obj.type, obj.key, meta.uid, meta.revision, encode(obj), meta.labels, owners)


def _expect(type: str, key: Key, before: Entry | None, expect: int | None) -> None:
    if expect is None:
        return
    if expect == 0 and before is not None:
        raise AlreadyExists(kind=type, name=key.name)
    if expect and before is None:
        raise NotFound(kind=type, name=key.name)
    if expect and before is not None and before.revision != expect:
        raise Conflict(kind=type, name=key.name)
