"""Carrying a request to another server and its answer back: one step of a reverse proxy.

    carry()     both bodies as they come, nothing is kept
    switch()    a request that changes the protocol (WebSocket, SPDY): once the server agrees, bytes both ways

Certificates are not verified: who is asked is known by address.
Source: RFC 9110 section 7.6 (what an intermediary passes on); Go's httputil.ReverseProxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coracle.core.errors import Unavailable
from coracle.web.messages import Answer, RawStream, Request, Response, Stream, Upgrade
from coracle.web.tls import unverified_context

if TYPE_CHECKING:
    import aiohttp

CONNECT_S = 30.0
HEAD_BYTES = 64 * 1024
REFUSAL_BYTES = 64 * 1024  # of what is read of an answer that does not change the protocol
_BLOCK = 64 * 1024
_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade", "expect")
)  # fmt: skip
_OURS = frozenset(("date", "content-length"))  # written by our own server


class Unreachable(Unavailable):
    """The server cannot be reached, or does not speak HTTP.  Asking again at once would not help."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Upstream:
    """A server by its address; `secure`: over TLS."""

    host: str
    port: int
    secure: bool = False

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Fields(Mapping[str, str]):
    """Header fields as they came: a name may be there several times, and is found in whatever case."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs = tuple(pairs)

    def __getitem__(self, name: str) -> str:
        for found, value in self.pairs:
            if found.lower() == name.lower():
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def items(self) -> ItemsView[str, str]:
        """All of them."""
        return _Pairs(self)

    def without(self, names: Collection[str]) -> Fields:
        """`names` in lower case."""
        return Fields(pair for pair in self.pairs if pair[0].lower() not in names)


class _Pairs(ItemsView[str, str]):
    _mapping: Fields

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._mapping.pairs)


class Body:
    """An answer's body as it comes; closing it, read or not, gives the connection back."""

    def __init__(self, session: aiohttp.ClientSession, response: aiohttp.ClientResponse) -> None:
        self._session, self._response = session, response

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        """Raises ConnectionResetError where the server breaks off."""
        import aiohttp

        try:
            data = await self._response.content.readany()
        except aiohttp.ClientError as error:
            raise ConnectionResetError(f"the server broke off: {error}") from error
        if not data:
            await self.aclose()
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        self._response.close()
        await self._session.close()


async def carry(request: Request, to: Upstream, target: str, headers: Mapping[str, str]) -> Stream:
    """The answer of `to` for `target` (`/path?query`).  `headers` as passed_on() gives them.  Raises Unreachable."""
    import aiohttp  # 8 MB: only a cloud whose proxies are used carries it
    from yarl import URL

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=False, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        auto_decompress=False,
        max_line_size=HEAD_BYTES,
        max_field_size=HEAD_BYTES,
    )
    url = URL(f"{'https' if to.secure else 'http'}://{to.authority}{target}", encoded=True)
    data = request.stream() if _has_body(request) else None
    try:
        response = await session.request(request.method, url, headers=headers, data=data, allow_redirects=False)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        await session.close()
        raise Unreachable(_words(error, to)) from error
    except BaseException:
        await session.close()
        raise
    said = response.headers.get("Content-Length", "")
    kept = Fields(response.headers.items()).without({*_hop_by_hop(response.headers), *_OURS})
    return Stream(response.status, Body(session, response), kept, "", int(said) if said.isdigit() else None)


async def switch(request: Request, to: Upstream, target: str, headers: Mapping[str, str]) -> Answer:
    """The change of protocol that `request` asks for, or what the server says instead.  Raises Unreachable."""
    context = unverified_context() if to.secure else None
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(to.host, to.port, ssl=context, limit=HEAD_BYTES)
    except (OSError, TimeoutError) as error:
        raise Unreachable(_words(error, to)) from error
    try:
        writer.write(_head(request, target, headers))
        status, fields = _read_head(await reader.readuntil(b"\r\n\r\n"))
        if status == 101:
            return _joined(reader, writer, fields)
        body = b"" if status in (204, 304) else await _refusal(reader, fields)
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        writer.transport.abort()
        raise Unreachable(_words(error, to)) from error
    except BaseException:
        writer.transport.abort()
        raise
    writer.close()
    return Response(status, body, _kept(fields), "")


