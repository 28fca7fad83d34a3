from __future__ import annotations

import pytest

from coracle.core.clock import LoopClock
from coracle.core.errors import Unavailable
from coracle.runtime.api import Bundle, Process
from coracle.runtime.fake import FakeRuntime
from coracle.testing.autojump import run
from suites.runtime_suite import RuntimeSuite, next_exit


def a_bundle(id: str, *argv: str) -> Bundle:
    return Bundle(id=id, rootfs_path="/nowhere", process=Process(argv=argv))


class TestFakeRuntime(RuntimeSuite):
    def make(self):
        return FakeRuntime(LoopClock())


def test_a_sleep_takes_its_virtual_time():
    async def main():
        runtime = FakeRuntime(LoopClock(epoch_s=0))
        await runtime.create(a_bundle("a", "sleep", "60"))
        await runtime.start("a")
        exit = await anext(runtime.exits())
        assert (exit.code, round(exit.at_s)) == (0, 60)

    run(main())


def test_a_program_killed_for_memory_says_so():
    async def main():
        runtime = FakeRuntime(LoopClock())
        await runtime.create(a_bundle("a", "oom"))
        await runtime.start("a")
        exit = await next_exit(runtime, "a")
        assert (exit.code, exit.oom_killed) == (137, True)

    run(main())


def test_a_lost_monitor_is_an_unknown_end():
    async def main():
        runtime = FakeRuntime(LoopClock())
        await runtime.create(a_bundle("a", "nginx"))
        await runtime.start("a")
        runtime.lose_monitor("a")
        exit = await next_exit(runtime, "a")
        assert (exit.code, exit.known) == (255, False)
        assert [s.state for s in await runtime.states()] == ["stopped"]

    run(main())


def test_a_planned_failure_happens_once():
    async def main():
        runtime = FakeRuntime(LoopClock())
        runtime.failures["create"] = [Unavailable("no room")]
        with pytest.raises(Unavailable):
            await runtime.create(a_bundle("a", "true"))
        await runtime.create(a_bundle("a", "true"))
        assert runtime.calls == [("create", "a"), ("create", "a")]

    run(main())


def test_resizing_reaches_the_program():
    async def main():
        runtime = FakeRuntime(LoopClock())
        await runtime.create(a_bundle("a", "nginx"))
        await runtime.start("a")
        execution = await runtime.exec("a", Process(argv=("sh",), tty=True, tty_size=(80, 24)))
        execution.resize(132, 50)
        assert runtime.execs("a")[0].size == (132, 50)

    run(main())
