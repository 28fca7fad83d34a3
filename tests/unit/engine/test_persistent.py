"""Directories that outlive containers and pods."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from coracle.core.errors import Broken, Invalid
from coracle.engine.persistent import PersistentDirectories


def test_a_directory_is_everybodys_stays_and_goes_whole(tmp_path):
    async def main():
        directories = PersistentDirectories(tmp_path / "persistent")
        assert await directories.empty() == []
        path = Path(await directories.make("a"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o777  # noqa: ASYNC240
        (path / "file").write_text("kept")
        assert await directories.make("a") == str(path)
        assert (path / "file").read_text() == "kept"
        await directories.make("b")
        assert await directories.empty() == ["b"]
        for _ in range(2):
            await directories.remove("a")
        assert not path.exists()  # noqa: ASYNC240

    asyncio.run(main())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0"])
def test_names_lead_nowhere_else(tmp_path, name):
    with pytest.raises(Invalid):
        asyncio.run(PersistentDirectories(tmp_path).remove(name))


def test_what_volumes_by_hand_ask_of_the_host(tmp_path):
    async def main():
        directories = PersistentDirectories(tmp_path / "persistent")
        host, outside = tmp_path / "host", tmp_path / "outside"
        (host / "deep" / "er").mkdir(parents=True)
        outside.mkdir()
        (outside / "kept").write_text("x")
        (host / ".hidden").write_text("x")
        (host / "link").symlink_to(outside)
        await directories.scrub(str(host))
        assert (list(host.iterdir()), (outside / "kept").exists()) == ([], True)
        for _ in range(2):
            await directories.remove_path(str(host))
        assert not host.exists()
        with pytest.raises(Broken, match="cannot empty"):
            await directories.scrub(str(host))

    asyncio.run(main())


def test_a_copy_has_what_the_original_has(tmp_path):
    async def main():
        directories = PersistentDirectories(tmp_path / "persistent")
        source, target = Path(await directories.make("a")), Path(await directories.make("b"))
        (source / "sub").mkdir()
        (source / "sub" / "file").write_text("content")
        (source / "link").symlink_to("sub/file")
        (source / "sub").chmod(0o750)
        await directories.copy(str(source), "b")
        assert (target / "link").read_text() == "content"
        assert (stat.S_IMODE((target / "sub").stat().st_mode), (target / "sub").is_symlink()) == (0o750, False)
        with pytest.raises(Broken, match="cannot copy to b"):
            await directories.copy(str(tmp_path / "nowhere"), "b")

    asyncio.run(main())


def test_a_copy_follows_no_directory_that_became_a_link(tmp_path, monkeypatch):
    async def main():
        directories = PersistentDirectories(tmp_path / "persistent")
        source, target = Path(await directories.make("a")), Path(await directories.make("b"))
        (source / "sub").mkdir()
        (source / "sub" / "shadow").write_text("own")
        host = tmp_path / "host"
        host.mkdir()
        (host / "shadow").write_text("secret")
        look = os.listdir

        def swapping(path):
            found = look(path)
            if found == ["shadow"]:
                (source / "sub").rename(source / "was")
                (source / "sub").symlink_to(host)
            return found

        monkeypatch.setattr(os, "listdir", swapping)
        await directories.copy(str(source), "b")
        assert (target / "sub" / "shadow").read_text() == "own"

    asyncio.run(main())


def test_a_copy_of_a_file_takes_the_place_of_what_was_there_and_keeps_holes(tmp_path):
    async def main():
        directories = PersistentDirectories(tmp_path)
        source, target = tmp_path / "a", tmp_path / "b"
        source.write_bytes(b"begin")
        os.truncate(source, 1 << 27)
        source.chmod(0o600)
        target.write_bytes(b"what was longer")
        os.truncate(target, 1 << 28)
        await directories.copy(str(source), "b")
        found = target.stat()
        assert target.read_bytes() == source.read_bytes()
        assert (found.st_size, stat.S_IMODE(found.st_mode)) == (1 << 27, 0o600)
        assert found.st_blocks <= source.stat().st_blocks

    asyncio.run(main())


def test_a_copy_takes_the_place_of_half_a_one_and_keeps_holes_and_names(tmp_path):
    async def main():
        directories = PersistentDirectories(tmp_path / "persistent")
        source, target = Path(await directories.make("a")), Path(await directories.make("b"))
        (source / "file").write_bytes(b"begin")
        os.truncate(source / "file", 1 << 27)
        os.link(source / "file", source / "other")
        (target / "file").write_text("hal")
        (target / "gone").write_text("x")
        await directories.copy(str(source), "b")
        found = (target / "file").stat()
        assert sorted(os.listdir(target)) == ["file", "other"]
        assert (target / "file").read_bytes() == (source / "file").read_bytes()
        assert (found.st_nlink, found.st_blocks <= (source / "file").stat().st_blocks) == (2, True)

    asyncio.run(main())


def test_directories_nested_too_deep_are_not_copied(tmp_path):
    async def main():
        directories = PersistentDirectories(tmp_path / "persistent")
        source = await directories.make("a")
        here = os.open(source, os.O_RDONLY)
        for _ in range(1000):
            os.mkdir("d", dir_fd=here)
            inner = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        os.close(here)
        with pytest.raises(Broken, match="cannot copy to b: directories are nested too deep"):
            await directories.copy(source, "b")
        for name in ("a", "b"):
            await directories.remove(name)

    asyncio.run(main())
