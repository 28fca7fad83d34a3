"""What RUN --mount asks for, as mounts of the container: caches that outlive it, files of the context or of stages.

A cache is a directory `<root>/caches/<digest of its id>`; with sharing=locked one build at a time has it, and so it is
with sharing=private (another would begin with an empty one; ours waits and finds what was cached).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import shutil
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from coracle.core.errors import Invalid, Unsupported
from coracle.core.tasks import offload
from coracle.engine.builds import copying, sources
from coracle.engine.locks import KeyedLocks
from coracle.image.dockerfile.mounts import RunMount
from coracle.linux.rooted import open_in_root
from coracle.runtime.api import Mount

# The root of what `from` names ("" for the context): its path, good until the stack is left.
Roots = Callable[[str, AsyncExitStack], Awaitable[str]]


class Caches:
    """The directories of cache mounts."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks = KeyedLocks()

    async def path(self, wish: RunMount, stack: AsyncExitStack) -> str:
        name = hashlib.sha256((wish.id or wish.target).encode()).hexdigest()[:32]
        if wish.sharing != "shared":
            await stack.enter_async_context(self._locks.of(name))
        return str(await offload(self._ensure, name, wish))

    def _ensure(self, name: str, wish: RunMount) -> Path:
        path = self._root / name
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
            os.chown(path, wish.uid, wish.gid)
            path.chmod(wish.mode)
        return path

    async def size_bytes(self) -> int:
        return await offload(lambda: sum(_tree_bytes(path) for path in self._all()))

    async def drop(self) -> int:
        """Remove those that nobody uses now; how many bytes they held."""
        freed = 0
        for path in await offload(self._all):
            async with self._locks.of(path.name):
                freed += await offload(_tree_bytes, path)
                await offload(lambda gone: shutil.rmtree(gone, ignore_errors=True), path)
        return freed

    def _all(self) -> list[Path]:
        return sorted(self._root.iterdir()) if self._root.is_dir() else []


@dataclass(frozen=True, slots=True)
class Grounds:
    """What mounts are made of; `scratch` is a directory of the build's own."""

    roots: Roots
    caches: Caches
    scratch: Path


async def make_mounts(wishes: Sequence[RunMount], workdir: str, grounds: Grounds, stack: AsyncExitStack) -> list[Mount]:
    """Raises Invalid (a source that is not there), Unsupported (secrets, ssh)."""
    found = []
    targets = [_target(workdir, wish) for wish in wishes]
    for number, wish in enumerate(wishes):
        if wish.type in ("secret", "ssh"):
            why = "needs a BuildKit session, which this builder does not speak"
            raise Unsupported(f"--mount=type={wish.type} {why}", status=501)
        target = targets[number]
        if target == "/" or "\0" in target:
            raise Invalid(message=f'invalid mount target "{wish.target[:200]}"')
        match wish.type:
            case "tmpfs":
                size = (f"size={wish.size_bytes}",) if wish.size_bytes else ()
                found.append(Mount(target=target, source="tmpfs", type="tmpfs", options=("nosuid", "nodev", *size)))
            case "cache":
                path = await grounds.caches.path(wish, stack)
                found.append(Mount(target=target, source=path, read_only=bool(wish.read_only)))
            case "bind":
                root = await grounds.roots(wish.source_from, stack)
                path = await offload(_inside, root, wish.source)
                read_only = wish.read_only is not False
                if not read_only or _holds_others(target, targets):  # the runtime makes places in it to mount on
                    path = await offload(_copied, root, wish.source, grounds.scratch / f"mount-{number}")
                found.append(Mount(target=target, source=path, read_only=read_only))
    return sorted(found, key=lambda mount: mount.target)  # outer ones first


def _target(workdir: str, wish: RunMount) -> str:
    return "/" + posixpath.normpath(posixpath.join("/", workdir, wish.target)).strip("/")


def _holds_others(target: str, targets: Sequence[str]) -> bool:
    return any(other.startswith(f"{target}/") for other in targets)


def _inside(root: str, path: str) -> str:
    """Where `path` leads inside of `root`."""
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        inner = open_in_root(fd, path.strip("/") or ".", os.O_PATH)
    except OSError:
        raise Invalid(message=f'failed to mount "{path[:200]}": not found') from None
    finally:
        os.close(fd)
    try:
        return os.readlink(f"/proc/self/fd/{inner}")
    finally:
        os.close(inner)


def _copied(root: str, path: str, scratch: Path) -> str:
    """A copy that may be written to, and is thrown away."""
    scratch.mkdir(mode=0o755, parents=True)
    fd, target = os.open(root, os.O_RDONLY | os.O_DIRECTORY), os.open(scratch, os.O_RDONLY | os.O_DIRECTORY)
    try:
        [source] = sources.find(fd, [path.strip("/") or "."], "RUN --mount")
        copying.copy(fd, source, target, "/root" if source.is_directory else "/root/", copying.Manner())
    finally:
        os.close(fd)
        os.close(target)
    return str(scratch / "root" if source.is_directory else scratch / "root" / source.name)


def _tree_bytes(path: Path) -> int:
    return sum(os.lstat(f"{folder}/{name}").st_size for folder, _, names in os.walk(path) for name in names)
