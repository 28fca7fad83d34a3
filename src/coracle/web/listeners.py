"""Sockets to accept on, made before anybody can connect to them in a wrong state."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import ssl
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from coracle.core.errors import AlreadyExists, Exhausted, Forbidden
from coracle.web.messages import Peer

BACKLOG = 1024
_UCRED = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Tcp:
    """`port` 0 takes a free one (`Server.ports` says which).  With `tls` everything is TLS."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Unix:
    """`group` may be a name or number; None leaves the daemon's.  Who may write to the socket may use it."""

    path: str
    mode: int = 0o660
    group: str | int | None = None


Listener = Tcp | Unix


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[socket.socket]:
    """A listening socket; a unix socket's path is removed at the end.

    Raises: AlreadyExists (address or path in use); Forbidden (not permitted); OSError.
    """
    where = f"{listener.host}:{listener.port}" if isinstance(listener, Tcp) else listener.path
    try:
        sock = _tcp(listener) if isinstance(listener, Tcp) else _unix(listener)
    except OSError as error:
        raise _said(error, where) from error
    try:
        with sock:
            inode = os.stat(listener.path).st_ino if isinstance(listener, Unix) else 0
            yield sock
    finally:
        if isinstance(listener, Unix):
            _unlink_own(listener.path, inode)


def peer_of(sock: socket.socket) -> Peer:
    """Who is connected.  Raises OSError where the connection is gone already."""
    if sock.family == socket.AF_UNIX:
        pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return Peer(pid=pid, uid=uid, gid=gid)
    address, port = sock.getpeername()[:2]
    return Peer(address, port)


def keep_alive(sock: socket.socket) -> None:
    """Let the kernel notice within two minutes that a silent TCP peer has lost its network."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def _tcp(listener: Tcp) -> socket.socket:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((listener.host, listener.port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _unix(listener: Unix) -> socket.socket:
    """Bound under another name, given its mode and group, and moved into place: it is never there with wrong ones.

    The move replaces the socket of a daemon that was killed.
    """
    _check_free(listener.path)
    new_path = f"{listener.path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new_path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(new_path)  # nobody can connect before listen()
        os.chmod(new_path, listener.mode)
        if listener.group is not None:
            os.chown(new_path, -1, _gid(listener.group))
        sock.listen(BACKLOG)
        os.rename(new_path, listener.path)
    except OSError:
        sock.close()
        with contextlib.suppress(OSError):
            os.unlink(new_path)
        raise
    return sock


def _check_free(path: str) -> None:
    """Raises AlreadyExists where something answers at `path`, or something else than a socket lies there."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise AlreadyExists(f"{path} exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            pass  # its backlog is full: somebody is there
        except OSError:
            return
    raise AlreadyExists(f"{path} is already in use")


def _gid(group: str | int) -> int:
    if isinstance(group, int):
        return group
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise OSError(errno.EINVAL, f"there is no group {group}") from error


def _unlink_own(path: str, inode: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_ino == inode:
            os.unlink(path)


def _said(error: OSError, where: str) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return AlreadyExists(f"{where} is already in use")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Forbidden(f"{where} may not be listened on: {error.strerror}")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Exhausted("no more files may be open")
    return error
