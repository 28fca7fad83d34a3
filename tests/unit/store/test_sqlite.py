import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import apsw
import pytest

from coracle.core.errors import Conflict, Unavailable
from coracle.core.store import Delete, Put
from coracle.core.tasks import running
from coracle.store.sqlite import SqliteStore
from suites.store_suite import StoreSuite, key, thing


@contextlib.asynccontextmanager
async def opened(directory, history=100):
    store = SqliteStore(Path(directory), history)
    async with running(store):
        yield store


class TestSqliteStore(StoreSuite):
    def open(self, history=100):
        @contextlib.asynccontextmanager
        async def context():
            with tempfile.TemporaryDirectory() as directory:
                async with opened(directory, history) as store:
                    yield store

        return context()


def test_what_was_committed_is_there_after_closing(tmp_path):
    async def main():
        async with opened(tmp_path) as store:
            await store.commit(Put(thing("a", n=1)), Put(thing("b")))
            revision = await store.commit(Delete("Thing", key("b")))
        async with opened(tmp_path) as store:
            assert store.revision == revision
            assert [o.body for o in store.list("Thing").items] == [{"n": 1}]

    asyncio.run(main())


def test_a_second_process_is_refused(tmp_path):
    first = SqliteStore(tmp_path)
    with pytest.raises(Conflict, match=f"pid {os.getpid()}"):
        SqliteStore(tmp_path)
    first.close()
    SqliteStore(tmp_path).close()


def test_a_full_disk_refuses_the_write_and_recovers(tmp_path):
    async def main():
        async with opened(tmp_path) as store:
            await store.commit(Put(thing("a")))
            pages = store._db.execute("PRAGMA page_count").fetchall()[0][0]
            store._db.execute(f"PRAGMA max_page_count={pages}")
            with pytest.raises(Unavailable, match="full"):
                await store.commit(Put(thing("big", text="x" * 1_000_000)))
            assert store.head("Thing", key("big")) is None
            store._db.execute("PRAGMA max_page_count=1000000")
            await store.commit(Put(thing("big", text="x" * 1_000_000)), Put(thing("b")))
            assert len(store.list("Thing").entries) == 3

    asyncio.run(main())


def test_a_failing_disk_ends_writing_but_not_reading(tmp_path):
    async def main():
        async with opened(tmp_path) as store:
            await store.commit(Put(thing("a")))

            def fail(_batch):
                raise apsw.IOError("fsync failed")

            store._write = fail
            with pytest.raises(Unavailable, match="restarted"):
                await store.commit(Put(thing("b")))
            with pytest.raises(Unavailable):
                await store.commit(Put(thing("c")))
            assert [e.key.name for e in store.entries("Thing")] == ["a"]

    asyncio.run(main())


WRITER = """
import asyncio, sys
from pathlib import Path
from coracle.core.store import Put
from coracle.core.tasks import running
from coracle.store.sqlite import SqliteStore
from coracle.core.object import Meta, Object

async def one(store, n):
    while True:
        revision = await store.commit(Put(Object("Thing", Meta(name=f"t{n}"), {"n": n})))
        sys.stdout.write(f"{n} {revision}\\n"); sys.stdout.flush()

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    async with running(store):
        await asyncio.gather(*[one(store, n) for n in range(8)])

asyncio.run(main())
"""


def test_no_acknowledged_write_is_lost_by_kill_9(tmp_path):
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True)
        lines = [process.stdout.readline() for _ in range(300)]
        process.send_signal(signal.SIGKILL)
        lines += process.communicate()[0].splitlines()
        acknowledged = {}
        for line in lines:
            words = line.split()
            if len(words) == 2:
                acknowledged[f"t{words[0]}"] = int(words[1])
        store = SqliteStore(tmp_path)
        for name, revision in acknowledged.items():
            assert store.find("Thing", key(name)).revision >= revision
        assert store.revision >= max(acknowledged.values())
        store.close()
