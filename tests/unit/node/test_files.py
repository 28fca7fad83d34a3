import errno
import os

import pytest

from coracle.node.files import aside, write_whole


def test_a_file_is_made_and_replaced(tmp_path):
    path = tmp_path / "a"
    write_whole(path, b"one", 0o640)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one", 0o640)
    aside(path).write_text("of one who was killed")
    write_whole(path, b"two")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o600)
    assert os.listdir(tmp_path) == ["a"]


def test_a_full_disk_leaves_it_as_it_was(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a"
    write_whole(path, b"one")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"two")
    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["a"]
