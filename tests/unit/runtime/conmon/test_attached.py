"""With a real socket and a real process in the parts of the monitor and its program; on real time."""

import asyncio
import contextlib
import os
import socket
import subprocess

import pytest

from coracle.runtime.conmon.attached import Attached, noticed

PIECE = b"\x02" + b"x" * 8000


@contextlib.contextmanager
def program():
    with subprocess.Popen(["sleep", "100"]) as child:
        try:
            yield child
        finally:
            child.kill()


def attached(main):
    async def whole():
        ours, monitor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        monitor.setblocking(False)
        with monitor, program() as child:
            streams = Attached(ours, "/nowhere", child.pid)
            try:
                async with asyncio.timeout(60):
                    return await main(streams, monitor, child)
            finally:
                streams.close()

    return asyncio.run(whole())


def test_packets_are_what_was_said_on_which_stream():
    async def main(streams, monitor, child):
        for packet in (b"\x02out", b"\x03err", b"\x02more"):
            monitor.send(packet)
        monitor.shutdown(socket.SHUT_WR)
        return [said async for said in streams]

    assert attached(main) == [(1, b"out"), (2, b"err"), (1, b"more")]


def test_what_was_said_is_heard_although_what_we_sent_was_not_read():
    async def main(streams, monitor, child):
        await streams.write(b"more than it wants")
        monitor.send(b"\x02enough")
        monitor.close()
        return [said async for said in streams]

    assert attached(main) == [(1, b"enough")]


async def fill(monitor):
    """Until the monitor would wait; how many packets that were."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            monitor.send(PIECE)
            count += 1
    return count


@pytest.mark.parametrize("has_begun", [False, True], ids=["nobody reads", "a reader has stopped in the middle"])
def test_a_monitor_is_held_up_while_its_program_runs_and_not_after_its_end(has_begun):
    async def main(streams, monitor, child):
        reading = aiter(streams)
        heard = 0
        if has_begun:
            monitor.send(PIECE)
            heard = len((await anext(reading))[1])
        sent = await fill(monitor)
        await asyncio.sleep(0.05)
        with pytest.raises(BlockingIOError):
            monitor.send(PIECE)
        child.kill()
        for _ in range(50):  # what was still in the program's pipes
            await asyncio.get_running_loop().sock_sendall(monitor, PIECE)
        monitor.shutdown(socket.SHUT_WR)
        heard += sum([len(data) async for _, data in reading])
        return heard, (sent + 50 + has_begun) * 8000

    heard, sent = attached(main)
    assert heard == sent


def test_a_reader_who_waits_hears_what_comes_after_the_end():
    async def main(streams, monitor, child):
        async def read():
            return b"".join([data async for _, data in streams])

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            await asyncio.sleep(0.01)
            child.kill()
            await asyncio.sleep(0.05)
            monitor.send(b"\x02last ")
            await asyncio.sleep(0.01)
            monitor.send(b"\x02words")
            monitor.shutdown(socket.SHUT_WR)
        return reading.result()

    assert attached(main) == b"last words"


def test_closing_wakes_who_waits():
    async def main(streams, monitor, child):
        async def read():
            return [said async for said in streams]

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            await asyncio.sleep(0.01)
            streams.close()
        return reading.result()

    assert attached(main) == []


def test_a_monitor_has_noticed_when_it_has_read_its_control_pipe(tmp_path):
    async def main():
        os.mkfifo(tmp_path / "ctl")
        monitor = os.open(tmp_path / "ctl", os.O_RDONLY | os.O_NONBLOCK)
        try:
            waits = asyncio.create_task(noticed(str(tmp_path)))
            await asyncio.wait([waits], timeout=0.05)
            before = waits.done()
            said = os.read(monitor, 100)
            await waits
            return before, said
        finally:
            os.close(monitor)

    assert asyncio.run(main()) == (False, b"\n")


def test_nobody_is_waited_for_who_has_ended(tmp_path):
    os.mkfifo(tmp_path / "ctl")
    asyncio.run(noticed(str(tmp_path)))
    os.unlink(tmp_path / "ctl")
    asyncio.run(noticed(str(tmp_path)))
