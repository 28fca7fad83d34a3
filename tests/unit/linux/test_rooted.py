import os

import pytest

from coracle.linux.rooted import make_directories, open_in_root, read_in_root


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
