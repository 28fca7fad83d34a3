"""Containers' files from outside: looked at, copied out and in, exported, measured.

A running container is seen through its first process's root: its volumes, its tmpfs, what it has mounted itself.  One
that does not run is seen as it would start: its root file system with its mounts bound in, in a view that nobody else
sees (linux.views).  No path of a container is ever resolved by string; see `archives` for how trees are walked.

Called by Docker's handlers.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from coracle.core.errors import Broken, CloudError, Malformed, NotFound
from coracle.core.object import Object
from coracle.core.tasks import offload, offload_apart, opened
from coracle.engine.archives.extraction import Extraction
from coracle.engine.archives.feeds import Feed
from coracle.engine.archives.writing import Handle, tar_of
from coracle.engine.bundles import SANDBOX_FILES
from coracle.engine.containers import Containers
from coracle.engine.kinds import container as containers
from coracle.engine.users import find_identity
from coracle.image.snapshots.api import Change, Snapshotter
from coracle.linux.rooted import open_in_root, resolve_in_root
from coracle.linux.views import Bind, View, open_bound, open_plain

_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True, slots=True)
class PathStat:
    """What is at a path of a container.  `target`: where a link leads, absolute in the container; "" for the rest."""

    name: str
    size: int
    mode: int
    mtime_ns: int
    target: str = ""


class Pieces:
    """A tar as it is made, piece by piece in threads; `stack` is closed at its end or by `aclose`."""

    def __init__(self, pieces: Iterator[bytes], stack: contextlib.AsyncExitStack) -> None:
        self._pieces, self._stack = pieces, stack

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        piece: bytes = await offload(next, self._pieces, b"")
        if not piece:
            await self.aclose()
            raise StopAsyncIteration
        return piece

    def then(self, stack: contextlib.AsyncExitStack) -> None:
        """Close that one too, after one's own."""
        own, self._stack = self._stack, stack
        stack.push_async_exit(own)

    async def aclose(self) -> None:
        await self._stack.aclose()


@dataclass(frozen=True, slots=True)
class Reading:
    """Something that is being copied out; `pieces` is to be read to the end, or closed."""

    stat: PathStat
    pieces: Pieces


class Files:
    """Raised by every method that takes a path: NotFound (kind "Path"; the container), Invalid, Broken."""

    def __init__(self, containers: Containers, snapshotter: Snapshotter) -> None:
        self._containers, self._snapshotter = containers, snapshotter

    async def changes(self, id: str) -> Sequence[Change]:
        """How its root file system differs from its image, by path; without what it is made to run on.

        Raises: NotFound (the container).
        """
        record = self._containers.get(id)
        with contextlib.suppress(NotFound):  # it was never mounted
            return await offload(_own_changes, self._snapshotter, record)
        return ()

    async def own_bytes(self, id: str) -> int:
        """What the files hold that it has written beside its image's.  Raises NotFound (the container)."""
        self._containers.get(id)
        with contextlib.suppress(NotFound):
            return await offload(self._snapshotter.usage_bytes, id)
        return 0

    async def stat(self, id: str, path: str) -> PathStat:
        """What is at `path`; of a link itself, unless the path ends in a slash or "/."."""
        async with self._view(id) as view:
            return (await offload(_open, view, path))[0]

    async def read(self, id: str, path: str) -> Reading:
        """A tar of what is at `path`, its entries beginning with its name."""
        async with contextlib.AsyncExitStack() as stack:
            view = await stack.enter_async_context(self._view(id))
            found, handle = await offload(_open, view, path)
            return Reading(found, Pieces(tar_of(handle, found.name), stack.pop_all()))

    async def export(self, id: str) -> Pieces:
        """A tar of its whole root file system, without what is mounted in it.  Raises NotFound."""
        async with contextlib.AsyncExitStack() as stack:
            root = await stack.enter_async_context(self._containers.mounted(id))
            handle = await offload(_open_root, root)
            return Pieces(tar_of(handle, ""), stack.pop_all())

    async def write(
        self,
        id: str,
        path: str,
        body: AsyncIterator[bytes],
        *,
        keeps_kinds: bool = False,
        as_user: bool = False,
    ) -> None:
        """Extract the tar in `body`, compressed or not, into the directory `path`.

        `as_user`: what is made belongs to the user that the container runs as, where it names one.
        Raises: also Malformed (no directory, read-only; the archive), Exhausted.
        """
        async with self._view(id) as view:
            record = self._containers.get(id)
            base = await offload(_find_base, view, path, record)
            owner = await self._owner(record) if as_user and record.spec["user"] else None
            await _extract(view, body, Extraction(base, owner=owner, keeps_kinds=keeps_kinds))

    async def _owner(self, record: Object) -> tuple[int, int]:
        async with self._containers.mounted(record.meta.name) as root:
            found = await offload(find_identity, root, record.spec["user"])
            return found.uid, found.gid

    @contextlib.asynccontextmanager
    async def _view(self, id: str) -> AsyncIterator[View]:
        mounted, record = self._containers.mounted(id), self._containers.get(id)
        async with mounted as root, opened(_open_view, record, root) as view:
            yield view


