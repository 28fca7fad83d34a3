"""Room that is held back for a full disk."""

import asyncio

import apsw
import pytest

from coracle.core.errors import Unavailable
from coracle.core.store import Put
from coracle.store import ballast, sqlite
from coracle.store.ballast import Ballast
from coracle.store.sqlite import SqliteStore
from suites.store_suite import key, thing
from unit.store.test_sqlite import opened

MI = 1 << 20


class Disk:
    """In place of statvfs: so many bytes are free."""

    f_frsize = 1

    def __init__(self, free):
        self.f_bavail = free


@pytest.mark.parametrize(("free", "held"), [(8 * MI, True), (8 * MI - 1, False)], ids=["plenty", "too little"])
def test_it_is_taken_where_there_is_plenty_of_room(tmp_path, monkeypatch, free, held):
    monkeypatch.setattr(ballast.os, "statvfs", lambda path: Disk(free))
    one = Ballast(tmp_path / "ballast", MI)
    assert one.hold() is held
    assert (tmp_path / "ballast").exists() is held
    assert one.release() is held
    assert not (tmp_path / "ballast").exists()
    assert one.release() is False


def test_it_takes_its_room_and_is_found_again(tmp_path):
    assert Ballast(tmp_path / "ballast", MI).hold()
    assert (tmp_path / "ballast").stat().st_blocks * 512 >= MI
    assert Ballast(tmp_path / "ballast", MI).is_held


def test_a_store_is_opened_on_a_full_disk(tmp_path, monkeypatch):
    open_, full = sqlite._open, [False, True]

    def refusing(path):
        if full.pop():
            raise apsw.FullError("database or disk is full")
        return open_(path)

    SqliteStore(tmp_path).close()
    monkeypatch.setattr(sqlite, "_open", refusing)
    SqliteStore(tmp_path).close()
    assert not (tmp_path / "ballast").exists()


def test_a_commit_that_does_not_fit_is_made_room_for_once(tmp_path, monkeypatch):
    async def main():
        async with opened(tmp_path) as store:
            write, full = store._write, [True]

            def refusing(batch):
                if full.pop():
                    raise apsw.FullError("database or disk is full")
                write(batch)

            monkeypatch.setattr(store, "_write", refusing)
            assert (tmp_path / "ballast").exists()
            monkeypatch.setattr(store._ballast, "hold", lambda: False)  # once it is used, there is none
            full[:] = [False, True]
            await store.commit(Put(thing("a")))
            assert store.find("Thing", key("a")) is not None
            full[:] = [True]
            with pytest.raises(Unavailable, match="full"):
                await store.commit(Put(thing("b")))
            full[:] = [False]
            await store.commit(Put(thing("b")))

    asyncio.run(main())
