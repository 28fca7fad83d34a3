import os

import pytest

from coracle.linux.removal import remove_tree
from coracle.linux.walks import walk


def test_parents_come_first_and_names_in_order(tmp_path):
    for path in ("b/x", "a/y/z", "c"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "a/file").touch()
    found = [(folder.path, [name for name, _ in folder.entries]) for folder in walk(tmp_path)]
    assert found == [
        ("", ["a", "b", "c"]), ("a", ["file", "y"]), ("a/y", ["z"]), ("a/y/z", []), ("b", ["x"]), ("b/x", []), ("c", []),
    ]  # fmt: skip


def test_links_are_not_followed_and_what_is_swapped_is_left(tmp_path):
    (tmp_path / "tree/inner").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").touch()
    os.symlink("../secret", tmp_path / "tree/link")
    found = []
    for folder in walk(tmp_path / "tree"):
        if not folder.path:
            os.rmdir(tmp_path / "tree/inner")
            os.symlink("../secret", tmp_path / "tree/inner")
        found += [name for name, _ in folder.entries]
    assert found == ["inner", "link"]


def test_depth_costs_no_descriptors_and_has_an_end(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deep", dir_fd=here)
        inner = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    before = len(os.listdir("/proc/self/fd"))
    depths = []
    for folder in walk(tmp_path):
        depths.append(folder.path.count("/"))
        assert len(os.listdir("/proc/self/fd")) <= before + 3
    assert 700 < max(depths) < 1500  # a path has 4,096 bytes
    remove_tree(tmp_path)
    assert not tmp_path.exists()
    remove_tree(tmp_path)


def test_a_top_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(walk(tmp_path / "nope"))
