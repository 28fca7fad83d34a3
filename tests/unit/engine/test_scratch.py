import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from coracle.core.errors import Invalid, NotFound
from coracle.engine.scratch import Scratch
from coracle.linux import mounts


def run(main):
    return asyncio.run(main)


def test_a_scratch_volume_is_empty_everybodys_and_the_same_again(tmp_path):
    async def main():
        volumes = Scratch(root_path=str(tmp_path))
        path = await volumes.scratch("pod-1", "cache")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o777
        assert os.listdir(path) == []
        with open(f"{path}/x", "w"):  # noqa: ASYNC230
            pass
        assert await volumes.scratch("pod-1", "cache") == path
        assert os.listdir(path) == ["x"]
        assert await volumes.owners() == ["pod-1"]
        await volumes.drop_scratch("pod-1")
        await volumes.drop_scratch("pod-1")
        assert await volumes.owners() == []

    run(main())


def test_one_in_memory_is_a_tmpfs_of_its_size_and_goes_whole(tmp_path):
    async def main():
        volumes = Scratch(root_path=str(tmp_path))
        path = await volumes.scratch("pod-1", "fast", medium="Memory", size_bytes=1 << 20)
        await volumes.scratch("pod-1", "fast", medium="Memory", size_bytes=1 << 20)
        try:
            found = os.statvfs(path)
            assert found.f_blocks * found.f_frsize == 1 << 20
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o777
        finally:
            await volumes.drop_scratch("pod-1")
        with open("/proc/self/mountinfo") as file:  # noqa: ASYNC230
            assert path not in file.read()
        assert await volumes.owners() == []

    run(main())


def test_dropping_follows_no_link_out(tmp_path):
    async def main():
        volumes = Scratch(root_path=str(tmp_path / "root"))
        (tmp_path / "precious").mkdir()
        path = await volumes.scratch("pod-1", "a")
        os.symlink(tmp_path / "precious", f"{path}/link")
        await volumes.drop_scratch("pod-1")
        assert (tmp_path / "precious").is_dir()

    run(main())


@pytest.mark.parametrize(("owner", "volume", "medium"), [("..", "a", ""), ("a", "b/c", ""), ("a", "b", "HugePages")])
def test_bad_names_and_mediums_are_refused(tmp_path, owner, volume, medium):
    with pytest.raises(Invalid):
        run(Scratch(root_path=str(tmp_path)).scratch(owner, volume, medium=medium))


@pytest.mark.parametrize(
    ("type", "what", "error"),
    [
        pytest.param("", None, None, id="no type, no check"),
        pytest.param("Directory", "directory", None, id="a directory"),
        pytest.param("Directory", "file", Invalid, id="a file for a directory"),
        pytest.param("Directory", None, NotFound, id="no directory"),
        pytest.param("DirectoryOrCreate", None, None, id="a directory is made"),
        pytest.param("DirectoryOrCreate", "file", Invalid, id="a file in the way"),
        pytest.param("File", "file", None, id="a file"),
        pytest.param("File", None, NotFound, id="no file"),
        pytest.param("FileOrCreate", None, None, id="a file is made"),
        pytest.param("FileOrCreate", "directory", Invalid, id="a directory in the way"),
        pytest.param("Socket", "socket", None, id="a socket"),
        pytest.param("Socket", "file", Invalid, id="a file for a socket"),
        pytest.param("CharDevice", "device", None, id="a character device"),
        pytest.param("BlockDevice", "device", Invalid, id="a character device for a block device"),
        pytest.param("Pipe", "file", Invalid, id="no such type"),
    ],
)
def test_host_paths_are_what_their_type_says(tmp_path, type, what, error):
    path = tmp_path / "it"
    if what == "directory":
        path.mkdir()
    elif what == "file":
        path.write_text("")
    elif what == "device":
        path = "/dev/null"
    with socket.socket(socket.AF_UNIX) as listener:
        if what == "socket":
            listener.bind(str(path))
        wanted = Scratch(root_path=str(tmp_path)).host_path(str(path), type)
        if error is None:
            assert run(wanted) == str(path)
        else:
            with pytest.raises(error, match="hostPath type check failed"):
                run(wanted)
    if error is None and type.endswith("OrCreate"):
        assert path.is_dir() if type.startswith("Dir") else path.is_file()


