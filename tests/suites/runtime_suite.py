"""What every Runtime must do, whatever it runs containers with."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any

import pytest

from coracle.core.errors import AlreadyExists, Conflict, Invalid, NotFound
from coracle.runtime.api import Bundle, Exit, Process, Resources, Runtime, Streams
from coracle.testing import autojump

FOREVER = ("sleep", "infinity")
PATIENCE_S = 30  # only so that a hanging test ends


def program(*argv: str) -> Process:
    return Process(argv=argv, env=("PATH=/bin",))


async def next_exit(runtime: Runtime, id: str) -> Exit:
    """The end of `id`, by a listener of its own."""
    async with asyncio.timeout(PATIENCE_S):
        async with contextlib.aclosing(runtime.exits()) as exits:
            async for exit in exits:
                if exit.id == id:
                    return exit
    raise AssertionError("exits() ended")


async def everything(streams: Streams) -> dict[int, bytes]:
    """All that is said, by stream, until it ends."""
    said = {1: b"", 2: b""}
    async with asyncio.timeout(PATIENCE_S):
        async for stream, data in streams:
            said[stream] += data
    return said


async def until(streams: Streams, text: bytes) -> bytes:
    """What is said up to `text`."""
    said = b""
    async with asyncio.timeout(PATIENCE_S):
        async for _, data in streams:
            said += data
            if text in said:
                return said
    raise AssertionError(f"ended with {said!r}")


class RuntimeSuite:
    """Inherit and give `make`; programs are spoken through the attributes below where they differ."""

    stubborn: tuple[str, ...] = ("stubborn", *FOREVER)
    missing: tuple[str, ...] = ("missing",)

    def make(self) -> Runtime:
        raise NotImplementedError

    def exiting(self, code: int) -> tuple[str, ...]:
        """argv of a program that ends with `code`."""
        return ("exit", str(code))

    def bundle(self, id: str, *argv: str, **fields: Any) -> Bundle:
        tty = fields.pop("tty", False)
        return Bundle(id=id, rootfs_path="/nowhere", process=Process(argv=argv, tty=tty), **fields)

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        return autojump.run(main)

    async def ready(self, runtime: Runtime, id: str) -> None:
        """Wait until the program of `id` has begun to be what it is."""

    def test_a_program_that_ends_by_itself_is_told_with_its_code(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *self.exiting(3)))
            await runtime.start("a")
            exit = await next_exit(runtime, "a")
            assert (exit.id, exit.code, exit.known, exit.oom_killed) == ("a", 3, True, False)
            assert [(s.id, s.state, s.pid) for s in await runtime.states()] == [("a", "stopped", 0)]

        self.run(main())

    def test_a_created_program_waits_for_start(self):
        async def main():
            runtime = self.make()
            pid = await runtime.create(self.bundle("a", *FOREVER))
            assert [(s.id, s.state, s.pid) for s in await runtime.states()] == [("a", "created", pid)]
            await runtime.start("a")
            assert [(s.id, s.state, s.pid) for s in await runtime.states()] == [("a", "running", pid)]

        self.run(main())

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_a_killed_program_is_told_as_128_and_the_signal(self, number):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", "sleep", "1000"))
            await runtime.start("a")
            await self.ready(runtime, "a")
            await runtime.kill("a", number)
            assert (await next_exit(runtime, "a")).code == 128 + number

        self.run(main())

    def test_a_stubborn_program_ends_by_sigkill_only(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *self.stubborn))
            await runtime.start("a")
            await self.ready(runtime, "a")
            await runtime.kill("a", signal.SIGTERM)
            assert [s.state for s in await runtime.states()] == ["running"]
            await runtime.kill("a", signal.SIGKILL)
            assert (await next_exit(runtime, "a")).code == 137

        self.run(main())

    def test_every_listener_hears_every_end_until_it_is_deleted(self):
        async def main():
            runtime = self.make()
            for id in ("a", "b"):
                await runtime.create(self.bundle(id, *self.exiting(5)))
                await runtime.start(id)
            assert (await next_exit(runtime, "a")).code == 5
            assert (await next_exit(runtime, "a")).code == 5
            await runtime.delete("a")
            async with asyncio.timeout(PATIENCE_S):
                async with contextlib.aclosing(runtime.exits()) as exits:
                    assert (await anext(exits)).id == "b"

        self.run(main())

    def test_the_end_of_an_earlier_container_of_the_same_id_is_forgotten(self):
        async def main():
            runtime = self.make()
            for code in (1, 2):
                await runtime.create(self.bundle("a", *self.exiting(code)))
                await runtime.start("a")
                assert (await next_exit(runtime, "a")).code == code
                await runtime.delete("a")
            assert list(await runtime.states()) == []

        self.run(main())

    def test_an_id_is_taken_until_it_is_deleted(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *FOREVER))
            with pytest.raises(AlreadyExists):
                await runtime.create(self.bundle("a", *FOREVER))
            await runtime.delete("a")
            await runtime.create(self.bundle("a", *FOREVER))

        self.run(main())

    def test_deleting_kills_what_runs_and_twice_is_no_error(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *self.stubborn))
            await runtime.start("a")
            for _ in range(2):
                await runtime.delete("a")
            assert list(await runtime.states()) == []

        self.run(main())

    def test_a_program_that_does_not_exist_is_refused_and_nothing_is_left(self):
        async def main():
            runtime = self.make()
            with pytest.raises(Invalid, match="not found"):
                await runtime.create(self.bundle("a", *self.missing))
            assert list(await runtime.states()) == []
            await runtime.create(self.bundle("a", *FOREVER))

        self.run(main())

    @pytest.mark.parametrize(
        "process",
        [
            pytest.param(Process(argv=()), id="no command"),
            pytest.param(Process(argv=FOREVER, uid=2**32), id="a uid that wraps to root"),
            pytest.param(Process(argv=FOREVER, gid=-1), id="a negative gid"),
            pytest.param(Process(argv=FOREVER, cwd="/proc/self/fd/7"), id="a working directory that leads out"),
            pytest.param(Process(argv=FOREVER, env=("A=\0",)), id="a NUL"),
        ],
    )
    def test_nonsense_is_refused(self, process):
        async def main():
            runtime = self.make()
            bundle = self.bundle("a", *FOREVER)
            with pytest.raises(Invalid):
                await runtime.create(Bundle(id="a", rootfs_path=bundle.rootfs_path, process=process))
            assert list(await runtime.states()) == []

        self.run(main())

    def test_what_is_not_there_is_not_found(self):
        async def main():
            runtime = self.make()
            for call in (
                runtime.start("a"),
                runtime.kill("a", signal.SIGKILL),
                runtime.exec("a", program("true")),
                runtime.attach("a"),
                runtime.reopen_log("a"),
            ):
                with pytest.raises(NotFound):
                    await call

        self.run(main())

    def test_what_has_ended_cannot_be_started_joined_or_attached_to_but_killed(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", "true"))
            await runtime.start("a")
            await next_exit(runtime, "a")
            for call in (runtime.start("a"), runtime.exec("a", program("true")), runtime.attach("a")):
                with pytest.raises(Conflict):
                    await call
            await runtime.kill("a", signal.SIGKILL)

        self.run(main())

    def test_starting_twice_is_refused(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *FOREVER))
            await runtime.start("a")
            with pytest.raises(Conflict):
                await runtime.start("a")

        self.run(main())

    def test_exec_gives_output_and_code(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *FOREVER))
            await runtime.start("a")
            execution = await runtime.exec("a", program("echo", "hello", "there"))
            assert await everything(execution) == {1: b"hello there\n", 2: b""}
            assert await execution.wait() == 0
            failing = await runtime.exec("a", program(*self.exiting(7)))
            assert await failing.wait() == 7
            assert [s.state for s in await runtime.states()] == ["running"]

        self.run(main())

    def test_exec_reads_input_until_it_is_closed(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *FOREVER))
            await runtime.start("a")
            execution = await runtime.exec("a", program("cat"), stdin=True)
            await execution.write(b"one\n")
            assert await until(execution, b"one\n") == b"one\n"
            execution.close_stdin()
            assert await everything(execution) == {1: b"", 2: b""}
            assert await execution.wait() == 0

        self.run(main())

    def test_exec_can_be_signalled(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *FOREVER))
            await runtime.start("a")
            execution = await runtime.exec("a", program("sleep", "1000"))
            execution.signal(signal.SIGKILL)
            assert await execution.wait() == 137

        self.run(main())

    def test_exec_of_what_does_not_exist_is_refused_in_the_runtimes_words(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *FOREVER))
            await runtime.start("a")
            with pytest.raises(Invalid, match="not found"):
                await runtime.exec("a", program(*self.missing))

        self.run(main())

    def test_exec_in_what_has_not_started_is_refused(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *FOREVER))
            with pytest.raises(Conflict):
                await runtime.exec("a", program("true"))

        self.run(main())

    def test_the_end_of_a_container_ends_what_was_executed_in_it(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *FOREVER))
            await runtime.start("a")
            execution = await runtime.exec("a", program(*FOREVER))
            await runtime.kill("a", signal.SIGKILL)
            await next_exit(runtime, "a")
            assert await execution.wait() == 137

        self.run(main())

    def test_who_attaches_before_the_start_misses_nothing(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", "echo", "hello"))
            streams = await runtime.attach("a")
            await runtime.start("a")
            assert await everything(streams) == {1: b"hello\n", 2: b""}
            streams.close()

        self.run(main())

    def test_attached_input_reaches_the_program_and_its_end_too(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", "cat", stdin=True, stdin_once=True))
            await runtime.start("a")
            streams = await runtime.attach("a")
            await streams.write(b"ping\n")
            assert await until(streams, b"ping\n") == b"ping\n"
            streams.close_stdin()
            assert (await next_exit(runtime, "a")).code == 0
            streams.close()

        self.run(main())

    def test_detaching_leaves_the_program_running(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", "cat", stdin=True))
            await runtime.start("a")
            (await runtime.attach("a")).close()
            again = await runtime.attach("a")
            await again.write(b"still\n")
            assert await until(again, b"still\n") == b"still\n"
            again.close()

        self.run(main())

    def test_pausing_refuses_exec_until_it_is_resumed(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *FOREVER))
            await runtime.start("a")
            await runtime.pause("a")
            assert [(s.state, s.paused) for s in await runtime.states()] == [("running", True)]
            with pytest.raises(Conflict, match="paused"):
                await runtime.exec("a", program("true"))
            await runtime.resume("a")
            assert await (await runtime.exec("a", program("true"))).wait() == 0
            await runtime.pause("a")
            await runtime.delete("a")

        self.run(main())

    def test_its_processes_are_told_those_of_exec_too(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *FOREVER))
            await runtime.start("a")
            execution = await runtime.exec("a", program(*FOREVER))
            found = set(runtime.processes("a"))
            assert {execution.pid, *(state.pid for state in await runtime.states())} <= found
            assert runtime.usage("a").pids == len(found)
            await runtime.delete("a")
            for ask in (runtime.processes, runtime.usage):
                with pytest.raises(NotFound):
                    ask("a")

        self.run(main())

    def test_limits_can_be_changed_while_it_runs(self):
        async def main():
            runtime = self.make()
            await runtime.create(self.bundle("a", *FOREVER))
            await runtime.start("a")
            await runtime.update("a", Resources(memory_bytes=64 * 1024 * 1024, cpu_shares=512, pids=20))
            assert [s.state for s in await runtime.states()] == ["running"]

        self.run(main())

    def test_the_log_has_what_was_written_and_can_be_begun_anew(self, tmp_path):
        async def main():
            runtime, log = self.make(), tmp_path / "log"
            await runtime.create(self.bundle("a", "echo", "hello", log_path=str(log)))
            await runtime.start("a")
            await next_exit(runtime, "a")
            at, stream, tag, text = log.read_text().split(" ", 3)
            assert (stream, tag, text) == ("stdout", "F", "hello\n")
            assert at.endswith("+00:00")
            await runtime.create(self.bundle("b", *FOREVER, log_path=str(log)))
            log.rename(tmp_path / "log.1")
            await runtime.reopen_log("b")
            assert log.exists()

        self.run(main())

    def test_many_at_once(self):
        async def main():
            runtime = self.make()
            ids = [f"c{number}" for number in range(8)]

            async def one(id: str) -> int:
                await runtime.create(self.bundle(id, *self.exiting(int(id[1:]))))
                await runtime.start(id)
                return (await next_exit(runtime, id)).code

            assert await asyncio.gather(*(one(id) for id in ids)) == list(range(8))
            await asyncio.gather(*(runtime.delete(id) for id in ids))
            assert list(await runtime.states()) == []

        self.run(main())
