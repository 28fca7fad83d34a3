import asyncio

import pytest

from coracle.testing.autojump import run
from coracle.web.inbox import HIGH_BYTES, LOW_BYTES, Inbox


def test_bytes_come_out_in_order_and_cut_to_what_is_asked():
    async def main():
        inbox = Inbox()
        inbox.push(b"abcdef")
        inbox.push(b"gh")
        inbox.finish()
        return [await inbox.read(4), await inbox.read(4), await inbox.read(4), await inbox.read(4)]

    assert run(main()) == [b"abcd", b"ef", b"gh", b""]


def test_a_reader_waits_for_bytes():
    async def main():
        inbox = Inbox()
        asyncio.get_running_loop().call_later(5, inbox.push, b"late")
        return await inbox.read()

    assert run(main()) == b"late"


def test_a_failure_comes_after_what_had_arrived():
    async def main():
        inbox = Inbox()
        inbox.push(b"a")
        inbox.fail(ConnectionResetError("gone"))
        inbox.fail(ValueError("a second failure says nothing new"))
        assert await inbox.read() == b"a"
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                await inbox.read()

    run(main())


def test_room_is_told_once_when_a_full_inbox_has_been_read_down():
    async def main():
        told = []
        inbox = Inbox(lambda: told.append(inbox.size_bytes))
        while not inbox.is_full:
            inbox.push(bytes(1000))
        assert inbox.size_bytes == HIGH_BYTES // 1000 * 1000 + 1000
        while inbox.size_bytes:
            await inbox.read()
        return told

    told = run(main())
    assert len(told) == 1
    assert told[0] <= LOW_BYTES


def test_a_second_reader_is_refused():
    async def main():
        inbox = Inbox()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(inbox.read())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError):
                await inbox.read()
            inbox.push(b"x")
        return first.result()

    assert run(main()) == b"x"


def test_a_cancelled_reader_loses_nothing():
    async def main():
        inbox = Inbox()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await inbox.read()
        inbox.push(b"x")
        return await inbox.read()

    assert run(main()) == b"x"
