"""Bytes in, requests out: HTTP/1.x framing and its limits, without I/O.

llhttp (httptools) reads the grammar in its strict mode, which refuses Content-Length beside Transfer-Encoding, two
lengths, bare CR, NUL and the like.  On top of it come here the bounds, the rules that llhttp leaves to its user, and
two things that it cannot do:

- It does not read the body of a request that carries `Upgrade:`.  Its Content-Length bytes are cut by hand; a chunked
  one is given to a fresh llhttp parser, and may then not be upgraded.
- It cannot be stopped between two pipelined requests.  Input is fed in slices, and once requests wait the rest is held
  back (`held`), as is everything that follows an offered upgrade, until `resume` or `detach`.

Source: RFC 9112; RFC 9110 section 7.8 (Upgrade), 10.1.1 (Expect).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import httptools

from coracle.core.errors import Malformed
from coracle.web.inbox import Inbox
from coracle.web.limits import Limits, TermsOf
from coracle.web.messages import Request

HELD_BYTES = 64 * 1024
SLICE_BYTES = 16 * 1024  # fed at once: at most 900 requests of the shortest kind
CHUNKED_HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
_KNOWN_NAMES = (
    "accept accept-encoding accept-language authorization connection content-encoding content-length content-type "
    "expect host kubectl-command kubectl-session origin transfer-encoding upgrade user-agent"
)
# Decoding a header's name costs as much as everything else about it; nearly all that come are these.
NAMES = {form.encode(): name for name in _KNOWN_NAMES.split() for form in (name, name.title())}
SINGLE = frozenset({"host", "content-length", "transfer-encoding", "content-type", "expect", "authorization"})


class Stage(IntEnum):
    """Where the input stands: between requests, within a head, within a body."""

    BETWEEN = 0
    HEAD = 1
    BODY = 2


# Looking a member up in its enumeration is a function call in Python 3.11, several per request here.
_BETWEEN, _HEAD, _BODY = Stage


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the connection's input cannot be read any further, as an HTTP status and a sentence."""

    status: int
    text: str


class _Refused(Exception):
    """Ends parsing from within a callback; never seen outside."""


