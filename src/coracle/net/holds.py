"""Ports of the host that are ours: bound and never listened on, so that nobody else takes them.

Packets for a forwarded port are steered away before they reach any socket.  The socket is there to be in the way: of a
process that would listen where nothing can arrive, and of us where one already does.  A port of every address is
bound on 0.0.0.0; one of 127.0.0.1 only there.

Source: bind(2); ip(7); /proc/net/tcp in proc(5).
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from coracle.core.errors import AlreadyExists, Exhausted
from coracle.net.addresses import Address
from coracle.net.api import Transport

_TYPES = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}
_LISTEN = "0A"
_SPARE_FILES = 256  # left to the rest of the process


class HostPort(NamedTuple):
    """A port of the host itself: `address` is 0.0.0.0 or ::, or one of the host's."""

    transport: Transport
    address: Address
    port: int


class Holds(Protocol):
    """Who may have which port of the host."""

    def take(self, port: HostPort) -> None:
        """Hold `port`; a second time changes nothing.  Raises AlreadyExists naming the process; Exhausted."""
        ...

    def release(self, port: HostPort) -> None: ...


@dataclass(frozen=True, slots=True)
class NoHolds:
    """Every port is free: for tests and for clouds whose network is not the host's."""

    def take(self, port: HostPort) -> None:
        """Allow it."""

    def release(self, port: HostPort) -> None:
        """Nothing to do."""


class PortHolds:
    """Holds ports by sockets of this process; they are free again when it ends."""

    def __init__(self) -> None:
        self._sockets: dict[HostPort, socket.socket] = {}

    def take(self, port: HostPort) -> None:
        if port in self._sockets or port.transport not in _TYPES:
            return  # SCTP: nothing listens on it unless the kernel has it; not worth a module
        try:
            self._sockets[port] = _bound(port)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return  # not an address of this host: nobody here can take it either
            if error.errno != errno.EADDRINUSE:
                raise _no_room(port, error) from error
            holder = process_on(port) or "another process of the host"
            name = f"{port.transport}/{port.port}"
            said = f"port {port.port}/{port.transport} is already used by {holder}"
            raise AlreadyExists(said, kind="Port", name=name, holder=holder) from error

    def release(self, port: HostPort) -> None:
        held = self._sockets.pop(port, None)
        if held is not None:
            held.close()

    def close(self) -> None:
        for port in tuple(self._sockets):
            self.release(port)


def try_port(port: HostPort) -> None:
    """Whether it could be held.  Raises as `Holds.take`."""
    holds = PortHolds()
    holds.take(port)
    holds.close()


def raise_file_limit() -> int:
    """Let this process have as many files as it may: one for each port held.  Returns the limit."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _bound(port: HostPort) -> socket.socket:
    family = socket.AF_INET if port.address.version == 4 else socket.AF_INET6
    held = socket.socket(family, _TYPES[port.transport] | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if held.fileno() > resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES:
            raise OSError(errno.EMFILE, "too many ports held")
        if port.transport == "TCP":
            # Connections of an earlier server may still be in TIME_WAIT here.  Bind over them, then insist.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((str(port.address), port.port))
        if port.transport == "TCP":
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        held.close()
        raise
    return held


def _no_room(port: HostPort, error: OSError) -> Exhausted:
    return Exhausted(f"port {port.port}/{port.transport} cannot be held: {os.strerror(error.errno or 0)}", kind="Port")


# -- whose is it -----------------------------------------------------------------------------------------------------


def process_on(port: HostPort) -> str:
    """Who has a socket bound to `port`: "nginx (pid 1234)", or "" where nobody is found."""
    inodes = set(_inodes(port))
    for pid in _pids() if inodes else ():
        with contextlib.suppress(OSError):
            if any(_inode(link) in inodes for link in _links(pid)):
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                return f"{name} (pid {pid})"
    return ""


def _inodes(port: HostPort) -> Iterator[str]:
    """Socket inodes on that port: those that listen, or are bound with no other end."""
    for table in (port.transport.lower(), f"{port.transport.lower()}6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]:
                words = line.split()
                local, state = words[1], words[3]
                if int(local.rpartition(":")[2], 16) == port.port and (port.transport != "TCP" or state == _LISTEN):
                    yield words[9]


def _pids() -> Iterable[str]:
    return (name for name in os.listdir("/proc") if name.isdigit())


def _links(pid: str) -> Iterator[str]:
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/{pid}/fd/{fd}")


def _inode(link: str) -> str:
    return link[8:-1] if link.startswith("socket:[") else ""
