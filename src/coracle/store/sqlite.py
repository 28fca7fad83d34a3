"""The embedded Store: everything in memory, every acknowledged commit in one SQLite file.

One writer thread; while it waits for the disk, commits gather and go together in the next transaction (natural group
commit).  WAL with synchronous=FULL: a commit that was acknowledged survives the loss of power.

    commit --prepare--> head, queue --thread: one transaction, fsync--> apply: visible, watchers told, caller woken

On a full disk the ballast makes room for the commits that tell of it and do something about it.  When that is used up,
the batch and what queued behind it are refused (Unavailable) and the store is left as it was; writing works again once
there is room.  Any other failure of the disk ends writing until the next start (what an fsync that failed
has kept is not known), reading goes on.

Source: https://sqlite.org/wal.html; measurements in docs/adr/0003-store.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import orjson

from coracle.core.errors import CloudError, Conflict, Unavailable
from coracle.core.object import Key
from coracle.core.store import HISTORY, Change, Entry, Event, Table, TableReads
from coracle.store.ballast import BALLAST_BYTES, Ballast

log = logging.getLogger(__name__)

FORMAT = 1
_CHECKPOINT_PAGES = 2_000  # some 8 MB of log; folded into the file when the writer has nothing else to do
_TIGHT_PAGES = 100  # the same while there is no ballast: the log is to stay within the room it has

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects(
    type TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY(type, namespace, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS room(held BLOB NOT NULL);
DELETE FROM room;
"""
_PUT = "INSERT OR REPLACE INTO objects VALUES(?,?,?,?,?)"
_DELETE = "DELETE FROM objects WHERE type=? AND namespace=? AND name=?"
_REVISION = "INSERT OR REPLACE INTO facts VALUES('revision', ?)"


@dataclass(slots=True)
class _Commit:
    revision: int
    events: tuple[Event, ...]
    done: asyncio.Future[int]