class RequestParser:
    """Input of one connection.  `ready` are requests to be answered in order, then `failed` if it is set.

    The methods `on_*` are llhttp's callbacks.
    """

    __slots__ = (
        "_body_bytes", "_cut_bytes", "_head_bytes", "_headers", "_http", "_is_synthetic", "_limit_bytes", "_limits",
        "_make_inbox", "_parts", "_quiet_bytes", "_request", "_terms", "_url", "failed", "held", "is_over", "ready",
        "stage", "wants_continue",
    )  # fmt: skip

    def __init__(self, limits: Limits, terms: TermsOf, make_inbox: Callable[[], Inbox] = Inbox) -> None:
        self._limits, self._terms, self._make_inbox = limits, terms, make_inbox
        self._http = httptools.HttpRequestParser(self)
        self.ready: deque[Request] = deque()
        self.failed: Refusal | None = None
        self.held: bytearray | None = None
        self.is_over = False  # the last request said that it is the last
        self.stage = _BETWEEN
        self._request: Request | None = None
        self._cut_bytes = 0  # of an upgrading request's body, still to come
        self._is_synthetic = False
        self._quiet_bytes = 0  # fed since llhttp last had something to say
        self._start_over()

    def _start_over(self) -> None:
        self.stage = _BETWEEN
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head_bytes = self._body_bytes = self._quiet_bytes = 0
        self._limit_bytes: int | None = 0
        self.wants_continue = False  # a body is held back by the client until it is told "100 Continue"
        self._parts: list[bytes] = []
        self._request = None

    # what the connection calls

    def feed(self, data: bytes | memoryview) -> None:
        """Take input.  Never raises: what is wrong with it is in `failed`."""
        if len(data) <= SLICE_BYTES and self.held is None and not self.ready:
            self._feed(data)
            return
        for start in range(0, len(data), SLICE_BYTES):
            if self.held is None and self.ready and self.stage is not _BODY:
                self.held = bytearray()
            if self.held is not None:
                self.held += data[start:]
                return
            self._feed(data[start : start + SLICE_BYTES])

    @property
    def is_full(self) -> bool:
        """Whether more is kept here than should be, until requests are answered or a body is read."""
        inbox = self._request.inbox if self._request is not None else None
        return (self.held is not None and len(self.held) > HELD_BYTES) or (inbox is not None and inbox.is_full)

    def resume(self) -> None:
        """Go on with what was held back: the requests before it are answered, an offered upgrade was declined."""
        held, self.held = self.held, None
        if held:
            self.feed(bytes(held))

    def detach(self) -> bytes | None:
        """Give up parsing; what has arrived after the last request.  None where that was already taken for requests."""
        held, self.held = self.held, None
        if self.ready or self.failed or self.stage is not _BETWEEN:
            return None
        return bytes(held or b"")

    def refuse(self, status: int, text: str) -> None:
        """Read no further, for a reason from outside (a deadline, the end of input)."""
        if self.failed is None:
            self.failed = Refusal(status, text)
        if self._request is not None and self._request.inbox is not None:
            self._request.inbox.fail(Malformed(text))
        self._cut_bytes = 0
        self._start_over()

    def close(self) -> None:
        """The connection is over: untie the parser from itself and its connection.  Called once, and last."""
        self.is_over = True
        del self._http
        self._make_inbox = Inbox

    def end(self) -> None:
        """The client sends no more."""
        if self.stage is not _BETWEEN:
            self.refuse(400, "bad request: it ends too early")
        elif self.held is None:
            self.is_over = True

    # input

    def _feed(self, data: bytes | memoryview) -> None:
        if self._cut_bytes:
            self._feed_cut(data)
            return
        if self.failed is not None or self.is_over:
            return
        try:
            self._http.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._after_upgrade(data[stop.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._take_error(error)
            return
        if self.stage is not _BETWEEN:
            self._quiet_bytes += len(data)
            if self._quiet_bytes > self._limits.head_bytes + SLICE_BYTES:
                self.refuse(431, "request header fields too large")

    def _take_error(self, error: httptools.HttpParserError) -> None:
        if self.is_over:
            return  # what follows a last request is nobody's
        if isinstance(error, httptools.HttpParserCallbackError) and not isinstance(error.__context__, _Refused):
            raise error  # a bug of ours: the connection logs it and ends
        refusal = self.failed or Refusal(400, f"bad request: {error}")
        self.failed = None
        self.refuse(refusal.status, refusal.text)

    def _after_upgrade(self, rest: bytes | memoryview) -> None:
        request = self._request
        self._http = httptools.HttpRequestParser(self)
        if request is None:
            return
        if "transfer-encoding" in request.headers:
            request.upgrade = ""
            self._is_synthetic = True
            self._http.feed_data(CHUNKED_HEAD)
            self._is_synthetic = False
            self._feed(rest)
            return
        self._cut_bytes = int(request.headers.get("content-length") or 0)
        if not self._cut_bytes:
            self._end_message(request)
            self.held = bytearray(rest)
            return
        self._feed_cut(rest)

    def _feed_cut(self, data: bytes | memoryview) -> None:
        """The body of a request that offers an upgrade, and then whatever the new protocol has sent early."""
        request = self._request
        if request is None:
            self._cut_bytes = 0  # refused meanwhile
            return
        mine = bytes(data[: self._cut_bytes])
        self._cut_bytes -= len(mine)
        self.on_body(mine)
        if not self._cut_bytes:
            self._end_message(request)
            self.held = bytearray(data[len(mine) :])

    # llhttp's callbacks

    def on_url(self, url: bytes) -> None:
        if self._is_synthetic:
            return
        self.stage = _HEAD
        self._quiet_bytes = 0
        self._url += url
        if len(self._url) > self._limits.target_bytes:
            self._stop(414, "URI too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_synthetic:
            return
        self._quiet_bytes = 0
        self._head_bytes += len(name) + len(value) + 4
        headers = self._headers
        if self._head_bytes > self._limits.head_bytes or len(headers) >= self._limits.headers:
            self._stop(431, "request header fields too large")
        if self.stage is not _HEAD:
            return  # a trailer: counted, and never mixed with the headers
        key = NAMES.get(name) or name.lower().decode("latin-1")
        text = value.decode("latin-1").strip(" \t")
        if key in headers:
            if key in SINGLE:
                self._stop(400, f"bad request: {key} twice")
            text = f"{headers[key]}{'; ' if key == 'cookie' else ', '}{text}"
        headers[key] = text

    def on_headers_complete(self) -> None:
        if self._is_synthetic:
            return
        http, headers = self._http, self._headers
        version = http.get_http_version()
        request = Request(http.get_method().decode(), self._target(), headers)
        if not http.should_keep_alive():
            request.keep_alive = False
        self._head_bytes = 0  # trailers are counted anew
        self.stage = _BODY
        self._request = request
        if version != "1.1":
            request.http_10 = True
            self._check_old(version)
        elif "host" not in headers:
            self._stop(400, "bad request: missing required Host header")
        if request.method == "CONNECT":
            self._stop(501, "CONNECT is not supported")
        if "upgrade" in headers and http.should_upgrade():
            request.upgrade = headers["upgrade"].lower()
        if "content-length" in headers or "transfer-encoding" in headers:
            self._expect_body(request)

    def on_body(self, data: bytes) -> None:
        self._quiet_bytes = 0
        self.wants_continue = False
        request = self._request
        if request is None:
            return
        if request.inbox is not None:
            request.inbox.push(data)
            return
        self._body_bytes += len(data)
        if self._limit_bytes is not None and self._body_bytes > self._limit_bytes:
            self._stop(413, f"the request body is larger than {self._limit_bytes} bytes")
        self._parts.append(data)

    def on_message_complete(self) -> None:
        request = self._request
        if request is not None and not request.upgrade:
            self._end_message(request)

    def _end_message(self, request: Request) -> None:
        if request.inbox is not None:
            request.inbox.finish()
        else:
            if self._parts:
                request.body = b"".join(self._parts)
            self.ready.append(request)
        self.is_over = not request.keep_alive and not request.upgrade
        self._start_over()

    # rules of a head

    def _target(self) -> str:
        """The path and query.  `http://host/path` becomes `/path`, as RFC 9112 section 3.2.2 asks."""
        try:
            url = self._url.decode("ascii")
        except UnicodeDecodeError:
            self._stop(400, "bad request: invalid target")
        if url.startswith("/") or url == "*":
            return url
        scheme, found, rest = url.partition("://")
        if not found or scheme.lower() not in ("http", "https"):
            self._stop(400, "bad request: invalid target")
        _, slash, path = rest.partition("/")
        return slash + path if slash and "?" not in rest.partition("/")[0] else "/"

    def _check_old(self, version: str) -> None:
        if version != "1.0":
            self._stop(505, "HTTP version not supported")
        if "transfer-encoding" in self._headers:
            self._stop(400, "bad request: transfer-encoding in HTTP/1.0")

    def _expect_body(self, request: Request) -> None:
        terms = self._terms(request.method, request.raw_path)
        limit_bytes = self._limit_bytes = terms.body_limit_bytes
        length_bytes = int(request.headers.get("content-length") or 0)
        expect = request.headers.get("expect", "").lower()
        if expect not in ("", "100-continue"):
            self._stop(417, "expectation failed")
        if limit_bytes is not None and length_bytes > limit_bytes:
            self._stop(413, f"the request body is larger than {limit_bytes} bytes")
        if self._headers.get("transfer-encoding", "chunked").lower() != "chunked":
            self._stop(501, "this transfer coding is not supported")
        self.wants_continue = bool(expect) and not request.http_10
        if terms.streaming and not request.upgrade:
            request.inbox = self._make_inbox()
            self.ready.append(request)

    def _stop(self, status: int, text: str) -> None:
        if self.failed is None:
            self.failed = Refusal(status, text)
        raise _Refused(text)
