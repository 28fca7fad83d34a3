"""What containers have written, from the files that their monitors keep (engine.lines).

Called by `kubectl logs` and `docker logs`.  The file may be replaced by a new one under the same name (rotation); what
came before is then in `<name>.1`, `<name>.2` ..., and for a moment in `<name>.next` (engine.rotation).  Following
sleeps until inotify or the container's end wakes it.
Memory is bounded by one block, however slowly somebody reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace

from coracle.core.clock import from_rfc3339
from coracle.core.tasks import offload
from coracle.engine.containers import Containers
from coracle.engine.directories import Directories
from coracle.engine.lines import BlockReader, LogLine, joined, parse_block, tail_offset
from coracle.engine.pieces import Piece, Printer

__all__ = ["LogLine", "Logs", "Piece", "joined"]


@dataclass(frozen=True, slots=True)
class _Range:
    """Which lines are wanted; seconds since 1970, bytes of what the lines say."""

    since_s: float | None = None
    until_s: float | None = None
    limit_bytes: int | None = None


class Logs:
    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._directories = Directories()

    def read(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail_lines: int | None = None,
        since_s: float | None = None,
        until_s: float | None = None,
        limit_bytes: int | None = None,
    ) -> AsyncIterator[LogLine]:
        """What the container has written, oldest first; with `follow`, on until it has ended and all is said.

        Shape:  pieces of lines as they were written: `joined` makes whole lines of them.
        Units:  since_s and until_s in seconds since 1970; limit_bytes counts data and line breaks.
        Raises: NotFound, at once.
        Use `contextlib.aclosing` where you may stop early.
        """
        self._containers.get(container_id)
        blocks = self._blocks(container_id, tail_lines, follow=follow)
        return _within(_lines(blocks), _Range(since_s, until_s, limit_bytes))

    def pieces(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail_lines: int | None = None,
        since_s: float | None = None,
        until_s: float | None = None,
        timestamps: bool = False,
        prefix: bytes = b"",
    ) -> AsyncIterator[Sequence[Piece]]:
        """The same as bytes by stream, as they were written; much cheaper, for who wants all of it.

        Shape:  a list of pieces per block of the file, neighbours of one stream joined; `prefix`, and before it the
                time where `timestamps` are asked for, is put in front of each line.
        Raises: NotFound, at once.
        """
        self._containers.get(container_id)
        printer = Printer(since_s, until_s, timestamps=timestamps, prefix=prefix)
        return _printed(self._blocks(container_id, tail_lines, follow=follow), printer)

    async def _blocks(self, id: str, tail_lines: int | None, *, follow: bool) -> AsyncGenerator[bytes, None]:
        path = self._containers.log_path(id)
        with contextlib.ExitStack() as stack:
            changed, ending = asyncio.Event(), None
            if follow:
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                changed = stack.enter_context(self._directories.watch(os.path.dirname(path)))
                ending = self._containers.ending(id)
                ending.add_done_callback(lambda _: changed.set())
                stack.callback(ending.cancel)
            readers = deque(await offload(_open_all, path, tail_lines))
            stack.callback(_close_all, readers)
            while True:
                changed.clear()
                has_ended = ending is None or ending.done()
                if readers:
                    is_replaced = len(readers) > 1 or not _is_same(path, readers[0].fd)
                    while block := await offload(readers[0].read):
                        yield block
                    if is_replaced:
                        done = readers.popleft()
                        readers.extend(_after(path, done.fd) if not readers else ())
                        os.close(done.fd)
                if not readers:
                    readers.extend(_open(path))
                    if readers:
                        continue
                elif is_replaced:
                    continue
                if has_ended:
                    return
                await changed.wait()


async def _lines(blocks: AsyncGenerator[bytes, None]) -> AsyncGenerator[LogLine, None]:
    async with contextlib.aclosing(blocks):
        async for block in blocks:
            for line in await offload(parse_block, block):
                yield line


async def _printed(blocks: AsyncGenerator[bytes, None], printer: Printer) -> AsyncGenerator[Sequence[Piece], None]:
    async with contextlib.aclosing(blocks):
        async for block in blocks:
            pieces = await offload(printer.take, block)
            if pieces:
                yield pieces
            if printer.is_over:
                return


async def _within(lines: AsyncGenerator[LogLine, None], wanted: _Range) -> AsyncIterator[LogLine]:
    left = wanted.limit_bytes
    async with contextlib.aclosing(lines):
        async for line in lines:
            at_s = from_rfc3339(line.at) if wanted.since_s is not None or wanted.until_s is not None else 0.0
            if wanted.since_s is not None and at_s < wanted.since_s:
                continue
            if wanted.until_s is not None and at_s > wanted.until_s:
                return
            if left is not None:
                size = len(line.data) + (not line.partial)
                if size >= left:
                    yield line if size == left else replace(line, data=line.data[:left], partial=True)
                    return
                left -= size
            yield line


def _open_all(path: str, tail_lines: int | None) -> list[BlockReader]:
    """The files to read, oldest first, each at its place."""
    readers = _newest_first(path)
    missing, found = tail_lines, deque[BlockReader]()
    for reader in readers:
        if missing is not None and missing <= 0 and found:
            os.close(reader.fd)
            continue
        offset = 0
        if missing is not None:
            offset, missing = tail_offset(reader.fd, missing)
        found.appendleft(BlockReader(reader.fd, offset))
    return list(found)


def _newest_first(path: str) -> list[BlockReader]:
    """The log and what came before it (`.1`, `.2` ...).  Those replaced just then have moved by one, and must not be
    read twice."""
    readers = _open(path)
    _add_older(readers, f"{path}.next")
    number = missed = 0
    while missed < 2:  # one: it is being renamed
        number += 1
        missed = 0 if _add_older(readers, f"{path}.{number}") else missed + 1
    return readers


def _add_older(readers: list[BlockReader], path: str) -> bool:
    """Add the file to those opened before, which are newer, unless it is the last of them; whether it is there."""
    older = _open(path)
    if older and readers and _are_same(older[0].fd, readers[-1].fd):
        os.close(older[0].fd)
    else:
        readers += older
    return bool(older)


def _after(path: str, fd: int) -> list[BlockReader]:
    """The files that came after the one that is open as `fd`, oldest first: the log may have been replaced often."""
    readers = _newest_first(path)
    older = next((at for at, reader in enumerate(readers) if _are_same(reader.fd, fd)), len(readers))
    _close_all(readers[older:])
    return readers[:older][::-1]


def _open(path: str) -> list[BlockReader]:
    """None or one."""
    try:
        return [BlockReader(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))]
    except FileNotFoundError:
        return []


def _close_all(readers: Iterable[BlockReader]) -> None:
    for reader in readers:
        os.close(reader.fd)


def _are_same(one: int, other: int) -> bool:
    return os.path.samestat(os.fstat(one), os.fstat(other))


def _is_same(path: str, fd: int) -> bool:
    """Whether `path` still names the file that is open as `fd`."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return True  # being replaced at this moment, or gone: nothing newer to read
