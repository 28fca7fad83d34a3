"""Virtual time: it jumps, and a test that would hang fails."""

import asyncio

import pytest

from coracle.core.tasks import offload
from coracle.testing.autojump import AutojumpLoop, Stuck, run


def on_a_loop(main, **limits):
    with asyncio.Runner(loop_factory=lambda: AutojumpLoop(**limits)) as runner:
        return runner.run(main)


def test_an_hour_passes_at_once_and_in_order():
    async def scene():
        seen = []

        async def sleeper(name, delay_s):
            await asyncio.sleep(delay_s)
            seen.append((name, asyncio.get_running_loop().time()))

        await asyncio.gather(sleeper("late", 3600), sleeper("early", 0.1))
        return seen

    assert run(scene()) == [("early", 0.1), ("late", 3600.0)]


def test_a_call_in_a_thread_takes_no_time():
    async def scene():
        async with asyncio.timeout(1):
            await offload(sum, [1, 2])
        return asyncio.get_running_loop().time()

    assert run(scene()) == 0


def test_waiting_for_what_never_comes_fails():
    async def scene():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck, match="nothing has happened"):
        on_a_loop(scene(), patience_s=0.01)


def test_what_never_rests_fails():
    async def scene():
        loop = asyncio.get_running_loop()

        def again():
            loop.call_soon(again)

        again()
        await loop.create_future()

    with pytest.raises(Stuck, match="1000 turns at one moment"):
        on_a_loop(scene(), most_turns=1000)
