"""What COPY, ADD and bind mounts take: files below a root that somebody else filled, found and fingerprinted safely.

Paths are opened below the root's descriptor; a link means what it means inside.  Everything here blocks.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from coracle.core.errors import Invalid
from coracle.image.dockerfile.globs import Glob, has_wildcards
from coracle.image.dockerfile.ignore import NOTHING, Ignore
from coracle.linux.rooted import open_in_root

CHUNK_BYTES = 1 << 20
CAPABILITY = "security.capability"


@dataclass(frozen=True, slots=True)
class Found:
    """A source: `path` relative to the root, links on the way not yet followed; "" is the root itself."""

    path: str
    is_directory: bool

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@contextlib.contextmanager
def opened(root_fd: int, path: str, flags: int) -> Iterator[int]:
    fd = open_in_root(root_fd, path or ".", flags)
    try:
        yield fd
    finally:
        os.close(fd)


def find(root_fd: int, patterns: Sequence[str], command: str = "COPY") -> list[Found]:
    """What these paths and wildcards mean, in order.  Raises Invalid, in the builder's words."""
    found = []
    for pattern in patterns:
        clean = _clean(pattern, command)
        matches = list(_expand(root_fd, clean)) if has_wildcards(clean) else [clean]
        for path in matches:
            try:
                with opened(root_fd, path, os.O_PATH) as fd:
                    found.append(Found(path, stat.S_ISDIR(os.fstat(fd).st_mode)))
            except OSError as error:
                raise _missing(command, path, error) from None
    if not found:
        raise Invalid(message=f"{command} failed: no source files were specified")
    return found


def printable(name: str) -> str:
    """A file's name for messages: as much of it as is text."""
    return name[:200].encode("utf-8", "replace").decode()


def _missing(command: str, path: str, error: OSError) -> Invalid:
    path = printable(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        why = f"file not found in build context or excluded by .dockerignore: stat {path}: file does not exist"
    else:
        why = f"stat {path}: {error.strerror}"
    return Invalid(message=f"{command} failed: {why}")


def _clean(pattern: str, command: str) -> str:
    parts: list[str] = []
    for part in pattern.split("/"):
        if part == "..":
            if not parts:
                raise Invalid(message=f"{command} failed: forbidden path outside the build context: {pattern[:200]} ()")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if "\0" in pattern:
        raise Invalid(message=f"{command} failed: invalid path")
    return "/".join(parts)


def _expand(root_fd: int, pattern: str) -> Iterator[str]:
    """Paths that fit, in order; directories on the way are looked into only where their part is a wildcard."""
    fits = [""]
    for part in pattern.split("/"):
        glob = Glob.path(part) if has_wildcards(part) else None
        step = []
        for above in fits:
            if glob is None:
                step.append(f"{above}/{part}".lstrip("/"))
                continue
            for name in _names(root_fd, above):
                if glob.matches(name):
                    step.append(f"{above}/{name}".lstrip("/"))
        fits = step
    for path in fits:
        with contextlib.suppress(OSError), opened(root_fd, path, os.O_PATH | os.O_NOFOLLOW):
            yield path


def _names(root_fd: int, folder: str) -> list[str]:
    try:
        with opened(root_fd, folder, os.O_RDONLY | os.O_DIRECTORY) as fd:
            return sorted(os.listdir(fd))
    except OSError:
        return []


def fingerprint(root_fd: int, source: Found, ignore: Ignore = NOTHING, digests: Mapping[str, str] | None = None) -> str:
    """A digest of what would be copied: names, kinds, modes, targets of links, content, capabilities; no times.

    `digests` of files' content that are known already, by path below the root.
    """
    total = hashlib.sha256()
    for path, parent, name in walk(root_fd, source, ignore):
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        words = [path, oct(stat.S_IFMT(found.st_mode) | stat.S_IMODE(found.st_mode))]
        if stat.S_ISREG(found.st_mode):
            whole = f"{source.path}/{path}".strip("/")
            known = (digests or {}).get(whole) if found.st_nlink == 1 else None
            words += [known or _digest(parent, name), _capability(parent, name)]
        elif stat.S_ISLNK(found.st_mode):
            words.append(os.readlink(name, dir_fd=parent))
        else:
            words.append(str(found.st_rdev))
        total.update("\0".join(words).encode("utf-8", "surrogateescape") + b"\0\0")
    return total.hexdigest()


def walk(root_fd: int, source: Found, ignore: Ignore = NOTHING) -> Iterator[tuple[str, int, str]]:
    """Everything of a source, parents first, in order: its path below the source, and where to find it.

    The path is "" for the source itself; the descriptor is that of its parent, good until the next step.
    """
    if source.is_directory:
        yield from _walk(root_fd, source.path, "", ignore)
    elif not ignore.excludes(source.path):
        with opened(root_fd, source.path, os.O_PATH) as fd:  # links to it have been followed by now
            folder, _, name = os.readlink(f"/proc/self/fd/{fd}").rpartition("/")
        parent = os.open(folder or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield "", parent, name
        finally:
            os.close(parent)


def _walk(root_fd: int, base: str, folder: str, ignore: Ignore) -> Iterator[tuple[str, int, str]]:
    whole = f"{base}/{folder}".strip("/")
    with opened(root_fd, whole, os.O_RDONLY | os.O_DIRECTORY) as fd:
        for name in sorted(os.listdir(fd)):
            path = f"{folder}/{name}".lstrip("/")
            if ignore.excludes(f"{base}/{path}".lstrip("/")):
                continue
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            yield path, fd, name
            if stat.S_ISDIR(found.st_mode):
                yield from _walk(root_fd, base, path, ignore)


def _digest(parent: int, name: str) -> str:
    found = hashlib.sha256()
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent), "rb", buffering=0) as file:
        while data := file.read(CHUNK_BYTES):
            found.update(data)
    return found.hexdigest()


def _capability(parent: int, name: str) -> str:
    try:
        return os.getxattr(f"/proc/self/fd/{parent}/{name}", CAPABILITY, follow_symlinks=False).hex()
    except OSError:
        return ""
