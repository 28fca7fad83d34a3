"""Real files: what inotify tells of them, and how they travel."""

import io
import os
import select
import tarfile

import pytest

from coracle.compose.watching import archive
from coracle.compose.watching.tree import Tree


@pytest.fixture
def tree(tmp_path):
    opened = []

    def open_tree(*roots, passes_over=lambda path: path.endswith("/skipped")):
        opened.append(Tree([str(tmp_path / root) for root in roots], passes_over))
        return opened[-1]

    yield open_tree
    for one in opened:
        one.close()


def changed(tree, tmp_path):
    """What has changed by now: inotify tells at once."""
    found = set()
    while select.select([tree], [], [], 0)[0]:
        found |= tree.changed()
    return {os.path.relpath(path, tmp_path) for path in found}


def test_files_that_are_written_moved_and_removed(tree, tmp_path):
    (tmp_path / "src/deep").mkdir(parents=True)
    (tmp_path / "src/deep/old").write_text("1")
    watch = tree("src")
    assert changed(watch, tmp_path) == set()
    (tmp_path / "src/new").write_text("1")
    (tmp_path / "src/deep/old").write_text("2")
    assert changed(watch, tmp_path) == {"src/new", "src/deep/old"}
    os.replace(tmp_path / "src/new", tmp_path / "src/other")
    (tmp_path / "src/deep/old").unlink()
    assert changed(watch, tmp_path) == {"src/new", "src/other", "src/deep/old"}
    (tmp_path / "src/other").chmod(0o755)
    assert changed(watch, tmp_path) == {"src/other"}


def test_directories_that_come_with_files_in_them_and_go(tree, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "made/in").mkdir(parents=True)
    (tmp_path / "made/in/file").write_text("1")
    watch = tree("src")
    os.rename(tmp_path / "made", tmp_path / "src/made")
    assert changed(watch, tmp_path) == {"src/made", "src/made/in", "src/made/in/file"}
    (tmp_path / "src/made/in/file").write_text("2")
    assert changed(watch, tmp_path) == {"src/made/in/file"}
    os.rename(tmp_path / "src/made", tmp_path / "src/renamed")
    assert changed(watch, tmp_path) >= {"src/made", "src/renamed", "src/renamed/in", "src/renamed/in/file"}
    (tmp_path / "src/renamed/in/file").write_text("3")
    assert changed(watch, tmp_path) == {"src/renamed/in/file"}
    os.rename(tmp_path / "src/renamed", tmp_path / "away")
    changed(watch, tmp_path)
    (tmp_path / "away/in/file").write_text("4")
    assert changed(watch, tmp_path) == set()


def test_one_file_however_it_is_replaced(tree, tmp_path):
    (tmp_path / "conf").write_text("1")
    (tmp_path / "beside").write_text("1")
    watch = tree("conf")
    (tmp_path / "beside").write_text("2")
    assert changed(watch, tmp_path) == set()
    (tmp_path / "conf.new").write_text("2")
    os.replace(tmp_path / "conf.new", tmp_path / "conf")
    assert changed(watch, tmp_path) == {"conf"}
    (tmp_path / "conf").write_text("3")
    assert changed(watch, tmp_path) == {"conf"}


def test_what_is_not_there_yet(tree, tmp_path):
    watch = tree("later/src")
    (tmp_path / "later/src").mkdir(parents=True)
    (tmp_path / "later/src/file").write_text("1")
    assert changed(watch, tmp_path) == {"later/src", "later/src/file"}
    (tmp_path / "later/src/file").write_text("2")
    assert changed(watch, tmp_path) == {"later/src/file"}


def test_a_directory_that_is_made_again(tree, tmp_path):
    (tmp_path / "src").mkdir()
    watch = tree("src")
    (tmp_path / "src").rmdir()
    (tmp_path / "src").mkdir()
    (tmp_path / "src/file").write_text("1")
    assert changed(watch, tmp_path) == {"src", "src/file"}
    (tmp_path / "src/file").write_text("2")
    assert changed(watch, tmp_path) == {"src/file"}


def test_what_is_passed_over_is_not_watched(tree, tmp_path):
    (tmp_path / "src/skipped").mkdir(parents=True)
    watch = tree("src")
    (tmp_path / "src/skipped/file").write_text("1")
    assert changed(watch, tmp_path) == set()
    assert watch.present() == {str(tmp_path / "src")}


def test_a_link_to_a_directory_is_a_file_of_its_own(tree, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "out").mkdir()
    watch = tree("src")
    (tmp_path / "src/link").symlink_to(tmp_path / "out")
    assert changed(watch, tmp_path) == {"src/link"}
    (tmp_path / "out/file").write_text("1")
    assert changed(watch, tmp_path) == set()


def packed(files):
    return tarfile.open(fileobj=io.BytesIO(b"".join(archive.pieces(files))))


def test_an_archive_has_the_files_as_roots(tmp_path):
    (tmp_path / "script").write_bytes(b"x" * 1000)
    (tmp_path / "script").chmod(0o750)
    os.chown(tmp_path / "script", 7, 7)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("script")
    os.mkfifo(tmp_path / "pipe")
    names = ("script", "empty", "link", "pipe", "gone")
    with packed([(str(tmp_path / name), f"/app/{name}") for name in names]) as tar:
        assert tar.getnames() == ["app/empty", "app/link", "app/script"]
        script = tar.getmember("app/script")
        assert (script.mode, script.uid, script.gid, tar.extractfile(script).read()) == (0o750, 0, 0, b"x" * 1000)
        assert tar.getmember("app/link").linkname == "script"
        assert tar.getmember("app/empty").isdir()


def test_a_file_that_shrinks_while_it_is_read_keeps_the_archive_whole(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * (3 << 20))
    (tmp_path / "b").write_bytes(b"y")
    pieces = archive.pieces([(str(tmp_path / name), f"/{name}") for name in "ab"])
    data = next(pieces) + next(pieces)
    os.truncate(tmp_path / "a", 1 << 20)
    data += b"".join(pieces)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["a", "b"]
        assert tar.extractfile("b").read() == b"y"


def test_what_is_gone_is_told_from_what_is_here(tmp_path):
    (tmp_path / "here").write_text("")
    (tmp_path / "broken").symlink_to("nowhere")
    files = {str(tmp_path / name): [f"/1/{name}", f"/2/{name}"] for name in ("here", "gone", "broken")}
    here, gone = archive.split(files)
    assert sorted(place for _, place in here) == ["/1/broken", "/1/here", "/2/broken", "/2/here"]
    assert gone == ["/1/gone", "/2/gone"]


def test_a_directory_goes_with_all_that_is_in_it(tmp_path):
    files = {str(tmp_path / name): [f"/app/{name}"] for name in ("deep", "deep/a", "deep/er/b", "deeper")}
    assert archive.split(files) == ([], ["/app/deep", "/app/deeper"])
