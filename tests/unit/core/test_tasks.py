"""Blocking calls off the loop."""

import asyncio
import contextlib
import threading

import pytest

from coracle.core.errors import Unavailable
from coracle.core.tasks import Tasks, offload, opened, running


class Opened:
    """Something that has to be closed; opening it takes until `go`."""

    def __init__(self, go):
        self.begun, self.closed = threading.Event(), threading.Event()
        self._go = go

    def open(self):
        self.begun.set()
        self._go.wait(5)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed.set()


def test_what_was_opened_is_closed():
    go = threading.Event()
    go.set()
    thing = Opened(go)

    async def main():
        async with opened(thing.open) as entered:
            assert entered is thing
            assert not thing.closed.is_set()

    asyncio.run(main())
    assert thing.closed.is_set()


def test_what_nobody_waits_for_any_more_is_closed_too():
    go = threading.Event()
    thing = Opened(go)

    async def use():
        async with opened(thing.open):
            raise AssertionError("nobody should come here")

    async def main():
        task = asyncio.ensure_future(use())
        await asyncio.sleep(0)  # let it begin
        await offload(thing.begun.wait, 5)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        go.set()

    asyncio.run(main())
    assert thing.closed.wait(5)


def test_tasks_are_begun_while_their_part_runs_and_cancelled_with_it():
    ended = []

    async def work():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    async def main():
        tasks = Tasks()
        with pytest.raises(Unavailable):
            tasks.begin(work(), name="too early")
        async with running(tasks):
            tasks.begin(work(), name="work")
            await asyncio.sleep(0)
            assert not ended
        assert ended == [True]
        with pytest.raises(Unavailable):
            tasks.begin(work(), name="too late")

    asyncio.run(main())
