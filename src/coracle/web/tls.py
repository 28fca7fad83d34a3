"""TLS between asyncio's transport and a Sink, over OpenSSL's memory BIOs.

Why not asyncio's own: it closes both directions when the client closes one, so that `docker exec -i` over TLS loses
its output, and keeps 256 KiB per connection.  Here close_notify ends one direction only, buffers are shared, and
OpenSSL frees its own while a connection idles.

TCP that ends without close_notify is a client that is gone, not one that has finished: `Sink.lost`, never `ended`.

Source: RFC 8446 section 6.1; SSL_shutdown(3).
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from coracle.web.gate import Gate
from coracle.web.messages import Identity
from coracle.web.pipe import Sink

RECORD_BYTES = 16 * 1024
SLICE_BYTES = 128 * 1024  # encrypted at once: what lies in memory twice
WRONG_DOOR = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"  # as Go says it

MakeTlsSink = Callable[[asyncio.Transport, Identity | None], Sink | None]


def server_context(cert_path: Path, key_path: Path, client_ca_path: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 and up, HTTP/1.1 by ALPN.

    With `client_ca_path` a client may show a certificate, which must then be of that CA.
    Raises: OSError, ssl.SSLError (unreadable or mismatched files).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0  # a resumed session would carry on a certificate that has run out
    context.load_cert_chain(cert_path, key_path)
    context.set_alpn_protocols(["http/1.1"])
    if client_ca_path is not None:
        context.load_verify_locations(client_ca_path)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


@functools.cache
def unverified_context() -> ssl.SSLContext:
    """For clients of servers that are known by their address: certificates are not verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def identity_of(certificate: Mapping[str, Any] | None) -> Identity | None:
    """The subject of a checked certificate, as `SSLObject.getpeercert` gives it: CN is the name, each O a group."""
    fields = [pair for rdn in (certificate or {}).get("subject", ()) for pair in rdn]
    name = next((value for key, value in fields if key == "commonName"), None)
    groups = tuple(value for key, value in fields if key == "organizationName")
    return Identity(name, groups) if name else None


class TlsProtocol(asyncio.BufferedProtocol):
    """asyncio's protocol below, `pipe.Pipe` above.

    `make` is called after the handshake.  `buffers` are for ciphertext and clear text; connections of one loop may
    share them.
    """

    __slots__ = (
        "_cipher", "_clear", "_gate", "_handshake_s", "_has_ended", "_incoming", "_is_closing", "_is_up", "_make",
        "_outgoing", "_sent_eof", "_sink", "_timer", "_tls", "_transport",
    )  # fmt: skip

    def __init__(
        self,
        context: ssl.SSLContext,
        gate: Gate,
        make: MakeTlsSink,
        buffers: tuple[memoryview, memoryview],
        handshake_s: float,
    ) -> None:
        self._gate, self._make, self._handshake_s = gate, make, handshake_s
        self._cipher, self._clear = buffers
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._sink: Sink | None = None
        self._is_up = self._sent_eof = self._has_ended = self._is_closing = False
        self._timer: asyncio.TimerHandle | None = None

    # asyncio below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  asyncio's signature is wider than what it gives
        self._transport = transport
        if not self._gate.enter(transport):
            transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(self._handshake_s, transport.abort)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._cipher

    def buffer_updated(self, nbytes: int) -> None:
        self._incoming.write(self._cipher[:nbytes])
        if self._is_up or self._shake_hands():
            self._decrypt()

    def eof_received(self) -> bool:
        # After close_notify this is how TCP ends; without, asyncio closes and calls connection_lost.
        return self._has_ended

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate.leave(self._transport)
        if self._timer is not None:
            self._timer.cancel()
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.lost()

    def pause_writing(self) -> None:
        if self._sink is not None:
            self._sink.choked()

    def resume_writing(self) -> None:
        if self._sink is not None:
            self._sink.freed()

    # pipe.Pipe above

    def write(self, data: bytes | memoryview) -> None:
        if self._is_closing or self._sent_eof:
            return
        view = memoryview(data)
        for at in range(0, len(view), SLICE_BYTES):
            if self._transport.is_closing():
                return  # the peer went away between two slices, at the latest
            self._tls.write(view[at : at + SLICE_BYTES])
            self._transport.write(self._outgoing.read())

    def write_eof(self) -> None:
        """Send close_notify.

        OpenSSL would fail on input that it still holds; there is none, since `_decrypt` always takes all.
        """
        if self._sent_eof or self._is_closing or self._transport.is_closing():
            return
        self._sent_eof = True
        self._notify_close()

    def close(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        if self._is_up and not self._sent_eof and not self._transport.is_closing():
            self._notify_close()
        self._transport.close()

    def abort(self) -> None:
        self._is_closing = True
        self._transport.abort()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    # between

    def _shake_hands(self) -> bool:
        """Whether the connection is up."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except (ssl.SSLError, ValueError) as error:
            self._flush()  # the alert that says why
            if getattr(error, "reason", "") == "HTTP_REQUEST":
                self._transport.write(WRONG_DOOR)
            self._transport.close()
            return False
        self._flush()
        if self._timer is not None:
            self._timer.cancel()
        self._is_up = True
        self._sink = self._make(self._transport, identity_of(self._tls.getpeercert()))
        if self._sink is None:
            self.close()
            return False
        self._sink.opened(self)
        return True

    def _decrypt(self) -> None:
        """Give the sink all that has arrived, paused or not: it is one read, and nothing is left behind in OpenSSL."""
        sink = self._sink
        if sink is None or self._has_ended:
            return
        while not self._is_closing:
            try:
                count = cast(int, self._tls.read(len(self._clear), self._clear))  # given a buffer, it returns a count
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                count = 0
            except ssl.SSLError:
                self._flush()
                self.abort()
                return
            if not count:
                self._has_ended = True
                sink.ended()
                return
            sink.take(self._clear[:count])
        self._flush()  # answers of TLS itself (key updates)

    def _notify_close(self) -> None:
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # it wants the peer's close_notify, which we do not wait for here
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._transport.is_closing():
            self._transport.write(self._outgoing.read())
