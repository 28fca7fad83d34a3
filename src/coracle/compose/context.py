"""A build's context: the directory's files, as the tar that POST /build takes, in pieces of whatever size.

What .dockerignore (or <Dockerfile>.dockerignore, which comes first) names is left out, but for the Dockerfile and
.dockerignore themselves.  A Dockerfile that is not in the directory is sent along, under a name that nothing copies.

Source: Docker's documentation, "Build context"; docker/cli cli/command/image/build/context.go for the messages.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from coracle.core.errors import CloudError, Conflict, Malformed, NotFound
from coracle.image.dockerfile.ignore import NOTHING, Ignore

MAX_DOCKERFILE_BYTES = 1 << 20
_PIECE_BYTES = 1 << 20
_IGNORE_FILE = ".dockerignore"


@dataclass(frozen=True, slots=True)
class Context:
    """`dockerfile` is its name in the tar; `made` are files that are not, or not so, in the directory."""

    directory: str
    dockerfile: str
    ignore: Ignore = NOTHING
    made: Mapping[str, bytes] = field(default_factory=dict)

    def pieces(self) -> Iterator[bytes]:
        """The tar.  Raises Malformed (a file that cannot be read, said before the first piece) and Conflict."""
        entries = list(self._entries())
        return _joined(_packed(self.directory, entries, self.made))

    def _entries(self) -> Iterator[tuple[str, os.stat_result]]:
        """(path, what it is), directories before what is in them."""
        kept = {self.dockerfile, _IGNORE_FILE} - set(self.made)
        taken_back = any(not leaves_out for leaves_out, _ in self.ignore.patterns)
        waiting = [""]
        while waiting:
            base = waiting.pop()
            below = []
            for entry in _listed(self.directory, base):
                path = f"{base}{entry.name}"
                left_out = path not in kept and self.ignore.excludes(path)
                if entry.is_dir(follow_symlinks=False) and (not left_out or taken_back or _leads_to(path, kept)):
                    below.append(f"{path}/")
                if not left_out and path not in self.made:
                    yield path, _checked(entry)
            waiting += reversed(below)


def context_of(build: Mapping[str, Any]) -> Context:
    """The context that a service's `build` means, its Dockerfile found.

    Raises Malformed (it is no directory here, or what it says cannot be read) and NotFound.
    """
    directory = str(build["context"])
    if not directory.startswith("/"):
        raise Malformed(f"unable to prepare context: {directory}: only directories of this machine can be built from")
    if not os.path.isdir(directory):
        raise NotFound(f'unable to prepare context: path "{directory}" not found')
    if build.get("dockerfile_inline"):
        return _beside(directory, str(build["dockerfile_inline"]).encode(), _ignore(directory, ""))
    path = os.path.normpath(os.path.join(directory, build.get("dockerfile") or "Dockerfile"))
    raw = _dockerfile(path)
    name = os.path.relpath(os.path.realpath(path), os.path.realpath(directory))
    ignore = _ignore(directory, path)
    if name.startswith("../"):
        return _beside(directory, raw, ignore)
    return Context(directory, name, ignore)


def _beside(directory: str, dockerfile: bytes, ignore: Ignore) -> Context:
    """With a Dockerfile from elsewhere.  The builder takes away what .dockerignore names, so it names that one too."""
    name = f".dockerfile.{hashlib.sha256(dockerfile).hexdigest()[:20]}"
    given = _text(os.path.join(directory, _IGNORE_FILE))
    named = f"{_IGNORE_FILE if given is None else given}\n{name}\n"
    return Context(directory, name, ignore, {name: dockerfile, _IGNORE_FILE: named.encode()})


def _dockerfile(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_DOCKERFILE_BYTES + 1)
    except FileNotFoundError:
        said = f"unable to evaluate symlinks in Dockerfile path: lstat {path}: no such file or directory"
        raise NotFound(f"unable to prepare context: {said}") from None
    except OSError as error:
        raise Malformed(f"unable to prepare context: {path}: {_reason(error)}") from error
    if len(raw) > MAX_DOCKERFILE_BYTES:
        raise Malformed(f"unable to prepare context: {path} is longer than {MAX_DOCKERFILE_BYTES} bytes")
    return raw


def _ignore(directory: str, dockerfile: str) -> Ignore:
    for path in [f"{dockerfile}.dockerignore"] if dockerfile else []:
        if (text := _text(path)) is not None:
            return _patterns(text, path)
    path = os.path.join(directory, _IGNORE_FILE)
    text = _text(path)
    return NOTHING if text is None else _patterns(text, path)


def _patterns(text: str, path: str) -> Ignore:
    try:
        return Ignore.parse(text)
    except CloudError as error:
        raise Malformed(f"error checking context: {path}: {error.message}") from error


def _text(path: str) -> str | None:
    """None: there is no such file."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_DOCKERFILE_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Malformed(f"error checking context: {path}: {_reason(error)}") from error


def _listed(directory: str, base: str) -> list[os.DirEntry[str]]:
    path = os.path.join(directory, base)
    try:
        with os.scandir(path) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise Malformed(f"error checking context: can't stat '{path}': {_reason(error)}") from error


def _checked(entry: os.DirEntry[str]) -> os.stat_result:
    found = entry.stat(follow_symlinks=False)
    if stat.S_ISREG(found.st_mode) and not os.access(entry.path, os.R_OK):
        raise Malformed(f"error checking context: no permission to read from '{entry.path}'")
    return found


def _leads_to(directory: str, kept: set[str]) -> bool:
    return any(path.startswith(f"{directory}/") for path in kept)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Fewer pieces: many small files are sent together."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES // 4:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _packed(directory: str, entries: list[tuple[str, os.stat_result]], made: Mapping[str, bytes]) -> Iterator[bytes]:
    for path, found in entries:
        yield from _member(directory, path, found)
    for path, data in sorted(made.items()):
        info = tarfile.TarInfo(path)
        info.size, info.mode = len(data), 0o600
        yield info.tobuf(tarfile.PAX_FORMAT) + data + _padding(len(data))
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(directory: str, path: str, found: os.stat_result) -> Iterator[bytes]:
    """Header and content of one file; all belong to root, as what is copied into an image does."""
    info = tarfile.TarInfo(path)
    info.mode, info.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
    whole = os.path.join(directory, path)
    if stat.S_ISDIR(found.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(found.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(whole)
    elif stat.S_ISREG(found.st_mode):
        info.size = found.st_size
    else:
        return  # sockets, pipes and devices are not sent
    yield info.tobuf(tarfile.PAX_FORMAT)
    if info.size:
        yield from _content(whole, info.size)
        yield _padding(info.size)


def _content(path: str, size: int) -> Iterator[bytes]:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        left = size
        while left:
            piece = file.read(min(_PIECE_BYTES, left))
            if not piece:
                raise Conflict(f"{path} became shorter while it was sent")
            left -= len(piece)
            yield piece


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