def _own_changes(snapshotter: Snapshotter, record: Object) -> Sequence[Change]:
    """By path; without what the runtime made, and directories in which nothing else has changed."""
    made = stands_on(record)
    found: list[Change] = []
    idle: set[str] = set()
    for one in snapshotter.changes(record.meta.name):
        if one.kind == "added" and one.path in made:
            idle.add(posixpath.dirname(one.path))
        else:
            found.append(one)
    parents = {posixpath.dirname(one.path) for one in found}
    kept = [one for one in found if one.path not in idle or one.path in parents or one.kind != "modified"]
    return sorted(kept, key=lambda one: one.path)


def stands_on(record: Object) -> frozenset[str]:
    """What is made in a root file system before the container runs: places to mount something at, and its mark."""
    sandbox = {f"/etc/{name}" for name in SANDBOX_FILES}
    mounted = {"/dev", "/proc", "/sys", "/dev/console", "/dev/pts", "/dev/shm", "/dev/mqueue"}  # noqa: S108
    return frozenset(sandbox | mounted | {str(record.spec.get("mark") or "/")})


def _open_view(record: Object, root: str) -> View:
    """The container's files as it sees them.  Raises Broken."""
    try:
        if record.status["state"] == "running" and (view := _open_running(record, root)):
            return view
        spec = containers.from_record(record)
        binds = [Bind(mount.source, mount.target, mount.read_only) for mount in spec.mounts if mount.type == "bind"]
        return open_bound(root, binds, read_only=spec.security.read_only_root)
    except OSError as error:
        raise Broken(f"cannot look into container {record.meta.name}: {error}") from error


def _open_running(record: Object, root: str) -> View | None:
    """None where it has ended by now, its process's number perhaps another one's."""
    try:
        view = open_plain(f"/proc/{record.status['pid']}/root")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if os.path.samestat(os.fstat(view.root), os.stat(root)):
        return view
    view.close()
    return None


def _open(view: View, path: str) -> tuple[PathStat, Handle]:
    """What is at `path`, and a descriptor of it (O_PATH)."""
    asked = _absolute(path)
    follows = asked.endswith(("/", "/."))
    with view.borrowed() as root, _telling(path):
        handle = Handle(open_in_root(root, asked, os.O_PATH | (0 if follows else os.O_NOFOLLOW)))
        found = os.fstat(handle.fd)
        target = resolve_in_root(root, asked) if stat.S_ISLNK(found.st_mode) else ""
    name = posixpath.basename(asked.rstrip("/")) or "/"
    return PathStat(name, found.st_size, found.st_mode, found.st_mtime_ns, target), handle


def _open_root(path: str) -> Handle:
    return Handle(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))


def _find_base(view: View, path: str, record: Object) -> str:
    """The directory to extract into, links resolved.  Raises NotFound, Malformed."""
    with view.borrowed() as root, _telling(path), contextlib.ExitStack() as stack:
        base = resolve_in_root(root, _absolute(path))
        fd = open_in_root(root, base, os.O_PATH)
        stack.callback(os.close, fd)
        found = os.fstat(fd)
        if not stat.S_ISDIR(found.st_mode):
            raise Malformed("extraction point is not a directory")
        if os.fstatvfs(fd).f_flag & os.ST_RDONLY:
            is_root = record.spec["security"]["read_only_root"] and found.st_dev == os.fstat(root).st_dev
            raise Malformed("container rootfs is marked read-only" if is_root else "mounted volume is marked read-only")
        return base


def _absolute(path: str) -> str:
    """`path` taken from the root, without detours; what it ends in stays: "a/../b/." is "/b/.", "b/" is "/b/"."""
    clean = posixpath.normpath(f"/{path.lstrip('/')}")
    if path.endswith("/.") or path == ".":
        return f"{clean.rstrip('/')}/."
    return f"{clean.rstrip('/')}/" if path.endswith("/") else clean


@contextlib.contextmanager
def _telling(path: str) -> Iterator[None]:
    """Turn OSError into what a client may be told."""
    try:
        yield
    except OSError as error:
        if error.errno in _MISSING:
            raise NotFound(kind="Path", name=path) from error
        said = f"{path[:300]}: {error.strerror or error}"
        raise _kind_of(error)(said) from error


def _kind_of(error: OSError) -> type[CloudError]:
    return Malformed if error.errno in (errno.ENAMETOOLONG, errno.EINVAL) else Broken


async def _extract(view: View, body: AsyncIterator[bytes], extraction: Extraction) -> None:
    """Let a thread extract what arrives.  Raises what it raises; where the body breaks off, what that raises."""
    feed = Feed()

    def work() -> None:
        try:
            with view.borrowed() as root:
                extraction.run(root, feed)
        finally:
            feed.close()

    async def arrive() -> None:
        try:
            async for data in body:
                await feed.put(data)
        except BaseException:
            feed.end(ConnectionError("the client is gone"))
            raise
        feed.end()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(arrive(), name="archive arrives")
            await offload_apart(work)
    except* CloudError as errors:
        raise errors.exceptions[0] from None
