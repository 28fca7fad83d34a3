import asyncio
from collections import deque

import pytest

from coracle.docker.streams.joining import Wish, drained, join
from coracle.testing.autojump import run

BOTH = {1, 2}


class Client:
    """Sends what it is given, piece by piece, then closes its side; `None` in `sends` waits for ever."""

    def __init__(self, *sends, gone=False):
        self.sends, self.heard, self.gone = deque(sends), b"", gone

    async def read(self, limit_bytes=65536):
        await asyncio.sleep(0.01)
        if not self.sends:
            return b""
        if self.sends[0] is None:
            await asyncio.get_running_loop().create_future()
        return self.sends.popleft()

    async def write(self, data):
        if self.gone:
            raise ConnectionResetError("the client is gone")
        self.heard += data


class Program:
    """Says `says`, and then what it hears; ends when its input does, or after `ends_s`."""

    def __init__(self, *says, ends_s=None, deaf=False):
        self.said = asyncio.Queue()
        for piece in says:
            self.said.put_nowait(piece)
        self.input, self.closed, self.deaf = b"", False, deaf
        if ends_s is not None:
            asyncio.get_running_loop().call_later(ends_s, self.said.put_nowait, None)

    async def write(self, data):
        if self.deaf:
            raise BrokenPipeError
        self.input += data
        self.said.put_nowait((1, data))

    def close_stdin(self):
        self.closed = True
        self.said.put_nowait(None)

    def resize(self, columns, rows):
        pass

    async def __aiter__(self):
        while (piece := await self.said.get()) is not None:
            yield piece

    def close(self):
        pass


def test_bytes_go_both_ways_until_the_program_ends():
    async def main():
        client, program = Client(b"one", b"two"), Program((2, b"hello"))
        how = await join(client, program, Wish(stdin=True, outputs=BOTH, framed=False))
        return how, client.heard, program.input

    assert run(main()) == ("ended", b"helloonetwo", b"onetwo")


def test_frames_and_only_the_streams_that_are_asked_for():
    async def main():
        client = Client()
        program = Program((1, b"a"), (2, b"b"), (2, b""), ends_s=1)
        await join(client, program, Wish(stdin=False, outputs={2}, framed=True))
        return client.heard

    assert run(main()) == b"\x02\x00\x00\x00\x00\x00\x00\x01b"


def test_the_keys_end_it_and_are_not_passed_on():
    async def main():
        client, program = Client(b"ls", b"\x10", b"\x11", b"more"), Program()
        how = await join(client, program, Wish(stdin=True, outputs=BOTH, framed=False, keys=b"\x10\x11"))
        return how, program.input, program.closed

    assert run(main()) == ("detached", b"ls", False)


def test_a_client_leaves_by_the_end_of_its_input_where_the_programs_goes_on():
    async def main():
        client, program = Client(b"x"), Program()
        how = await join(client, program, Wish(stdin=True, outputs=BOTH, framed=False, once=False))
        return how, program.closed

    assert run(main()) == ("left", False)


def test_a_program_that_does_not_read_is_still_heard():
    async def main():
        client, program = Client(b"x", b"y", None), Program((1, b"out"), ends_s=5, deaf=True)
        how = await join(client, program, Wish(stdin=True, outputs=BOTH, framed=False))
        return how, client.heard

    assert run(main()) == ("ended", b"out")


@pytest.mark.parametrize("stdin", [True, False])
def test_a_client_that_is_gone_has_left(stdin):
    async def main():
        wish = Wish(stdin=stdin, outputs=BOTH, framed=False)
        return await join(Client(None, gone=True), Program((1, b"out")), wish)

    assert run(main()) == "left"


def test_draining_reads_to_the_end():
    async def main():
        program = Program((1, b"a"), (1, b"b"), ends_s=1)
        await drained(program)
        return program.said.empty()

    assert run(main())