@pytest.mark.parametrize("path", ["relative", "/a/../b", "/a\0"])
def test_host_paths_are_absolute_and_straight(tmp_path, path):
    with pytest.raises(Invalid):
        run(Scratch(root_path=str(tmp_path)).host_path(path))


def shown(tmp_path, below):
    """What a part shows, looked at while it is held: the names in it, or its text."""

    async def main():
        volumes = Scratch(root_path=str(tmp_path / "root"))
        path = await volumes.part("pod-1", "web.0", str(tmp_path / "volume"), below)
        try:
            return sorted(os.listdir(path)) if Path(path).is_dir() else Path(path).read_text()  # noqa: ASYNC240
        finally:
            await volumes.drop_scratch("pod-1")

    (tmp_path / "volume").mkdir(exist_ok=True)
    return run(main())


def test_a_part_of_a_volume_is_shown_and_missing_directories_are_made(tmp_path):
    (tmp_path / "volume/a").mkdir(parents=True)
    (tmp_path / "volume/a/text").write_text("hello")
    os.symlink("a", tmp_path / "volume/same")
    assert shown(tmp_path, "a") == ["text"]
    assert shown(tmp_path, "same/text") == "hello"
    assert shown(tmp_path, "b/c") == []
    assert (tmp_path / "volume/b/c").is_dir()
    assert (tmp_path / "volume/a/text").read_text() == "hello"


def test_what_is_only_shown_has_to_be_there(tmp_path):
    (tmp_path / "volume").mkdir()
    scratch = Scratch(root_path=str(tmp_path / "root"))
    with pytest.raises(NotFound, match="no such file or directory: a/b"):
        run(scratch.part("pod-1", "web.0", str(tmp_path / "volume"), "a/b", make=False))
    assert not (tmp_path / "volume/a").exists()


@pytest.mark.parametrize("target", ["/etc", "/etc/nothing-there", "..", "../..", "a/../../x"])
def test_a_link_in_a_volume_does_not_lead_a_part_out(tmp_path, target):
    (tmp_path / "volume/a").mkdir(parents=True)
    os.symlink(target, tmp_path / "volume/link")
    with pytest.raises(Invalid, match="is not within the volume"):
        shown(tmp_path, "link")
    assert sorted(os.listdir(tmp_path / "volume")) == ["a", "link"]


def test_an_absolute_link_may_lead_back_into_the_volume(tmp_path):
    (tmp_path / "volume/a/b").mkdir(parents=True)
    os.symlink(tmp_path / "volume/a", tmp_path / "volume/link")
    assert shown(tmp_path, "link") == ["b"]


def test_a_shared_volume_is_one_mount_however_often_it_is_asked_for(tmp_path):
    async def main():
        volumes = Scratch(root_path=str(tmp_path / "root"))
        source = await volumes.scratch("pod-1", "data")
        try:
            for _ in range(2):
                path = await volumes.shared("pod-1", "shared.data", source)
            found = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines() if path in line]  # noqa: ASYNC240
            assert [line[6].partition(":")[0] for line in found] == ["shared"]
        finally:
            await volumes.drop_scratch("pod-1")
        assert path not in Path("/proc/self/mountinfo").read_text()  # noqa: ASYNC240

    run(main())


def test_a_directory_of_the_host_passes_mounts_on_unless_something_of_ours_would_be_hidden(tmp_path):
    plain, crowded = tmp_path / "plain", tmp_path / "crow ded"
    (crowded / "in").mkdir(parents=True)
    plain.mkdir()
    (tmp_path / "file").touch()
    mounts.bind(plain, crowded / "in")

    async def main():
        volumes = Scratch(root_path=str(tmp_path / "root"))
        asked = [plain, plain, crowded, tmp_path / "file", Path("/")]
        return [await volumes.passing(str(path)) for path in asked]

    try:
        assert run(main()) == [True, True, False, False, False]
        found = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        assert [line[6].partition(":")[0] for line in found if line[4] == str(plain)] == ["shared"]
    finally:
        for place in (plain, crowded / "in"):
            while mounts.unmount(place):
                pass


def test_a_file_in_the_way_of_a_part_is_said(tmp_path):
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/file").write_text("")
    with pytest.raises(Invalid, match="leads to nothing"):
        shown(tmp_path, "file/below")
