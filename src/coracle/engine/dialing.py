"""Connecting to what listens inside a sandbox, on its own loopback interface: as somebody who sits in it.

Source: network_namespaces(7): a socket belongs to the namespace it was made in.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from coracle.core.tasks import offload
from coracle.linux import netns

_PLACES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


async def connect_inside(netns_path: str, port: int) -> socket.socket:
    """A connection to localhost:`port` in the namespace pinned there ("host": the host's).  Raises OSError."""
    problem: OSError = ConnectionRefusedError()
    for family, address in _PLACES:
        try:
            return await _connect(netns_path, family, address, port)
        except OSError as error:
            problem = problem if isinstance(error, ConnectionRefusedError) or family == socket.AF_INET6 else error
    raise problem


async def _connect(netns_path: str, family: int, address: str, port: int) -> socket.socket:
    connection = await offload(_make, netns_path, family)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def _make(netns_path: str, family: int) -> socket.socket:
    with netns.entered(netns_path) if netns_path != "host" else contextlib.nullcontext():
        return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
