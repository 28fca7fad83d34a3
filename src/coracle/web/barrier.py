"""The head of an answer that hands a connection over, kept apart from what follows it.

Many clients read the head through a buffer and then go on with the bare socket: what has arrived behind the head by
then stays in their buffer and is lost (docker-py's `exec_run` gave nothing back where the program was quicker than
they).  On a unix socket a message that carries a descriptor is a barrier: no read goes beyond it.  Who reads without
asking for the descriptor never sees it.

Source: unix(7), "Ancillary messages".
"""

from __future__ import annotations

import asyncio
import os
import socket
from asyncio.trsock import TransportSocket

from coracle.web.pipe import Pipe


def write_apart(pipe: Pipe, head: bytes) -> None:
    """Write `head` so that a read ends with it, where `pipe` is a unix socket and nothing waits to be sent."""
    sent_bytes = 0
    if isinstance(pipe, asyncio.Transport) and pipe.get_write_buffer_size() == 0:
        sock = pipe.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            sent_bytes = _send(sock, head)
    if sent_bytes < len(head):
        pipe.write(head[sent_bytes:])


def _send(sock: TransportSocket, data: bytes) -> int:
    """How many bytes have gone; 0 where it cannot be done now, and a plain write will tell why."""
    try:
        with sock.dup() as own, open(os.devnull, "rb", buffering=0) as nothing:
            return socket.send_fds(own, [data], [nothing.fileno()])
    except OSError:
        return 0
