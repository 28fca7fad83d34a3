"""Files into containers and out of them, by the rules of `cp`: what a copy is called and where it goes.

    to a directory that is there     into it, under its own name; `dir/.`: what is in it
    to a file that is there          in its place, a file only
    to what is not there             under that name, if the directory above is there

Source: Docker CLI reference, "docker container cp".
"""

from __future__ import annotations

import base64
import json
import os
import posixpath
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from coracle.cli.docker.client import Docker, Refused
from coracle.cli.docker.frames import pieces_of
from coracle.cli.failure import Failure

STAT_HEADER = "X-Docker-Container-Path-Stat"
_DIRECTORY, _LINK = 1 << 31, 1 << 27  # of Go's os.FileMode
_MOST_LINKS = 40


class Unfit(Failure):
    """What is to be copied and where to do not go together."""

    def show(self, file: object = None) -> None:
        import click

        click.echo(self.message, err=True)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy goes: the directory it is unpacked in, and its name there; "" where only what is in it goes."""

    directory: str
    name: str


def place(source: str, target: str, *, source_is_directory: bool, target_is_directory: bool | None) -> Place:
    """By the rules above.  `target_is_directory` None: nothing is there.  Raises Unfit."""
    contents = source_is_directory and _is_contents(source)
    if not source_is_directory and source.endswith(("/", "/.")):
        raise Unfit("not a directory")
    if target_is_directory:
        return Place(target, "" if contents else _base(source))
    above, name = posixpath.split(target.rstrip("/") or "/")
    if target_is_directory is False:
        if source_is_directory:
            raise Unfit("cannot copy directory")
        if target.endswith("/"):
            raise Unfit("not a directory")
    elif target.endswith("/") and not source_is_directory:
        raise Unfit("no such directory")
    return Place(above or ".", name)


def _is_contents(path: str) -> bool:
    return path.endswith("/.") or not path.strip("/.")


def _base(path: str) -> str:
    return posixpath.basename(path.rstrip("/"))


# -- out of a container ------------------------------------------------------------------------------------------------


def copy_out(docker: Docker, id: str, source: str, target: str, *, follow: bool) -> None:
    """Copy `source` of a container to `target` here; "-" is a tar on standard output.  Raises Refused, Unfit."""
    called = _base(source)
    if follow:
        source = _followed(docker, id, source)
    if target == "-":
        with docker.read("GET", f"/containers/{id}/archive", {"path": source}) as answer:
            for piece in pieces_of(answer):
                _write(piece)
        return
    here = os.path.isdir(target) if os.path.lexists(target) else None
    above = os.path.dirname(os.path.abspath(target))
    if here is None and not os.path.isdir(above):
        raise Unfit(f'invalid output path: directory "{above}" does not exist')
    with docker.read("GET", f"/containers/{id}/archive", {"path": source}) as answer:
        directory = bool(_decoded(answer.headers)["mode"] & _DIRECTORY)
        known_as = source if _is_contents(source) else posixpath.join(posixpath.dirname(source), called)
        where = place(known_as, target, source_is_directory=directory, target_is_directory=here)
        _unpack(answer, _base(source), where, contents=directory and _is_contents(source))


def _unpack(answer: Any, base: str, where: Place, *, contents: bool) -> None:
    """The archive's one entry `base` becomes `where`; its links lead nowhere but into what is unpacked."""
    from coracle.core.errors import CloudError
    from coracle.engine.archives.extraction import Extraction

    target = os.path.join(where.directory, where.name) if where.name else where.directory
    if contents:
        os.makedirs(target, exist_ok=True)
    inside = target if contents else where.directory
    renamed = not contents and where.name != base
    staging = tempfile.mkdtemp(prefix=".copied-", dir=inside) if renamed else inside
    root = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        Extraction(".", owner=(os.geteuid(), os.getegid()), keeps_kinds=True).run(root, answer)
        if renamed:
            os.replace(os.path.join(staging, base), target)
    except CloudError as error:
        raise Unfit(error.message) from error
    finally:
        os.close(root)
        if renamed:
            _remove(staging)


def _remove(directory: str) -> None:
    import shutil

    shutil.rmtree(directory, ignore_errors=True)


def _write(piece: bytes) -> None:
    import sys

    sys.stdout.buffer.write(piece)


# -- into a container --------------------------------------------------------------------------------------------------


def copy_in(docker: Docker, id: str, source: str, target: str, *, follow: bool, keep_owner: bool) -> None:
    """Copy `source` here to `target` of a container; "-" is a tar on standard input.  Raises Refused, Unfit."""
    target = _followed(docker, id, target)
    there = _stat(docker, id, target)
    is_directory = None if there is None else bool(there["mode"] & _DIRECTORY)
    if source == "-":
        if not is_directory:
            raise Unfit(f'destination "{id}:{target}" must be a directory')
        _send(docker, id, target, _standard_input(), keep_owner=keep_owner)
        return
    path = os.path.abspath(source) if not _is_contents(source) else source
    if not os.path.lexists(path):
        raise Unfit(f"lstat {os.path.abspath(source)}: no such file or directory")
    whole = os.path.realpath(path) if follow or source.endswith("/") or _is_contents(source) else path
    where = place(
        source if _base(source) not in ("", "..") else path,
        target,
        source_is_directory=os.path.isdir(whole) and not os.path.islink(whole),
        target_is_directory=is_directory,
    )
    _send(docker, id, where.directory, _packed(whole, where.name), keep_owner=keep_owner)


def _packed(path: str, name: str) -> Iterator[bytes]:
    from coracle.engine.archives.writing import Handle, tar_of

    return tar_of(Handle(os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)), name)


def _standard_input() -> Iterator[bytes]:
    while piece := os.read(0, 1 << 16):
        yield piece


def _send(docker: Docker, id: str, directory: str, pieces: Iterator[bytes], *, keep_owner: bool) -> None:
    query = {"path": directory, "noOverwriteDirNonDir": True, "copyUIDGID": keep_owner or None}
    with docker.send("PUT", f"/containers/{id}/archive", query, pieces) as answer:
        answer.read()


# -- what is there -----------------------------------------------------------------------------------------------------


def _followed(docker: Docker, id: str, path: str) -> str:
    """The path that `path` leads to, where it is a link."""
    for _ in range(_MOST_LINKS):
        found = _stat(docker, id, path)
        if found is None or not found["mode"] & _LINK:
            break
        path = posixpath.join(posixpath.dirname(path.rstrip("/")), found["linkTarget"])
    return path


def _stat(docker: Docker, id: str, path: str) -> dict[str, Any] | None:
    try:
        with docker.read("HEAD", f"/containers/{id}/archive", {"path": path}) as answer:
            return _decoded(answer.headers)
    except Refused as error:
        if error.status == 404:
            return None
        raise


def _decoded(headers: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(headers[STAT_HEADER]))
    return found
