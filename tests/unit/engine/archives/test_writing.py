import io
import os
import stat
import tarfile
import threading

import pytest

from coracle.engine.archives.writing import Handle, tar_of


def packed(path, name):
    return b"".join(tar_of(Handle(os.open(path, os.O_PATH | os.O_NOFOLLOW)), name))


def entries(raw):
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return {member.name: member for member in archive}


def content(raw, name):
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return archive.extractfile(name).read()


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "file").write_bytes(b"x" * 1000)
    os.link(root / "file", root / "sub/same")
    os.symlink("/etc/passwd", root / "link")
    os.mkfifo(root / "fifo")
    os.mknod(root / "zero", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    os.chown(root / "file", 7, 8)
    os.chmod(root / "file", 0o4711)
    return root


def test_a_tree_with_all_kinds_of_files(tree):
    found = entries(packed(tree, "shown"))
    assert sorted(found) == [
        "shown", "shown/fifo", "shown/file", "shown/link", "shown/sub", "shown/sub/same", "shown/zero",
    ]  # fmt: skip
    file = found["shown/file"]
    assert (file.uid, file.gid, file.mode, file.size) == (7, 8, 0o4711, 1000)
    assert (found["shown/sub/same"].islnk(), found["shown/sub/same"].linkname) == (True, "shown/file")
    assert found["shown/link"].linkname == "/etc/passwd"
    assert (found["shown/zero"].devmajor, found["shown/zero"].devminor) == (1, 5)
    assert content(packed(tree, "shown"), "shown/file") == b"x" * 1000


@pytest.mark.parametrize(("name", "first", "second"), [("", "fifo", "file"), ("/", "/", "/fifo"), (".", ".", "./fifo")])
def test_names_begin_as_they_are_asked_to(tree, name, first, second):
    raw = packed(tree, name)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        names = [member.name for member in archive]
    assert [one or "/" for one in names[:2]] == [first, second]


def test_a_single_file_and_a_single_link(tree):
    assert content(packed(tree / "file", "other"), "other") == b"x" * 1000
    assert entries(packed(tree / "link", "link"))["link"].issym()


def test_capabilities_are_kept_and_overlayfs_own_are_not(tree):
    os.setxattr(tree / "file", "user.mine", b"yes")
    os.setxattr(tree / "file", "trusted.overlay.origin", b"no")
    found = entries(packed(tree / "file", "file"))["file"].pax_headers
    assert found["SCHILY.xattr.user.mine"] == "yes"
    assert not [name for name in found if "overlay" in name]


def test_a_file_that_shrinks_meanwhile_is_filled_up(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * (3 << 20))
    pieces = tar_of(Handle(os.open(path, os.O_PATH)), "file")
    first = next(pieces)
    os.truncate(path, 10)
    raw = first + b"".join(pieces)
    assert len(content(raw, "file")) == 3 << 20


def test_a_directory_swapped_for_a_link_gives_nothing_away(tmp_path):
    tree, secret = tmp_path / "tree", tmp_path / "secret"
    (tree / "a").mkdir(parents=True)
    (tree / "a/inside").touch()
    secret.mkdir()
    (secret / "outside").touch()
    done = threading.Event()

    def swap():
        while not done.is_set():
            os.rename(tree / "a", tmp_path / "hold")
            os.symlink(secret, tree / "a")
            os.unlink(tree / "a")
            os.rename(tmp_path / "hold", tree / "a")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(300):
            assert "tree/a/outside" not in entries(packed(tree, "tree"))
    finally:
        done.set()
        thread.join()


def test_names_that_are_no_text_and_long_ones(tmp_path):
    name = b"\xff" + b"n" * 200
    (tmp_path / os.fsdecode(name)).touch()
    [found] = [one for one in entries(packed(tmp_path, "top")) if one != "top"]
    assert os.fsencode(found) == b"top/" + name
