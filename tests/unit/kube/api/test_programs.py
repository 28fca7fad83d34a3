"""Joining a client to a program."""

from __future__ import annotations

import asyncio

from coracle.kube.api import programs
from coracle.testing.autojump import run
from coracle.web.messages import Request
from coracle.wire import channels


class Gone:
    """A client that ends its input, and is gone before it can be told anything."""

    async def receive(self):
        return bytes((channels.CLOSE, channels.STDIN))

    async def send(self, _message):
        raise ConnectionResetError


class Quiet:
    """A program that goes on and says nothing."""

    is_closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.Event().wait()

    def close(self):
        self.is_closed = True


def test_a_client_that_lets_go_and_is_gone_is_no_failure():
    program = Quiet()
    wish = programs.Wish(Request("POST", "/attach?stdin=true&stdout=true"))
    run(programs._join(Gone(), program, wish, detaches=True))
    assert program.is_closed
