import asyncio

import pytest

from coracle.core.tasks import offload_apart
from coracle.engine.archives.feeds import LIMIT_BYTES, Feed


def read_all(feed, size=1 << 16):
    total = bytearray()
    while data := feed.read(size):
        assert len(data) <= size
        total += data
    return bytes(total)


def test_what_is_put_is_read_in_order():
    async def main():
        feed = Feed()
        pieces = [bytes([number % 256]) * 70000 for number in range(200)]  # more than waits at once

        async def put():
            for piece in pieces:
                await feed.put(piece)
            feed.end()

        async with asyncio.TaskGroup() as group:
            group.create_task(put())
            assert await offload_apart(read_all, feed) == b"".join(pieces)

    asyncio.run(main())


def test_who_puts_waits_for_who_reads():
    async def main():
        feed = Feed()
        task = asyncio.ensure_future(feed.put(b"x" * LIMIT_BYTES))
        await asyncio.sleep(0)
        assert not task.done()
        assert len(feed.read(LIMIT_BYTES)) == LIMIT_BYTES
        await task

    asyncio.run(main())


def test_an_error_reaches_the_reader():
    async def main():
        feed = Feed()
        feed.end(ConnectionError("gone"))
        with pytest.raises(ConnectionError):
            feed.read(1)

    asyncio.run(main())


def test_nobody_waits_for_a_reader_that_has_left():
    async def main():
        feed = Feed()
        task = asyncio.ensure_future(feed.put(b"x" * LIMIT_BYTES))
        await asyncio.sleep(0)
        feed.close()
        await task
        await feed.put(b"x" * LIMIT_BYTES)

    asyncio.run(main())
