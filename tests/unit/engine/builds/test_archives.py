"""Archives that somebody has sent: unpacked inside, or refused."""

import gzip
import io
import lzma
import os
import tarfile

import pytest

from coracle.core.errors import CloudError, Invalid, TooLarge
from coracle.engine.builds.archives import Unpacker
from coracle.engine.builds.packed import Limits, is_archive


def tar(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
                continue
            for field, value in content.items():
                setattr(member, field, value)
            archive.addfile(member)
    return out.getvalue()


def unpack(tmp_path, data, prefix="", owner=(0, 0), limits=None):
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    fd = os.open(root, os.O_RDONLY)
    try:
        unpacker = Unpacker(fd, prefix, owner, limits)
        unpacker.unpack(io.BytesIO(data))
        return unpacker.digests
    finally:
        os.close(fd)


LINK, HARD, FOLDER = ({"type": kind} for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE))


def test_files_arrive_with_their_modes_times_and_digests(tmp_path):
    data = tar(("d", {**FOLDER, "mode": 0o750, "mtime": 5}), ("d/f", b"abc"), ("l", {**LINK, "linkname": "d/f"}))
    digests = unpack(tmp_path, data)
    root = tmp_path / "root"
    assert (root / "d" / "f").read_bytes() == b"abc"
    assert os.readlink(root / "l") == "d/f"
    assert (root / "d").stat().st_mode & 0o777 == 0o750
    assert (root / "d").stat().st_mtime == 5
    assert digests == {"d/f": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}


def test_links_mean_what_they_mean_inside(tmp_path):
    (tmp_path / "outside").mkdir()
    data = tar(
        ("in", FOLDER), ("l", {**LINK, "linkname": "/in"}), ("l/f", b"x"), ("up", {**LINK, "linkname": "../../.."})
    )
    unpack(tmp_path, data + b"")
    assert (tmp_path / "root" / "in" / "f").read_bytes() == b"x"
    unpack(tmp_path, tar(("up/in/g", b"y")))
    assert (tmp_path / "root" / "in" / "g").read_bytes() == b"y"
    assert os.listdir(tmp_path / "outside") == []


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("../f", b"x")], "leads out of it"),
        ([("a/../../f", b"x")], "leads out of it"),
        ([("l", {**HARD, "linkname": "../../etc/passwd"})], "leads out of it"),
        ([("l", {**HARD, "linkname": "nothing"})], "link to nothing"),
        ([("d", FOLDER), ("d", b"x")], "a file where there is a directory"),
        ([("f", b"x"), ("f/g", b"x")], "cannot be unpacked"),
        ([("x" * 4097, b"")], "impossible name"),
        ([("loop", {**LINK, "linkname": "loop"}), ("loop/f", b"")], "cannot be unpacked"),
    ],
)
def test_what_is_refused(tmp_path, members, said):
    with pytest.raises(Invalid, match=said):
        unpack(tmp_path, tar(*members))


def test_later_entries_replace_earlier_ones(tmp_path):
    digests = unpack(tmp_path, tar(("f", b"1"), ("f", {**LINK, "linkname": "/etc/passwd"}), ("f", b"2")))
    assert (tmp_path / "root" / "f").read_bytes() == b"2"
    assert list(digests) == ["f"]


@pytest.mark.parametrize(
    "data",
    [
        b"not an archive" * 100,
        b"\x1f\x8bbroken",
        tar(("f", b"x" * 2000))[:1000],
        gzip.compress(b"x" * 600),
        b"\xfd7zXZ\x00bad",
    ],
)
def test_what_is_damaged(tmp_path, data):
    with pytest.raises(Invalid, match="damaged"):
        unpack(tmp_path, data)


def test_a_last_block_that_was_not_filled_is_borne_with_and_a_short_file_is_not(tmp_path):
    whole = tar(("f", b"x" * 100))
    unpack(tmp_path, whole[: 512 + 100])
    assert (tmp_path / "root" / "f").read_bytes() == b"x" * 100
    with pytest.raises(Invalid, match="unexpected end of data"):
        unpack(tmp_path, whole[: 512 + 99])


def test_bombs(tmp_path):
    limits = Limits(max_bytes=1 << 30, max_entries=3, max_ratio=10, free_bytes=1 << 16)
    with pytest.raises(TooLarge, match="too many bytes"):
        unpack(tmp_path, gzip.compress(tar(("f", bytes(1 << 20)))), limits=limits)
    with pytest.raises(TooLarge, match="more than 3 entries"):
        unpack(tmp_path, tar(*((f"f{i}", b"") for i in range(4))), limits=limits)
    with pytest.raises(CloudError):
        unpack(tmp_path, lzma.compress(b"x" * 100, preset=9 | lzma.PRESET_EXTREME)[:40], limits=limits)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (tar(("f", b"x")), True),
        (gzip.compress(tar(("f", b"x"))), True),
        (gzip.compress(b"x" * 900), False),
        (b"text", False),
        (b"", False),
    ],
)
def test_telling_archives_from_other_files(data, found):
    file = io.BytesIO(data)
    assert is_archive(file) is found
    assert file.tell() == 0
