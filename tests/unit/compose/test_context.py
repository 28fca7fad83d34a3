"""The tar of a build's context: what is in it, what .dockerignore leaves out, and what cannot be sent."""

import io
import os
import tarfile

import pytest

from coracle.compose.context import context_of
from coracle.core.errors import Conflict, Malformed, NotFound


@pytest.fixture
def folder(tmp_path):
    def make(files):
        for name, text in {"Dockerfile": "FROM x\n", **files}.items():
            path = tmp_path / "context" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "context"

    return make


def sent(context):
    """name -> content; None: a directory."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(context.pieces()))) as tar:
        return {one.name: tar.extractfile(one).read().decode() if one.isreg() else None for one in tar}


def names(directory, **build):
    return {name for name, text in sent(context_of({"context": str(directory), **build})).items() if text is not None}


FILES = {"a": "1", "a.log": "2", "src/b": "3", "src/deep/c.log": "4", "docs/README.md": "5", "docs/x.md": "6"}


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ("", {*FILES}),
        ("# a comment\n\n*.log", {*FILES} - {"a.log"}),
        ("**/*.log", {*FILES} - {"a.log", "src/deep/c.log"}),
        ("src", {*FILES} - {"src/b", "src/deep/c.log"}),
        ("/src/", {*FILES} - {"src/b", "src/deep/c.log"}),
        ("docs\n!docs/README.md", {*FILES} - {"docs/x.md"}),
        ("*\n!src/deep", {"src/deep/c.log"}),
        ("*\n!**/*.md\ndocs/x.md", {"docs/README.md"}),
        ("src/d??p", {*FILES} - {"src/deep/c.log"}),
        ("Dockerfile\n.dockerignore\na", {*FILES} - {"a"}),
    ],
)
def test_what_is_left_out(folder, patterns, left):
    """Dockerfile and .dockerignore always go along: the builder takes them away."""
    assert names(folder({**FILES, ".dockerignore": patterns})) == left | {"Dockerfile", ".dockerignore"}


def test_a_dockerfiles_own_list_comes_first(folder):
    files = {".dockerignore": "a", "sub/D": "FROM x\n", "sub/D.dockerignore": "b\nsub", "a": "", "b": ""}
    directory = folder(files)
    assert names(directory, dockerfile="sub/D") == {"Dockerfile", ".dockerignore", "a", "sub/D"}
    assert names(directory) == {"Dockerfile", ".dockerignore", "b", "sub/D", "sub/D.dockerignore"}


def test_kinds_of_files(folder):
    directory = folder({"run.sh": "x", "sub/f": "y"})
    (directory / "run.sh").chmod(0o755)
    (directory / "link").symlink_to("/etc/passwd")
    (directory / "linked").symlink_to("sub")
    os.mkfifo(directory / "pipe")
    (directory / "empty").mkdir(mode=0o700)
    with tarfile.open(fileobj=io.BytesIO(b"".join(context_of({"context": str(directory)}).pieces()))) as tar:
        found = {one.name: (one.type, one.linkname, one.mode & 0o777, one.uid) for one in tar}
    assert found["run.sh"] == (tarfile.REGTYPE, "", 0o755, 0)
    assert found["link"] == (tarfile.SYMTYPE, "/etc/passwd", 0o777, 0)
    assert found["empty"] == (tarfile.DIRTYPE, "", 0o700, 0)
    assert set(found) == {"Dockerfile", "run.sh", "link", "linked", "empty", "sub", "sub/f"}


def test_a_dockerfile_from_elsewhere_is_copied_by_nothing(folder, tmp_path):
    (tmp_path / "other").write_text("FROM y\n")
    context = context_of({"context": str(folder({".dockerignore": "*.log"})), "dockerfile": "../other"})
    found = sent(context)
    assert found[context.dockerfile] == "FROM y\n"
    assert found[".dockerignore"] == f"*.log\n{context.dockerfile}\n"
    assert found["Dockerfile"] == "FROM x\n"


def test_a_dockerfile_in_the_file(folder):
    directory = folder({"a": "1"})
    context = context_of({"context": str(directory), "dockerfile_inline": "FROM z\n"})
    found = sent(context)
    assert found[context.dockerfile] == "FROM z\n"
    assert found[".dockerignore"].splitlines() == [".dockerignore", context.dockerfile]
    assert context.dockerfile == context_of({"context": str(directory), "dockerfile_inline": "FROM z\n"}).dockerfile


def test_a_linked_dockerfile_is_found(folder):
    directory = folder({"real": "FROM r\n"})
    (directory / "D").symlink_to("real")
    assert context_of({"context": str(directory), "dockerfile": "D"}).dockerfile == "real"


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        ({"context": "https://example.org/a.git#main"}, Malformed, "only directories of this machine"),
        ({"context": "git@example.org:a.git"}, Malformed, "only directories of this machine"),
        ({"context": "/nowhere"}, NotFound, 'path "/nowhere" not found'),
        (
            {"dockerfile": "Nope"},
            NotFound,
            "unable to evaluate symlinks in Dockerfile path: lstat .*/Nope: no such file",
        ),
        ({"dockerfile": "sub"}, Malformed, "sub: is a directory"),
    ],
)
def test_what_is_no_context(folder, build, error, message):
    directory = folder({"sub/f": ""})
    with pytest.raises(error, match=message):
        context_of({"context": str(directory), **build})


def test_patterns_that_are_none(folder):
    with pytest.raises(Malformed, match=r"error checking context: .*/.dockerignore: illegal exclusion pattern"):
        context_of({"context": str(folder({".dockerignore": "!"}))})


def test_large_files_come_in_pieces(folder):
    directory = folder({"big": "x" * (3 << 20)})
    pieces = list(context_of({"context": str(directory)}).pieces())
    assert max(map(len, pieces)) < (1 << 20) + (1 << 18)


def test_small_files_come_together(folder):
    directory = folder({f"f{number}": "x" for number in range(100)})
    assert len(list(context_of({"context": str(directory)}).pieces())) == 1


def test_a_file_that_becomes_shorter(folder):
    directory = folder({"a": "x" * (1 << 19), "big": "x" * 4096})
    pieces = context_of({"context": str(directory)}).pieces()
    next(pieces)
    (directory / "big").write_text("x")
    with pytest.raises(Conflict, match="big became shorter while it was sent"):
        list(pieces)
