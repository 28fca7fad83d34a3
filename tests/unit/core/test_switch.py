"""Parts that are ended and begun again."""

from __future__ import annotations

import asyncio

import pytest

from coracle.core.loop import Loop
from coracle.core.object import Key
from coracle.core.store import MemoryStore
from coracle.core.switch import Switch
from coracle.core.tasks import run_parts, running
from coracle.testing.autojump import run


class Counted:
    """Knows how often it was begun and ended."""

    def __init__(self, fails=False):
        self.begun, self.ended, self._fails = 0, 0, fails

    async def run(self, up):
        self.begun += 1
        try:
            up()
            if self._fails:
                raise RuntimeError("broken")
            await asyncio.get_running_loop().create_future()
        finally:
            self.ended += 1


def test_parts_end_and_begin_again_together():
    async def main():
        switch, one, other = Switch(), Counted(), Counted()
        async with running(switch.part(one)), running(switch.part(other)):
            assert [(it.begun, it.ended) for it in (one, other)] == [(1, 0)] * 2
            await switch.turn(on=False)
            await switch.turn(on=False)
            assert [(it.begun, it.ended) for it in (one, other)] == [(1, 1)] * 2
            await switch.turn(on=True)
            assert [(it.begun, it.ended) for it in (one, other)] == [(2, 1)] * 2
        assert [it.ended for it in (one, other)] == [2, 2]

    run(main())


def test_a_part_that_fails_is_not_hidden():
    async def main():
        with pytest.raises(BaseExceptionGroup, match="unhandled"):
            await run_parts([Switch().part(Counted(fails=True))], lambda: None)

    run(main())


def test_a_loop_goes_on_with_what_it_was_interrupted_in():
    class Slow:
        name, watches, done = "slow", {}, 0

        async def reconcile(self, key):
            await asyncio.sleep(10)
            self.done += 1

    async def main():
        switch, slow = Switch(), Slow()
        loop = Loop(slow, {}, MemoryStore())
        loop.queue.add(Key("", "a"))
        async with running(switch.part(loop)):
            await asyncio.sleep(5)
            await switch.turn(on=False)
            await asyncio.sleep(20)
            assert slow.done == 0
            await switch.turn(on=True)
            await asyncio.sleep(20)
            assert slow.done == 1

    run(main())
