from __future__ import annotations

import pytest

from coracle.core.errors import Conflict
from coracle.runtime.api import Bundle, Process
from coracle.runtime.conmon import shared_memory


def bundle(shm):
    return Bundle(id="a", rootfs_path="/r", process=Process(argv=("true",)), shm=shm)


@pytest.mark.parametrize("shm", ["", "none", "host"])
def test_who_shares_nothing_has_no_directory(tmp_path, shm):
    assert shared_memory.ensure(tmp_path, bundle(shm)) == ""
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_cannot_be_joined(tmp_path):
    with pytest.raises(Conflict, match="container b does not share"):
        shared_memory.ensure(tmp_path, bundle("of:b"))


def test_what_nobody_knows_goes(tmp_path):
    shared_memory.sweep(tmp_path, ())
    for name in ("known", "unknown"):
        (tmp_path / "shm" / name).mkdir(parents=True)
    shared_memory.sweep(tmp_path, ("known",))
    assert [path.name for path in (tmp_path / "shm").iterdir()] == ["known"]
    shared_memory.release(tmp_path, "gone")