class SqliteStore(TableReads):
    """A Store in `directory`, which it locks against other processes.  A Part: commits work while it runs.

    Raises: Conflict (another process has the directory), Unavailable (the file cannot be read).
    """

    def __init__(self, directory: Path, history: int = HISTORY) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_fd = _lock(directory / "lock")
        self._ballast = Ballast(directory / "ballast")
        super().__init__(Table(history))
        self._queued: list[_Commit] = []
        self._latest: asyncio.Future[int] | None = None  # of the last commit, if it is done or not
        self._writing = False
        self._failed = ""
        self._handed: queue.SimpleQueue[list[_Commit] | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        try:
            self._ballast.hold()
            self._db = self._open_with_room(directory / "store.sqlite")
            self._table.load(*_load(self._db))
        except apsw.Error as error:
            raise Unavailable(f"the store in {directory} cannot be read: {error}") from error

    @property
    def failure(self) -> str:
        return self._failed

    async def commit(self, *changes: Change) -> int:
        if self._failed or self._loop is None:
            raise Unavailable(self._failed or "the store is not open for writing")
        revision, events = self._table.prepare(changes)
        done: asyncio.Future[int] = self._loop.create_future()
        self._latest = done
        self._queued.append(_Commit(revision, events, done))
        self._hand_over()
        return await done

    async def settle(self) -> None:
        if self._latest is not None:
            await asyncio.wait([self._latest])

    async def run(self, up: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        writer = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        writer.start()
        try:
            up()
            await self._loop.create_future()
        finally:
            self._handed.put(None)
            self._loop = None
            writer.join()
            self.close()

    def close(self) -> None:
        self._db.close()
        os.close(self._lock_fd)

    def _open_with_room(self, path: Path) -> _Database:
        try:
            return _open(path)
        except apsw.FullError:
            if not self._ballast.release():
                raise
            return _open(path)

    # -- on the loop ---------------------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        if not self._writing and self._queued:
            self._writing = True
            self._handed.put(self._queued)
            self._queued = []

    def _written(self, batch: Sequence[_Commit], error: Exception | None) -> None:
        self._writing = False
        if error is not None:
            self._refuse(batch, error)
            return
        for commit in batch:
            self._table.apply(commit.revision, commit.events)
            if not commit.done.done():
                commit.done.set_result(commit.revision)
        self._hand_over()

    def _refuse(self, batch: Sequence[_Commit], error: Exception) -> None:
        """Nothing of the batch is on disk, and what queued behind it was checked against it."""
        refused, self._queued = [*batch, *self._queued], []
        self._table.abandon()
        said = _in_words(error)
        if not isinstance(error, apsw.FullError):
            self._failed = said
            log.critical("store: %s", said)
        for commit in refused:
            if not commit.done.done():
                commit.done.set_exception(Unavailable(said))

    # -- on the writer's thread ----------------------------------------------------------------------------------

    def _write_all(self) -> None:
        while (batch := self._handed.get()) is not None:
            error: Exception | None = None
            try:
                self._write_with_room(batch)
            except Exception as caught:  # told to everybody who waits, in _written
                error = caught
            if (loop := self._loop) is not None:
                loop.call_soon_threadsafe(self._written, batch, error)
            if error is None and self._handed.empty():
                self._checkpoint()
                self._ballast.hold()

    def _write_with_room(self, batch: Sequence[_Commit]) -> None:
        """`_write`, and once more where the ballast has made room for it."""
        try:
            self._write(batch)
        except apsw.FullError:
            if not self._ballast.release():
                raise
            log.warning("store: the disk is full; the room that was held back for it is used now")
            self._fold()
            self._write(batch)
            self._grab()

    def _grab(self) -> None:
        """Make half of the room ours before others fill it: pages that are free in the file, and a log that is long."""
        with contextlib.suppress(apsw.Error):
            with self._transaction():
                self._db.execute("INSERT INTO room VALUES(zeroblob(?))", (BALLAST_BYTES // 2,))
            with self._transaction():
                self._db.execute("DELETE FROM room")
            self._fold()

    def _write(self, batch: Sequence[_Commit]) -> None:
        execute = self._db.execute
        with self._transaction():
            for event in (event for commit in batch for event in commit.events):
                entry = event.entry
                where = (entry.type, entry.key.namespace, entry.key.name)
                if event.type == "DELETED":
                    execute(_DELETE, where)
                else:
                    execute(_PUT, (*where, entry.revision, entry.raw))
            execute(_REVISION, (batch[-1].revision,))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except Exception:
            with contextlib.suppress(apsw.Error):
                self._db.execute("ROLLBACK")
            raise

    def _checkpoint(self) -> None:
        if self._db.wal_pages > (_CHECKPOINT_PAGES if self._ballast.is_held else _TIGHT_PAGES):
            self._fold()

    def _fold(self) -> None:
        """Bring what is in the log into the file; the log is written from its beginning then."""
        with contextlib.suppress(apsw.Error):
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


class _Database(apsw.Connection):
    """A connection that knows how long its log is."""

    wal_pages = 0

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.set_wal_hook(self._count)

    def _count(self, _connection: object, _name: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK


def _lock(path: Path) -> int:
    """Take the directory.  The lock goes with the process, whatever way it ends."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(fd, 32, 0).decode().strip() or "unknown"
        os.close(fd)
        raise Conflict(f"{path.parent} is in use by another coracle daemon (pid {holder})") from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


def _open(path: Path) -> _Database:
    db = _Database(str(path))
    db.set_busy_timeout(2_000)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(_SCHEMA)
    found = db.execute("SELECT value FROM facts WHERE name='format'").fetchall()
    if found and found[0][0] != FORMAT:
        raise Unavailable(f"{path} has format {found[0][0]}; this coracle reads format {FORMAT}")
    db.execute("INSERT OR REPLACE INTO facts VALUES('format', ?)", (FORMAT,))
    path.chmod(0o600)
    return db


def _load(db: _Database) -> tuple[int, Iterable[Entry]]:
    revisions = db.execute("SELECT value FROM facts WHERE name='revision'").fetchall()
    revision: Any = revisions[0][0] if revisions else 0
    return revision, (_entry(*row) for row in db.execute("SELECT * FROM objects"))


def _entry(type: str, namespace: str, name: str, revision: int, raw: bytes) -> Entry:
    meta = orjson.loads(raw)["metadata"]
    owners = tuple(owner["uid"] for owner in meta.get("ownerReferences", ()))
    return Entry(type, Key(namespace, name), meta.get("uid", ""), revision, raw, meta.get("labels", {}), owners)


def _in_words(error: Exception) -> str:
    if isinstance(error, apsw.FullError):
        return "the disk of the store is full"
    if isinstance(error, CloudError):
        return error.message
    return f"the store's disk failed ({error}); the daemon must be restarted"
