import os

import pytest

from coracle.linux.rooted import (
    make_directories,
    make_place_in_root,
    open_beneath,
    open_in_root,
    read_in_root,
    resolve_in_root,
)


def test_links_are_followed_inside_the_root_only(tmp_path):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/x").write_text("inside")
    (tmp_path / "x").write_text("outside")
    os.symlink("/etc", root / "absolute")
    os.symlink("../../../../etc", root / "climbing")
    os.symlink("/x", root / "outwards")
    assert read_in_root(str(root), "/absolute/x", 100) == b"inside"
    assert read_in_root(str(root), "/climbing/x", 100) == b"inside"
    assert read_in_root(str(root), "/../x", 100) is None
    fd = os.open(root, os.O_PATH)
    try:
        with pytest.raises(FileNotFoundError):
            open_in_root(fd, "/outwards", os.O_RDONLY)
    finally:
        os.close(fd)


def test_a_file_must_be_a_file_and_small(tmp_path):
    (tmp_path / "big").write_bytes(b"x" * 101)
    os.mkfifo(tmp_path / "fifo")
    os.symlink("big", tmp_path / "link")
    assert [read_in_root(str(tmp_path), name, 100) for name in ("fifo", "link", "none", "big/x", ".")] == [None] * 5
    with pytest.raises(OSError, match="larger"):
        read_in_root(str(tmp_path), "big", 100)


def test_directories_are_made_where_the_path_leads(tmp_path):
    os.symlink("/deep", tmp_path / "link")
    (tmp_path / "deep").mkdir()
    assert make_directories(str(tmp_path), "/link/a/b") == "/deep/a/b"
    assert make_directories(str(tmp_path), "/") == "/"
    assert (tmp_path / "deep/a/b").is_dir()


def test_a_dangling_link_is_in_the_way(tmp_path):
    os.symlink("/nowhere", tmp_path / "link")
    with pytest.raises(FileExistsError):
        make_directories(str(tmp_path), "/link/a")


def test_where_a_path_leads(tmp_path):
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    os.symlink("/a/b", root / "link")
    os.symlink("../../..//link/.", root / "a/up")
    os.symlink("nowhere/x", root / "a/dangling")
    os.symlink("loop", root / "loop")
    fd = os.open(root, os.O_PATH)
    try:
        assert resolve_in_root(fd, "/link/../up") == "/a/b"
        assert resolve_in_root(fd, "a/dangling") == "/a/nowhere/x"
        assert resolve_in_root(fd, "/../../x") == "/x"
        assert resolve_in_root(fd, "/loop") == "/loop"
        assert resolve_in_root(fd, "/") == "/"
    finally:
        os.close(fd)


def test_nothing_beneath_may_be_a_link(tmp_path):
    (tmp_path / "a").mkdir()
    os.symlink("a", tmp_path / "link")
    fd = os.open(tmp_path, os.O_PATH)
    try:
        os.close(open_beneath(fd, "a", os.O_PATH))
        for path in ("link", "link/x", "../x", "/etc"):
            with pytest.raises(OSError, match=path):
                open_beneath(fd, path, os.O_PATH)
    finally:
        os.close(fd)


def test_places_are_made_inside_the_root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    os.symlink("../..", root / "up")
    fd = os.open(root, os.O_PATH)
    try:
        os.close(make_place_in_root(fd, "/up/new/file", directory=False))
        os.close(make_place_in_root(fd, "/up/new/dir", directory=True))
        os.close(make_place_in_root(fd, "/up/new/dir", directory=True))
    finally:
        os.close(fd)
    assert (root / "new/file").is_file()
    assert (root / "new/dir").is_dir()
    assert os.listdir(tmp_path) == ["root"]
