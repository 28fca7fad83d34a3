import asyncio
import os

import pytest

from coracle.engine.logs import _newest_first
from coracle.engine.rotation import Rotation


def rotate(path, text):
    """As conmon does: a new file aside, renamed over the log."""
    (path.parent / "log.tmp").write_text(text)
    os.rename(path.parent / "log.tmp", path)


def files(path):
    return {one.name: one.read_text() for one in path.parent.iterdir() if one.name != "log.next"}


def keeping(path, older, main):
    async def whole():
        rotation = Rotation()
        path.write_text("0")
        rotation.keep(str(path), older)
        await main(rotation)
        rotation.close()

    asyncio.run(whole())


async def noticed():
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("older", "expected"),
    [
        (0, {"log": "4"}),
        (1, {"log": "4", "log.1": "3"}),
        (3, {"log": "4", "log.1": "3", "log.2": "2", "log.3": "1"}),
        (9, {"log": "4", "log.1": "3", "log.2": "2", "log.3": "1", "log.4": "0"}),
    ],
)
def test_as_many_older_files_are_kept_as_are_asked_for(tmp_path, older, expected):
    path = tmp_path / "log"

    async def main(rotation):
        for number in range(1, 5):
            rotate(path, str(number))
            await noticed()
        assert files(path) == expected
        rotation.drop(str(path))
        assert files(path) == expected
        assert not (tmp_path / "log.next").exists()

    keeping(path, older, main)


def test_what_was_rotated_while_nobody_looked_is_kept(tmp_path):
    path = tmp_path / "log"

    async def main(rotation):
        rotation.close()
        rotate(path, "1")
        later = Rotation()
        later.keep(str(path), 2)
        assert files(path) == {"log": "1", "log.1": "0"}
        later.close()

    keeping(path, 2, main)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), []),
        (("log",), ["log"]),
        (("log", "log.1", "log.2"), ["log", "log.1", "log.2"]),
        (("log", "log.2"), ["log", "log.2"]),
        (("log.1",), ["log.1"]),
        (("log", "log.1", "log.4"), ["log", "log.1"]),
    ],
)
def test_they_are_read_as_far_as_there_are_any(tmp_path, names, expected):
    for name in names:
        (tmp_path / name).write_text(name)
    readers = _newest_first(str(tmp_path / "log"))
    assert [os.pread(reader.fd, 10, 0).decode() for reader in readers] == expected
    for reader in readers:
        os.close(reader.fd)


def test_a_file_that_moves_just_then_is_read_once(tmp_path):
    (tmp_path / "log").write_text("same")
    os.link(tmp_path / "log", tmp_path / "log.1")
    (tmp_path / "log.2").write_text("older")
    readers = _newest_first(str(tmp_path / "log"))
    assert [os.pread(reader.fd, 10, 0) for reader in readers] == [b"same", b"older"]
    for reader in readers:
        os.close(reader.fd)
