"""What a handler is given and what it may answer.

A Handler takes a Request and returns a Response (whole, in memory), a Stream (as long as it likes) or an Upgrade (the
connection itself).  Nothing here does I/O: a test calls a handler with `Request("GET", "/api/v1/pods?limit=5")`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote, unquote_plus

import orjson

from coracle.core.errors import Malformed
from coracle.web.inbox import Inbox
from coracle.web.media import MediaType, parse_accept

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling.  A client certificate says so by its common name, and its organisations as groups.

    `uid` and `extra` are what other proofs say more, whatever it means to the API.
    """

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a connection comes from: an address and port, or the process at the other end of a unix socket."""

    address: str = ""
    port: int = 0
    pid: int | None = None
    uid: int | None = None
    gid: int | None = None


class Query:
    """The decoded query of a target; a name may have several values.

    `a=1&a=2&b` is a: "1", "2", b: "".  Bytes that are not UTF-8 become U+FFFD.
    """

    __slots__ = ("_pairs",)

    def __init__(self, raw: str = "") -> None:
        self._pairs: list[tuple[str, str]] = []
        for part in raw.split("&") if raw else ():
            name, _, value = part.partition("=")
            if part:
                self._pairs.append((_unquote_field(name), _unquote_field(value)))

    def get(self, name: str, default: str = "") -> str:
        """The first value."""
        return next((value for found, value in self._pairs if found == name), default)

    def all(self, name: str) -> list[str]:
        return [value for found, value in self._pairs if found == name]

    def items(self) -> list[tuple[str, str]]:
        return list(self._pairs)

    def __contains__(self, name: object) -> bool:
        return any(found == name for found, _ in self._pairs)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(self._pairs)

    def __repr__(self) -> str:
        return f"Query({self._pairs!r})"


def _unquote_field(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


class Request:
    """One request, its head and (unless the route is streaming) its whole body.

    Shape: `target` is `/raw/path?query`; `headers` has lower-case names, values of a repeated header joined with ", ";
    `params` comes from the router, `identity` from the client certificate, `upgrade` is the protocol the client offers
    to change to in lower case ("" where it offers none, or may not).  `mount` is what a door took off the beginning of
    the path before routing ("/v1.41").
    """

    # Defaults live in the class: setting eight more attributes costs each request half a microsecond.
    headers: Mapping[str, str] = MappingProxyType({})
    params: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    identity: Identity | None = None
    peer: Peer = Peer()
    upgrade: str = ""
    mount: str = ""
    allowed: tuple[str, ...] = ()  # set by the router when it refuses the method, for `Allow`
    inbox: Inbox | None = None  # a streaming route's body; handlers use stream()
    keep_alive: bool = True
    http_10: bool = False
    expects_continue: Callable[[], None] | None = None
    _query: Query | None = None

    def __init__(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        params: Mapping[str, str] | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.method = method
        self.raw_path, _, self._raw_query = target.partition("?")
        if headers is not None:
            self.headers = headers
        if params is not None:
            self.params = params
        if body:
            self.body = body
        if identity is not None:
            self.identity = identity

    @property
    def path(self) -> str:
        """The decoded path, for people and logs; `params` is what to act on."""
        return unquote(self.raw_path)

    @property
    def query(self) -> Query:
        if self._query is None:
            self._query = Query(self._raw_query)
        return self._query

    @property
    def target(self) -> str:
        return f"{self.raw_path}?{self._raw_query}" if self._raw_query else self.raw_path

    def json(self) -> Any:
        """The body as JSON.  Raises Malformed."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise Malformed(f"the request body is not valid JSON: {error}") from error

    def accepted(self) -> list[MediaType]:
        """What the client wants in its order of preference; `*/*` where it does not say."""
        return parse_accept(self.headers.get("accept", ""))

    def accepts(self, *offers: str) -> str | None:
        """The offer the client likes best, or None.  The first offer wins a tie."""
        wanted = self.accepted()
        return next((offer for media in wanted for offer in offers if media.covers(offer)), None)

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it arrives; where the route is not streaming, the body in one piece.

        Raises: Malformed (bad framing, or silence for too long); ConnectionError (the client is gone).
        """
        if self.inbox is None:
            if self.body:
                yield self.body
            return
        if self.expects_continue is not None:
            self.expects_continue()
        while chunk := await self.inbox.read():
            yield chunk


def dumps(obj: Any) -> bytes:
    """JSON as every door writes it.  Raises TypeError where `obj` is not JSON."""
    return orjson.dumps(obj, option=orjson.OPT_NON_STR_KEYS)


@dataclass(slots=True)
class Response:
    """A whole answer.  `body` may be parts, which are sent one after another without being joined in memory."""

    status: int
    body: bytes | Sequence[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE

    @classmethod
    def of(cls, status: int, obj: Any, headers: Mapping[str, str] | None = None) -> Response:
        """`obj` as JSON."""
        return cls(status, dumps(obj), headers or {})


@dataclass(slots=True)
class Stream:
    """An answer of unknown length.  Each chunk is sent at once; the next is asked for when the client keeps up.

    A client that goes away, also while `chunks` waits, cancels `chunks`, so that its `finally` blocks run; so does the
    end of the server.  An error in `chunks` cuts the connection without the closing chunk, so that no client takes half
    an answer for a whole one.  With `length_bytes` the answer has a Content-Length instead of chunked framing.
    `stall_s`: how long a client may take nothing before it is cut off; None is for ever (a paused `kubectl logs -f`).
    """

    status: int
    chunks: AsyncIterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE
    length_bytes: int | None = None
    stall_s: float | None = None


class RawStream(Protocol):
    """The connection itself, after an Upgrade.

    End of input: `read` gives b"" when the client has closed its sending side (shutdown, or close_notify over TLS);
    writing goes on working.  When the client is gone altogether (reset, or TCP closed without close_notify over TLS)
    the task in `Upgrade.run` is cancelled; a read or write that is tried after that raises ConnectionResetError.
    """

    async def read(self, limit_bytes: int = 65536) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def write_eof(self) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Upgrade:
    """The connection changes to `protocol` and `run` has it until it returns; then it is closed.

    `status` 101 answers a request that offered the change (`Request.upgrade`); 200 takes the connection over without
    being asked, as Docker does for clients that send no `Upgrade:`.
    """

    protocol: str
    run: Callable[[RawStream], Awaitable[None]]
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 101


Answer: TypeAlias = Response | Stream | Upgrade
Handler: TypeAlias = Callable[[Request], Awaitable[Answer]]