def passed_on(request: Request, secret: Iterable[str] = ()) -> dict[str, str]:
    """The headers of `request` that another server is told, with whom it is asked for; not those in `secret`."""
    dropped = {*_hop_by_hop(request.headers), *secret}
    kept = {name.title(): value for name, value in request.headers.items() if name.lower() not in dropped}
    if request.peer.address:
        before = kept.get("X-Forwarded-For")
        kept["X-Forwarded-For"] = f"{before}, {request.peer.address}" if before else request.peer.address
    return kept


def _hop_by_hop(headers: Mapping[str, str]) -> set[str]:
    """The names, in lower case, of what is between two neighbours only."""
    named = headers.get("connection", "").lower().split(",")
    return {*_HOP, *(name.strip() for name in named if name.strip())}


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


# -- the change of protocol --------------------------------------------------------------------------------------------


def _head(request: Request, target: str, headers: Mapping[str, str]) -> bytes:
    change = {"Connection": "Upgrade", "Upgrade": request.headers.get("upgrade", "")}
    lines = [
        f"{request.method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in {**headers, **change}.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def _read_head(head: bytes) -> tuple[int, dict[str, str]]:
    """The status, and the fields by lower-case name.  Raises ValueError."""
    first, *lines = head.decode("utf-8", "surrogateescape").rstrip("\r\n").split("\r\n")
    words = first.split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise ValueError(f'malformed HTTP response "{first[:100]}"')
    pairs = (line.partition(":") for line in lines)
    return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _refusal(reader: asyncio.StreamReader, fields: Mapping[str, str]) -> bytes:
    """What is told of the body of an answer that does not change the protocol.  Raises ValueError, EOFError."""
    body = bytearray()
    if "transfer-encoding" not in fields:
        size = min(_length(fields.get("content-length", str(REFUSAL_BYTES))), REFUSAL_BYTES)
        while len(body) < size and (data := await reader.read(size - len(body))):
            body += data
        return bytes(body)
    while size := min(_length((await reader.readline()).partition(b";")[0].decode(), 16), REFUSAL_BYTES - len(body)):
        body += await reader.readexactly(size)
        await reader.readuntil(b"\n")
    return bytes(body)


def _length(text: str, base: int = 10) -> int:
    """Raises ValueError, also where it is below zero."""
    size = int(text, base)
    if size < 0:
        raise ValueError(f'bad length "{text[:100]}"')
    return size


def _kept(fields: Mapping[str, str]) -> dict[str, str]:
    dropped = {*_hop_by_hop(fields), *_OURS}
    return {name: value for name, value in fields.items() if name not in dropped}


def _joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fields: Mapping[str, str]) -> Upgrade:
    async def run(client: RawStream) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                inward = group.create_task(_inward(client, writer), name="to the server")
                while data := await reader.read(_BLOCK):
                    await client.write(data)
                inward.cancel()
        except* ConnectionError:
            pass  # one of the two is gone
        finally:
            writer.transport.abort()

    return Upgrade(fields.get("upgrade", ""), run, _kept(fields))


async def _inward(client: RawStream, writer: asyncio.StreamWriter) -> None:
    while data := await client.read(_BLOCK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()


def _words(error: BaseException, to: Upstream) -> str:
    """As Go says it."""
    cause = getattr(error, "os_error", error)
    if isinstance(error, TimeoutError):
        return f"dial tcp {to.authority}: i/o timeout"
    if isinstance(cause, ConnectionRefusedError):
        return f"dial tcp {to.authority}: connect: connection refused"
    if isinstance(cause, ConnectionResetError):
        return "read: connection reset by peer"
    if isinstance(cause, EOFError) or type(error).__name__ == "ServerDisconnectedError":
        return "EOF"
    if isinstance(cause, OSError) and cause.strerror:
        return f"dial tcp {to.authority}: connect: {cause.strerror.lower()}"
    return str(error) or type(error).__name__
