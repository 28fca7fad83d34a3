"""HEAD, GET and PUT /containers/{id}/archive; GET export, changes.

Source: Docker Engine API 1.50, "Container"; moby daemon/{archive_unix,export,changes}.go for the messages.
"""

from __future__ import annotations

import base64
import contextlib
import stat
from collections.abc import Iterable, Iterator

from coracle.core.clock import rfc3339
from coracle.core.errors import Malformed, NotFound
from coracle.core.object import Object
from coracle.docker.bodies import flag
from coracle.docker.containers.finding import Finder
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.mounts import Mounts
from coracle.engine.files import Files, PathStat
from coracle.web.messages import Answer, Request, Response, Stream, dumps

STAT_HEADER = "X-Docker-Container-Path-Stat"
TAR = "application/x-tar"
_KINDS = {"modified": 0, "added": 1, "deleted": 2}

# Bits of Go's os.FileMode above the nine permissions.
_GO_TYPES = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_GO_SPECIAL = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


class ArchiveArea:
    def __init__(self, finder: Finder, files: Files, mounts: Mounts, events: Events) -> None:
        self._finder, self._files, self._mounts, self._events = finder, files, mounts, events

    def routes(self) -> Iterable[Route]:
        return (
            Route("HEAD", "/containers/{id}/archive", self.stat),
            Route("GET", "/containers/{id}/archive", self.read),
            Route("PUT", "/containers/{id}/archive", self.write, streaming=True),
            Route("GET", "/containers/{id}/export", self.export),
            Route("GET", "/containers/{id}/changes", self.changes),
        )

    async def stat(self, request: Request) -> Answer:
        record, path = self._asked(request)
        with _named(request, path):
            async with self._mounts.seen(record):
                found = await self._files.stat(record.meta.name, path)
        return Response(200, b"", {STAT_HEADER: encode_stat(found)})

    async def read(self, request: Request) -> Answer:
        record, path = self._asked(request)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._mounts.seen(record))
            with _named(request, path):
                reading = await self._files.read(record.meta.name, path)
            reading.pieces.then(stack.pop_all())
        await self._events.publish_container("archive-path", record)
        return Stream(200, reading.pieces, {STAT_HEADER: encode_stat(reading.stat)}, TAR)

    async def write(self, request: Request) -> Answer:
        record, path = self._asked(request)
        with _named(request, path):
            async with self._mounts.seen(record):
                await self._files.write(
                    record.meta.name,
                    path,
                    request.stream(),
                    keeps_kinds=flag(request, "noOverwriteDirNonDir"),
                    as_user=flag(request, "copyUIDGID"),
                )
        await self._events.publish_container("extract-to-dir", record)
        return Response(200)

    async def export(self, request: Request) -> Answer:
        record = self._finder.get(request.params["id"])
        pieces = await self._files.export(record.meta.name)
        await self._events.publish_container("export", record)
        return Stream(200, pieces, content_type="application/octet-stream")

    async def changes(self, request: Request) -> Answer:
        record = self._finder.get(request.params["id"])
        found = await self._files.changes(record.meta.name)
        return Response.of(200, [{"Path": one.path, "Kind": _KINDS[one.kind]} for one in found] or None)

    def _asked(self, request: Request) -> tuple[Object, str]:
        """Raises NotFound, Malformed."""
        path = request.query.get("path")
        if not path:
            raise Malformed("bad parameter: path cannot be empty")
        if "\0" in path:
            raise Malformed(f"bad parameter: {path[:100]!r} is no path")
        return self._finder.get(request.params["id"]), path


@contextlib.contextmanager
def _named(request: Request, path: str) -> Iterator[None]:
    """Word a path that is not there with the container's name as the client wrote it."""
    try:
        yield
    except NotFound as error:
        if error.kind != "Path":
            raise
        said = f"Could not find the file {path} in container {request.params['id']}"
        raise NotFound(said, kind="Path", name=path) from error


def encode_stat(found: PathStat) -> str:
    """The header's value: JSON in base64."""
    nanos = found.mtime_ns % 10**9
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    text = {
        "name": found.name,
        "size": found.size,
        "mode": go_mode(found.mode),
        "mtime": rfc3339(found.mtime_ns // 10**9).replace("Z", f"{fraction}Z"),
        "linkTarget": found.target,
    }
    return base64.b64encode(dumps(text)).decode()


def go_mode(mode: int) -> int:
    """A mode as Go's os.FileMode writes it."""
    special = sum(bit for flag, bit in _GO_SPECIAL.items() if mode & flag)
    return mode & 0o777 | special | _GO_TYPES.get(stat.S_IFMT(mode), 0)
