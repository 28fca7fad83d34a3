import io
import os
import stat
import tarfile

import pytest

from coracle.core.errors import Invalid, Malformed
from coracle.engine.archives.extraction import Extraction


def packed(*members):
    """A tar of TarInfo, or of (name, content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                entry = tarfile.TarInfo(member[0])
                entry.size = len(member[1])
                archive.addfile(entry, io.BytesIO(member[1]))
    return io.BytesIO(out.getvalue())


def entry(name, type=tarfile.REGTYPE, **more):
    found = tarfile.TarInfo(name)
    found.type, found.mode = type, more.pop("mode", 0o644)
    for key, value in more.items():
        setattr(found, key, value)
    return found


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root/base").mkdir(parents=True)
    return tmp_path / "root"


def extract(root, source, base="/base", **options):
    fd = os.open(root, os.O_PATH)
    try:
        Extraction(base, **options).run(fd, source)
    finally:
        os.close(fd)


def test_everything_an_archive_can_hold(root):
    extract(
        root,
        packed(
            entry("dir", tarfile.DIRTYPE, mode=0o750, mtime=1000),
            ("dir/file", b"content"),
            entry("dir/hard", tarfile.LNKTYPE, linkname="dir/file"),
            entry("dir/link", tarfile.SYMTYPE, linkname="../../outside", uid=5, gid=6),
            entry("fifo", tarfile.FIFOTYPE),
            entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
            entry("program", mode=0o6755, uid=3, gid=4, pax_headers={"SCHILY.xattr.user.mine": "yes"}),
            ("not/described/file", b"x"),
        ),
    )
    base = root / "base"
    assert (base / "dir/file").read_bytes() == b"content"
    assert os.path.samefile(base / "dir/file", base / "dir/hard")
    assert os.readlink(base / "dir/link") == "../../outside"
    assert (os.lstat(base / "dir/link").st_uid, os.stat(base / "dir").st_mtime) == (5, 1000)
    assert stat.S_IMODE(os.stat(base / "dir").st_mode) == 0o750
    found = os.stat(base / "program")
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o6755, 3, 4)
    assert os.getxattr(base / "program", "user.mine") == b"yes"
    assert os.stat(base / "null").st_rdev == os.makedev(1, 3)
    assert (base / "not/described/file").exists()


def test_everything_belongs_to_the_owner_that_is_asked_for(root):
    extract(root, packed(entry("x", uid=1, gid=1), entry("l", tarfile.SYMTYPE, linkname="x")), owner=(8, 9))
    assert [os.lstat(root / "base" / name).st_uid for name in ("x", "l")] == [8, 8]


def test_what_is_there_is_replaced_and_directories_are_joined(root):
    base = root / "base"
    (base / "dir/old").mkdir(parents=True)
    (base / "file").write_text("old")
    os.symlink("/etc/passwd", base / "link")
    os.link(base / "file", base / "other")
    extract(
        root,
        packed(
            entry("dir", tarfile.DIRTYPE, mode=0o700),
            ("dir/new", b""),
            ("file", b"new"),
            ("link", b"no link"),
            ("dir/old", b""),
        ),
    )
    assert (base / "file").read_text() == "new"
    assert (base / "other").read_text() == "old"
    assert (base / "link").read_text() == "no link"
    assert (base / "dir/old").is_file()
    assert (base / "dir/new").exists()


def test_a_type_is_kept_where_that_is_asked(root):
    (root / "base/dir").mkdir()
    (root / "base/file").touch()
    with pytest.raises(Invalid, match="cannot overwrite directory"):
        extract(root, packed(("dir", b"")), keeps_kinds=True)
    with pytest.raises(Invalid, match="cannot overwrite non-directory"):
        extract(root, packed(entry("file", tarfile.DIRTYPE)), keeps_kinds=True)


@pytest.mark.parametrize(
    "member",
    [
        ("../evil", b""),
        ("a/../../evil", b""),
        entry("hard", tarfile.LNKTYPE, linkname="../secret"),
        entry("x", pax_headers={"SCHILY.xattr.trusted.overlay.opaque": "y"}),
        entry("x", pax_headers={"SCHILY.xattr.user.overlay.opaque": "y"}),
        entry("x", uid=1 << 32),
        entry("x", gid=-1),
    ],
)
def test_what_lies_is_refused_before_anything_is_made(root, member):
    (root.parent / "secret").touch()
    with pytest.raises(Malformed):
        extract(root, packed(member))
    assert os.listdir(root / "base") == []
    assert sorted(os.listdir(root.parent)) == ["root", "secret"]


def test_links_on_the_way_mean_what_they_mean_inside(root):
    (root / "other").mkdir()
    os.symlink("/other", root / "base/absolute")
    os.symlink("../../../other", root / "base/climbing")
    extract(root, packed(("absolute/one", b"1"), ("climbing/two", b"2")))
    assert sorted(os.listdir(root / "other")) == ["one", "two"]
    assert os.listdir(root.parent) == ["root"]


def test_a_link_that_the_archive_brings_is_not_written_through_at_its_end(root):
    extract(root, packed(entry("link", tarfile.SYMTYPE, linkname="/victim"), ("link", b"replaces the link")))
    assert not (root / "victim").exists()
    assert (root / "base/link").read_bytes() == b"replaces the link"


@pytest.mark.parametrize("raw", [b"no tar at all" * 100, b"\x1f\x8bno gzip", b"BZhnothing", b"\xfd7zXZ\0broken"])
def test_what_is_no_archive_is_refused(root, raw):
    with pytest.raises(Malformed):
        extract(root, io.BytesIO(raw))


def test_a_truncated_archive_is_refused(root):
    whole = packed(("file", b"x" * 5000)).getvalue()
    with pytest.raises(Malformed):
        extract(root, io.BytesIO(whole[:2000]))


def test_a_header_that_claims_a_gigabyte_is_refused(root):
    long = entry("x", tarfile.GNUTYPE_LONGNAME)
    long.size = 1 << 30
    with pytest.raises(Malformed):
        extract(root, io.BytesIO(long.tobuf(tarfile.GNU_FORMAT) + b"a" * 512))


def test_a_file_on_which_something_is_mounted_is_written_into(root, tmp_path):
    import coracle.linux.mounts as mounts

    (tmp_path / "hosts").write_text("old")
    (root / "base/hosts").touch()
    mounts.bind(tmp_path / "hosts", root / "base/hosts")
    try:
        extract(root, packed(("hosts", b"new")))
    finally:
        mounts.unmount(root / "base/hosts")
    assert (tmp_path / "hosts").read_text() == "new"
