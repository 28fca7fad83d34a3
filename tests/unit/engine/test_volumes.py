import asyncio
import os
import stat
from pathlib import Path

import pytest

from coracle.core.errors import Conflict, Invalid, Malformed, NotFound
from coracle.engine import filesystems, filling
from coracle.testing.engine import FakeEngine


def test_a_volume_is_made_once_and_removed_whole(tmp_path):
    async def main():
        volumes = FakeEngine(tmp_path).volumes
        first = await volumes.create("data", labels={"a": "b"})
        again = await volumes.create("data", labels={"other": "label"})
        assert again.meta == first.meta
        assert Path(first.spec["path"]).is_dir()  # noqa: ASYNC240
        assert await volumes.remove("data")
        assert not Path(first.spec["path"]).exists()  # noqa: ASYNC240
        with pytest.raises(NotFound, match="get data: no such volume"):
            await volumes.remove("data")
        assert not await volumes.remove("data", force=True)

    asyncio.run(main())


def test_what_a_container_uses_stays(tmp_path):
    async def main():
        engine = FakeEngine(tmp_path)
        async with engine.running():
            await engine.volumes.create("data")
            record = await engine.create_container(volumes=("data",))
            assert engine.volumes.users("data") == [record.meta.name]
            assert engine.volumes.in_use_names() == {"data"}
            with pytest.raises(Conflict, match=rf"remove data: volume is in use - \[{record.meta.name}\]"):
                await engine.volumes.remove("data", force=True)
            assert not await engine.volumes.abandon("data")
            await engine.containers.remove(record.meta.name)
            with engine.volumes.in_use(["data"]):
                assert not await engine.volumes.abandon("data")
            assert await engine.volumes.abandon("data")

    asyncio.run(main())


def test_creating_and_removing_at_once_leaves_one_of_the_two(tmp_path):
    async def main():
        volumes = FakeEngine(tmp_path).volumes
        await volumes.create("data")
        await asyncio.gather(*(volumes.create("data") if i % 2 else volumes.abandon("data") for i in range(20)))
        found = volumes.find("data")
        assert Path(volumes.path("data")).exists() == (found is not None)  # noqa: ASYNC240

    asyncio.run(main())


def test_what_a_dead_daemon_left_is_swept(tmp_path):
    async def main():
        engine = FakeEngine(tmp_path)
        kept = await engine.volumes.create("kept")
        root = os.path.dirname(os.path.dirname(kept.spec["path"]))
        os.makedirs(f"{root}/half-made/_data")
        os.makedirs(f"{root}/.gone-1234/_data")
        after = FakeEngine(tmp_path, before=engine)
        await after.volumes.adopt()
        assert os.listdir(root) == ["kept"]

    asyncio.run(main())


@pytest.mark.parametrize("name", ["", "x", "../x", ".x", "-x", "a/b", "a b", "a\0b", "ü1", "a" * 256, "a\n"])
def test_bad_names_are_refused(tmp_path, name):
    async def main():
        volumes = FakeEngine(tmp_path).volumes
        with pytest.raises(Malformed):
            await volumes.create(name)
        assert volumes.list() == []

    asyncio.run(main())


@pytest.mark.parametrize(
    "options",
    [{"nope": "1"}, {"type": "tmpfs"}, {"device": "x"}, {"o": "ro"}, {"type": "x", "o": "ro"}, {"size": "1"}],
)
def test_bad_options_are_refused(options):
    with pytest.raises(Malformed):
        filesystems.check(options)


def test_file_systems_are_mounted_once_and_taken_away(tmp_path):
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=64k,mode=750,noexec"}
    filesystems.mount(str(tmp_path), options)
    try:
        filesystems.mount(str(tmp_path), options)
        found = os.statvfs(tmp_path)
        assert found.f_blocks * found.f_frsize == 64 << 10
        assert found.f_flag & os.ST_NOEXEC
    finally:
        filesystems.unmount(str(tmp_path))
    assert os.statvfs(tmp_path).f_blocks != 16
    filesystems.unmount(str(tmp_path))


def test_a_directory_of_the_same_file_system_is_seen_to_be_mounted(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "x").touch()
    options = {"type": "none", "device": str(source), "o": "bind,ro"}
    filesystems.mount(str(target), options)
    filesystems.mount(str(target), options)
    try:
        assert os.listdir(target) == ["x"]
        with pytest.raises(OSError, match="Read-only"):
            (target / "y").touch()
    finally:
        filesystems.unmount(str(target))
    assert os.listdir(target) == []


def test_passwords_are_not_told(tmp_path):
    with pytest.raises(Invalid) as caught:
        filesystems.mount(str(tmp_path), {"type": "nope", "device": "//x/y", "o": "user=a,password=secret"})
    assert "secret" not in str(caught.value)
    assert "no file system 'nope'" in str(caught.value)


def tree(root):
    """A directory as an image may have it."""
    (root / "srv/sub").mkdir(parents=True)
    (root / "srv/one").write_text("one")
    os.link(root / "srv/one", root / "srv/sub/same")
    os.symlink("/etc/passwd", root / "srv/link")
    os.mkfifo(root / "srv/fifo")
    os.chown(root / "srv/one", 7, 8)
    os.chmod(root / "srv/one", 0o4711)
    os.chmod(root / "srv", 0o1750)
    os.utime(root / "srv/sub", (1000, 2000))


def test_an_empty_volume_is_filled_with_all_that_a_file_is(tmp_path):
    root, volume = tmp_path / "root", tmp_path / "volume"
    root.mkdir()
    volume.mkdir()
    tree(root)
    filling.fill(str(root), "/srv", str(volume))
    found = os.stat(volume / "one")
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode), found.st_nlink) == (7, 8, 0o4711, 2)
    assert os.path.samefile(volume / "one", volume / "sub/same")
    assert os.readlink(volume / "link") == "/etc/passwd"
    assert stat.S_ISFIFO(os.stat(volume / "fifo").st_mode)
    assert stat.S_IMODE(os.stat(volume).st_mode) == 0o1750
    assert os.stat(volume / "sub").st_mtime == 2000


def test_a_volume_with_something_in_it_stays_as_it_is(tmp_path):
    root, volume = tmp_path / "root", tmp_path / "volume"
    root.mkdir()
    volume.mkdir()
    tree(root)
    (volume / "own").touch()
    filling.fill(str(root), "/srv", str(volume))
    assert os.listdir(volume) == ["own"]
    filling.fill(str(root), "/not/there", str(volume))
    with pytest.raises(Invalid, match="file exists /srv/one"):
        filling.fill(str(root), "/srv/one", str(volume))


def test_an_images_links_lead_nowhere_but_into_it(tmp_path):
    root, volume = tmp_path / "root", tmp_path / "volume"
    (root / "real").mkdir(parents=True)
    volume.mkdir()
    (root / "real/inside").touch()
    (tmp_path / "real").mkdir()
    (tmp_path / "real/outside").touch()
    os.symlink("../../real", root / "srv")
    filling.fill(str(root), "/srv", str(volume))
    assert os.listdir(volume) == ["inside"]
