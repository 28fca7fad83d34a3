"""COPY: what is found, what it is worth as a fingerprint, where it goes."""

import os

import pytest

from coracle.core.errors import Invalid
from coracle.engine.builds.copying import Manner, copy, destination
from coracle.engine.builds.sources import Found, find, fingerprint
from coracle.image.dockerfile.ignore import NOTHING, Ignore


@pytest.fixture
def roots(tmp_path):
    """Descriptors of the root to copy from and of the one to copy to."""
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    fds = [os.open(tmp_path / name, os.O_RDONLY) for name in ("from", "to")]
    yield fds
    for fd in fds:
        os.close(fd)


def put(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["a"], ["a"]),
        (["/d/../a", "./d/"], ["a", "d"]),
        (["*"], ["a", "d", "link"]),
        (["d/*"], ["d/one", "d/two"]),
        (["*/t?o"], ["d/two", "link/two"]),
        (["[ab]"], ["a"]),
        (["link/one"], ["link/one"]),
        (["."], [""]),
    ],
)
def test_sources(tmp_path, roots, patterns, found):
    put(tmp_path / "from", a="a", d__one="1", d__two="2")
    (tmp_path / "from" / "link").symlink_to("d")
    assert [one.path for one in find(roots[0], patterns)] == found


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("nope", "COPY failed: file not found in build context or excluded by .dockerignore: stat nope"),
        ("nope*", "COPY failed: no source files were specified"),
        ("../a", r"COPY failed: forbidden path outside the build context: ../a \(\)"),
        ("a/../../b", "forbidden path outside the build context"),
        ("a\0", "invalid path"),
        ("loop", "file not found"),
        ("away", "file not found"),
        ("[", "syntax error in pattern"),
    ],
)
def test_sources_that_are_none(tmp_path, roots, pattern, said):
    (tmp_path / "from" / "loop").symlink_to("loop")
    (tmp_path / "from" / "away").symlink_to("../../../../../../../../etc/hostname")
    with pytest.raises(Exception, match=said):
        find(roots[0], [pattern])


def test_a_fingerprint_is_of_names_modes_targets_and_content_and_not_of_times(tmp_path, roots):
    tree = tmp_path / "from"

    def now(ignore=NOTHING):
        return fingerprint(roots[0], Found("", is_directory=True), ignore)

    put(tree, d__f="x", g="y")
    (tree / "l").symlink_to("g")
    seen = [now()]
    os.utime(tree / "g", (1, 1))
    assert now() == seen[0]
    put(tree, g="z")
    seen.append(now())
    (tree / "g").chmod(0o600)
    seen.append(now())
    (tree / "l").unlink()
    (tree / "l").symlink_to("d")
    seen.append(now())
    (tree / "g").rename(tree / "h")
    seen.append(now())
    seen.append(now(Ignore.of("h")))
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    ("workdir", "dest", "whole"),
    [
        ("", "/x", "/x"),
        ("/w", "x/", "/w/x/"),
        ("/w", ".", "/w/"),
        ("/w", "../../..", "/"),
        ("", "/", "/"),
        ("w", "a//b", "/w/a/b"),
    ],
)
def test_destinations(workdir, dest, whole):
    assert destination(workdir, dest, several=False) == whole


def test_several_need_a_directory():
    with pytest.raises(Invalid, match="the destination must be a directory and end with a /"):
        destination("/", "x", several=True)


def test_links_of_the_image_lead_inside_it_and_nowhere_else(tmp_path, roots):
    put(tmp_path / "from", f="x", d__lib__f="y")
    target = tmp_path / "to"
    (target / "usr" / "lib").mkdir(parents=True)
    (target / "lib").symlink_to("/usr/lib")
    (target / "out").symlink_to("../../../../../../../../tmp")
    copy(*of(roots, "f"), "/lib/", Manner())
    copy(*of(roots, "d"), "/", Manner())
    assert (target / "usr" / "lib" / "f").read_text() == "y"
    assert (target / "lib").is_symlink()
    with pytest.raises(Invalid, match="failed to copy files"):
        copy(*of(roots, "f"), "/out/x", Manner())
    assert not os.path.exists("/tmp/x")


def of(roots, path):
    [found] = find(roots[0], [path])
    return roots[0], found, roots[1]


def test_a_file_does_not_take_a_directorys_place(tmp_path, roots):
    put(tmp_path / "from", d__x="file")
    (tmp_path / "to" / "x").mkdir()
    with pytest.raises(Invalid, match="cannot copy to directory: x"):
        copy(*of(roots, "d"), "/", Manner())


def test_parents_are_kept_where_asked(tmp_path, roots):
    put(tmp_path / "from", a__b__f="x")
    copy(*of(roots, "a/b/f"), "/to/", Manner(parents=True))
    assert (tmp_path / "to" / "to" / "a" / "b" / "f").read_text() == "x"


def test_fifos_and_sockets_hang_nobody(tmp_path, roots):
    os.mkfifo(tmp_path / "from" / "fifo")
    put(tmp_path / "from", f="x")
    fingerprint(roots[0], Found("", is_directory=True))
    copy(roots[0], Found("", is_directory=True), roots[1], "/", Manner(mode=0o640))
    assert sorted(os.listdir(tmp_path / "to")) == ["f", "fifo"]
    assert (tmp_path / "to" / "f").stat().st_mode & 0o777 == 0o640
