"""Heads of answers that hand a connection over: nothing of what follows is read along with them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from coracle.web.barrier import write_apart

HEAD, REST = b"HTTP/1.1 101 UPGRADED\r\n\r\n", b"what follows"


async def written(family, write):
    """What the reads of a peer give, who reads when all has been written; no descriptor stays open here."""
    ours, theirs = socket.socketpair() if family == socket.AF_UNIX else tcp_pair()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    with theirs:
        write(transport)
        transport.close()
        await asyncio.sleep(0)
        reads = []
        while data := await asyncio.to_thread(theirs.recv, 65536):
            reads.append(data)
        return reads


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        return server.accept()[0], theirs


def test_a_read_on_a_unix_socket_ends_with_the_head():
    def write(transport):
        write_apart(transport, HEAD)
        transport.write(REST)

    assert asyncio.run(written(socket.AF_UNIX, write)) == [HEAD, REST]


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_everything_arrives_in_order_where_something_waits_and_over_tcp(family):
    much = b"x" * 4_000_000

    def write(transport):
        transport.write(much)
        write_apart(transport, HEAD)
        transport.write(REST)

    assert b"".join(asyncio.run(written(family, write))) == much + HEAD + REST
