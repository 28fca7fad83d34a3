"""Asking a container over the network, for its probes and hooks: HTTP, TCP, gRPC.

HTTP is written by hand: one GET, of whose answer only the status counts, and where it leads to.  Redirects are followed
on the same host; one that leads elsewhere ends the probe, which has passed with a warning.

Source: Kubernetes documentation, "Configure Liveness, Readiness and Startup Probes"; kubelet's pkg/probe.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from coracle.web.tls import unverified_context
from coracle.wire.grpchealth import HealthCall, ProtocolError

USER_AGENT = "kube-probe/1.36"
SPEAKS_HTTP = "http: server gave HTTP response to HTTPS client"
_MOST_HEAD_BYTES, _MOST_BODY_BYTES = 64 * 1024, 10 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?:\r\n|$)", re.IGNORECASE)
_MOST_REDIRECTS = 10
_BLOCK = 4096


class AskingFailed(Exception):
    """There was no answer, or a bad one; the text says so as the kubelet does."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer's status and where it leads to ("": nowhere); `body`: of one that leads elsewhere."""

    status: int
    location: str = ""
    body: str = ""


async def http_get(asked: Mapping[str, Any], host: str, port: int) -> Heard:
    """GET what an httpGet action names, following redirects on the same host.  Raises AskingFailed, ValueError."""
    scheme = str(asked.get("scheme") or "HTTP").lower()
    path = str(asked.get("path") or "/")
    first = f"{scheme}://{_authority(host, port)}{path if path.startswith('/') else '/' + path}"
    headers = _headers(asked)
    url = first
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            heard = await _get(url, headers)
        except (OSError, EOFError, ValueError) as error:
            raise AskingFailed(f'Get "{url}": {_words(error, host, port)}') from error
        onward = urljoin(url, heard.location) if heard.location and 300 <= heard.status < 400 else ""
        if not onward or urlsplit(onward).hostname != urlsplit(first).hostname:
            return heard
        url = onward
    raise AskingFailed(f'Get "{url}": stopped after {_MOST_REDIRECTS} redirects')


async def connect(host: str, port: int) -> None:
    """Open a connection and let go of it.  Raises AskingFailed."""
    try:
        (await _open(host, port)).close()
    except OSError as error:
        raise AskingFailed(_words(error, host, port)) from error


async def grpc_health(host: str, port: int, service: str) -> str:
    """What the server says of `service`: SERVING, NOT_SERVING, ..., "" where it ended the call.

    Raises: AskingFailed (it cannot be reached, or speaks something else).
    """
    call = HealthCall(_authority(host, port), service, USER_AGENT)
    try:
        with contextlib.closing(await _open(host, port)) as connection:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connection, call.begin())
            while call.verdict is None:
                data = await loop.sock_recv(connection, _BLOCK)
                if not data:
                    raise AskingFailed("error: health rpc probe failed: the server closed the connection")
                await loop.sock_sendall(connection, call.feed(data))
    except (OSError, ProtocolError) as error:
        raise AskingFailed(f"error: health rpc probe failed: {_words(error, host, port)}") from error
    return call.verdict


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _words(error: Exception, host: str, port: int) -> str:
    """As Go says it."""
    match error:
        case ConnectionRefusedError():
            return f"dial tcp {_authority(host, port)}: connect: connection refused"
        case ConnectionResetError():
            return "read: connection reset by peer"
        case EOFError():
            return "EOF"
        case ssl.SSLError() if "WRONG_VERSION_NUMBER" in str(error):
            return SPEAKS_HTTP
        case socket.gaierror():
            return f"dial tcp: lookup {host}: no such host"
        case OSError() if error.strerror:
            return f"dial tcp {_authority(host, port)}: connect: {error.strerror.lower()}"
    return str(error) or type(error).__name__


# -- HTTP -----------------------------------------------------------------------------------------------------------


Headers = Sequence[tuple[str, str]]


def _headers(asked: Mapping[str, Any]) -> Headers:
    """What the probe gives, and the usual ones that it does not; a User-Agent or Accept of "" is left out."""
    given = [(header["name"], header.get("value") or "") for header in asked.get("httpHeaders") or ()]
    if any(sign in text for pair in given for text in pair for sign in "\r\n\0"):
        raise ValueError("line break in a header")
    names = {name.lower() for name, _ in given}
    usual = [pair for pair in (("User-Agent", USER_AGENT), ("Accept", "*/*")) if pair[0].lower() not in names]
    return [pair for pair in (*usual, *given) if pair[1] or pair[0].lower() not in ("user-agent", "accept")]


async def _get(url: str, headers: Headers) -> Heard:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    own_host = next((value for name, value in headers if name.lower() == "host"), parts.netloc)
    kept = "".join(f"{name}: {value}\r\n" for name, value in headers if name.lower() != "host")
    text = f"GET {target} HTTP/1.1\r\nHost: {own_host}\r\n{kept}Connection: close\r\n\r\n"
    request = text.encode("latin-1", "replace")
    return _read_head(await (_exchange_tls if secure else _exchange)(host, port, request))


async def _exchange(host: str, port: int, request: bytes) -> bytes:
    """Send `request`; the answer as far as it counts."""
    loop = asyncio.get_running_loop()
    with contextlib.closing(await _open(host, port)) as connection:
        await loop.sock_sendall(connection, request)
        return await _answer(lambda: loop.sock_recv(connection, _BLOCK))


async def _exchange_tls(host: str, port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, ssl=unverified_context(), server_hostname="")
    try:
        writer.write(request)
        return await _answer(lambda: reader.read(_BLOCK))
    finally:
        writer.transport.abort()


async def _answer(read: Callable[[], Awaitable[bytes]]) -> bytes:
    answer = b""
    while not _enough(answer):
        block = await read()
        answer += block
        if not answer:
            raise EOFError
        if not block or len(answer) > _MOST_HEAD_BYTES:
            break
    return answer


def _enough(answer: bytes) -> bool:
    """The head; and the body of an answer that leads elsewhere, since it may have to be told."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return b"\n\n" in answer
    length = _LENGTH.search(head)
    if head[9:10] != b"3" or head[9:12] == b"304":
        return True
    return len(body) >= _MOST_BODY_BYTES or (length is not None and len(body) >= int(length[1]))


def _read_head(data: bytes) -> Heard:
    """Raises ValueError (no HTTP)."""
    head, _, body = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        said = "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
        raise ValueError(f'{said} "{line[:100]}"')
    pairs = (field.partition(":") for field in fields)
    location = next((value.strip() for name, _, value in pairs if name.strip().lower() == "location"), "")
    return Heard(int(words[1]), location, body.decode(errors="replace"))


async def _open(host: str, port: int) -> socket.socket:
    """A connected socket; without asyncio's streams, which cost several times as much."""
    loop = asyncio.get_running_loop()
    family, address = socket.AF_INET, host
    if not _is_address(host):
        family, _, _, _, found = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
        address = str(found[0])
    elif ":" in host:
        family = socket.AF_INET6
    connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await loop.sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
