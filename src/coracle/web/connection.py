"""One client: requests are answered in order, by one task that lives as long as the connection.

Input comes by callback (`take`, `ended`, `lost`), is parsed at once and wakes the task; answers are written straight to
the pipe.  What happens when the client closes its sending side depends on what is going on:

    between requests     the connection ends
    a Response is made   it is finished and sent, for `after_eof_s` at most (`nc -N` does this)
    a Stream             it is cancelled: with HTTP a client that sends no more has nothing to wait for
    an Upgrade           the handler reads b"" and may go on writing

and when it is gone altogether, the task is cancelled, whatever it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from coracle.core.errors import Broken, CloudError, TooLarge
from coracle.web import render
from coracle.web.barrier import write_apart
from coracle.web.deadline import Deadline
from coracle.web.hangup import watch_hangup
from coracle.web.inbox import Inbox
from coracle.web.limits import Limits, TermsOf
from coracle.web.messages import Handler, Identity, Peer, Request, Response, Stream, Upgrade
from coracle.web.parser import RequestParser, Stage
from coracle.web.pipe import Pipe
from coracle.web.raw import Raw

log = logging.getLogger(__name__)


class Phase(Enum):
    WAITING = auto()  # for the next request
    ANSWERING = auto()  # the handler makes its answer
    STREAMING = auto()
    RAW = auto()  # upgraded
    LINGERING = auto()  # answered for the last time; input is dropped
    OVER = auto()


# Looking a member up in its enumeration is a function call in Python 3.11, several per request here.
_WAITING, _ANSWERING, _STREAMING, _RAW, _LINGERING, _OVER = Phase
_BETWEEN, _HEAD, _BODY = Stage


@dataclass(frozen=True, slots=True)
class Site:
    """What all connections of one server share."""

    handler: Handler
    terms: TermsOf
    say: Callable[[CloudError], Response]
    limits: Limits
    stamp: render.Stamp


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end, and the socket's descriptor."""

    peer: Peer
    identity: Identity | None
    fd: int


class Connection:  # long: the states of one thing; parsing, rendering and raw streams are elsewhere
    __slots__ = (
        "_caller", "_choked_waiters", "_deadline", "_eof", "_is_choked", "_is_ending", "_is_lost", "_is_new",
        "_is_paused", "_loop", "_parser", "_phase", "_pipe", "_raw", "_site", "_stop_watch", "_task", "_unsent",
        "_waiter",
    )  # fmt: skip

    def __init__(self, site: Site, caller: Caller) -> None:
        self._site, self._caller = site, caller
        self._loop = asyncio.get_running_loop()
        self._parser = RequestParser(site.limits, site.terms, self._make_inbox)
        self._phase = _WAITING
        self._raw: Inbox | None = None
        self._unsent: bytes | Sequence[bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._choked_waiters: list[asyncio.Future[None]] = []
        self._deadline = Deadline(self._expire)
        self._stop_watch: Callable[[], None] | None = None
        self._is_choked = self._is_paused = self._is_lost = self._is_ending = self._eof = False
        self._is_new = True

    # pipe.Sink: what arrives

    def opened(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def take(self, data: memoryview) -> None:
        if self._raw is not None:
            self._raw.push(bytes(data))
            if self._raw.is_full:
                self._pause()
            return
        if self._phase is _LINGERING or self._phase is _OVER:
            return
        parser = self._parser
        before = parser.stage
        parser.feed(data)
        if self._phase is _WAITING:
            if parser.ready or parser.failed is not None:
                self._wake()
            elif parser.stage is not before:
                self._expect_rest()
            if parser.wants_continue:
                self._continue_waiting_body()
        elif parser.stage is _BODY and self._deadline.is_set and not self._eof:
            self._deadline.set(self._site.limits.upload_stall_s)
        if (parser.held is not None or parser.stage is _BODY) and parser.is_full:
            self._pause()

    def ended(self) -> None:
        if self._eof:
            return
        self._eof = True
        if self._raw is not None:
            self._raw.finish()
        elif self._phase is _STREAMING:
            self._pipe.abort()
            return
        else:
            self._parser.end()
        if self._phase is _ANSWERING:
            self._deadline.set(self._site.limits.after_eof_s)
        if self._phase in (_ANSWERING, _RAW):
            self._stop_watch = watch_hangup(self._caller.fd, self._pipe.abort)
        self._wake()

    def lost(self) -> None:
        self._is_lost = True
        self._unwatch()
        self._deadline.close()
        gone = ConnectionResetError("the client is gone")
        if self._raw is not None:
            self._raw.fail(gone)
        self.freed()
        if self._phase is _OVER:
            self._let_go()
        elif self._task is not None:
            self._task.cancel()

    def choked(self) -> None:
        self._is_choked = True

    def freed(self) -> None:
        self._is_choked = False
        for waiter in self._choked_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._choked_waiters.clear()

    # what the server calls

    def start(self, group: asyncio.TaskGroup) -> None:
        self._task = group.create_task(self._serve(), name="connection")

    def finish(self) -> None:
        """End: now, or after the Response that is being made."""
        self._is_ending = True
        if self._phase is _WAITING:
            self._wake()
        elif self._phase is not _ANSWERING and self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        self._pipe.abort()

    # the task

    async def _serve(self) -> None:
        try:
            while await self._wait_request():
                if not await self._answer(self._parser.ready.popleft()):
                    break
            else:
                await self._refuse()
            if self._has_leftovers():
                await self._linger()
        except ConnectionError:
            pass  # the client is gone: nobody is left to be told
        except TimeoutError:
            self._pipe.abort()
        except Exception:
            log.exception("an answer was cut off")
        finally:
            self._close()

    async def _wait_request(self) -> bool:
        """Whether there is a request to answer."""
        parser = self._parser
        if parser.held is not None and not parser.ready:
            parser.resume()
        if self._eof:
            parser.end()
        if self._is_paused:
            self._relieve()
        if parser.ready:
            return not self._is_ending
        self._phase = _WAITING
        self._expect_rest()
        if parser.wants_continue:
            self._continue_waiting_body()
        while not parser.ready:
            if parser.failed is not None or parser.is_over or self._is_ending:
                return False
            self._waiter = self._loop.create_future()
            await self._waiter
        return not self._is_ending

    async def _answer(self, request: Request) -> bool:
        """Whether another request may follow."""
        self._phase = _ANSWERING
        self._deadline.lift()
        self._is_new = False
        request.identity, request.peer = self._caller.identity, self._caller.peer
        if request.inbox is not None:
            self._prepare_upload(request)
        if self._eof:
            self._deadline.set(self._site.limits.after_eof_s)
        try:
            answer = await self._site.handler(request)
        except ConnectionError:
            raise
        except Exception:  # edge() leaves nothing; this is for a handler without one
            log.exception("%s %s failed", request.method, request.path)
            answer = self._site.say(Broken("internal error"))
        if isinstance(answer, Response):
            keep = self._respond(request, answer)
            if self._unsent is not None or self._is_choked:
                await self._send_rest()
            return keep
        if isinstance(answer, Stream):
            return await self._stream(request, answer)
        await self._hand_over(request, answer)
        return False

    # answers

    def _respond(self, request: Request, answer: Response) -> bool:
        """Write the head, and the body unless it is large (`_send_rest` does).  Whether another request may follow."""
        keep = self._may_keep(request)
        body = answer.body
        size_bytes = len(body) if isinstance(body, bytes) else sum(map(len, body))
        head = render.response_head(request, answer, size_bytes, self._site.stamp.line(), keep=keep)
        if request.method == "HEAD" or answer.status in render.BODILESS:
            self._pipe.write(head)
        elif size_bytes > render.GROUP_BYTES:
            self._pipe.write(head)
            self._unsent = body
        elif isinstance(body, bytes):
            self._pipe.write(head + body)
        else:
            self._pipe.write(b"".join((head, *body)))
        return keep

    async def _send_rest(self) -> None:
        """The large body that `_respond` has left, as fast as the client takes it."""
        unsent, self._unsent = self._unsent, None
        for group in render.groups(unsent or ()):
            self._pipe.write(group)
            if self._is_choked:
                await self._wait_freed(self._site.limits.answer_stall_s)
        await self._wait_freed(self._site.limits.answer_stall_s)

    async def _stream(self, request: Request, answer: Stream) -> bool:
        self._phase = _STREAMING
        self._unwatch()
        chunks = answer.chunks
        try:
            if self._eof:
                return False
            keep = self._may_keep(request) and not (request.http_10 and answer.length_bytes is None)
            self._pipe.write(render.stream_head(request, answer, self._site.stamp.line(), keep=keep))
            if request.method != "HEAD" and answer.status not in render.BODILESS:
                await self._pump(answer, is_chunked=not request.http_10 and answer.length_bytes is None)
            return keep
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    async def _pump(self, answer: Stream, *, is_chunked: bool) -> None:
        write, sent_bytes = self._pipe.write, 0
        async for data in answer.chunks:
            sent_bytes += len(data)
            if answer.length_bytes is not None and sent_bytes > answer.length_bytes:
                raise ValueError("a stream is longer than it said")
            if data:
                write(render.chunk(data) if is_chunked else data)
            if self._is_choked:
                await self._wait_freed(answer.stall_s)
        if answer.length_bytes is not None and sent_bytes < answer.length_bytes:
            raise ValueError("a stream is shorter than it said")
        if is_chunked:
            write(render.LAST_CHUNK)

    async def _hand_over(self, request: Request, answer: Upgrade) -> None:
        early = self._parser.detach()
        if early is None or (answer.status == 101 and not request.upgrade):
            self._pipe.write(render.plain(400, "this needs an upgrade of the connection"))
            return
        self._phase = _RAW
        self._deadline.lift()
        self._raw = self._make_inbox()
        if early:
            self._raw.push(early)
        if self._eof:
            self._raw.finish()
        write_apart(self._pipe, render.upgrade_head(answer))
        self._relieve()
        await answer.run(Raw(self._pipe, self._raw, self._wait_freed))

    async def _refuse(self) -> None:
        """Say why no more requests are read, where there is a reason."""
        refusal = self._parser.failed
        if refusal is None:
            return
        if refusal.status == 413:
            answer = self._site.say(TooLarge(refusal.text))
            request = Request("POST", "/")
            request.keep_alive = False
            self._respond(request, answer)
        else:
            self._pipe.write(render.plain(refusal.status, refusal.text))

    async def _linger(self) -> None:
        """Drop what still comes, so that the kernel does not answer it with a reset that overtakes our last words."""
        self._phase, self._raw = _LINGERING, None
        self._deadline.lift()
        with contextlib.suppress(OSError):  # the peer is gone, and `lost` is about to say so
            self._pipe.write_eof()
        self._relieve()
        if not self._eof:
            self._waiter = self._loop.create_future()
            try:
                async with asyncio.timeout(self._site.limits.linger_s):
                    await self._waiter
            except TimeoutError:
                pass  # that was long enough
            finally:
                self._waiter = None

    def _close(self) -> None:
        self._phase = _OVER
        self._task = None
        self._unwatch()
        if self._is_lost:
            self._let_go()
        else:
            self._pipe.close()
            self._deadline.set(self._site.limits.answer_stall_s)  # a peer that takes nothing is not waited for

    def _let_go(self) -> None:
        """Untie what refers back here: nothing of an ended connection waits for a garbage collection.

        A daemon that keeps many objects collects seldom (`gc.freeze`).
        """
        self._deadline.close()
        self._parser.close()
        self._raw = None

    # conditions

    def _has_leftovers(self) -> bool:
        parser = self._parser
        more = parser.failed is not None or parser.held or parser.ready or parser.stage is not _BETWEEN
        return bool(more) or self._raw is not None

    def _may_keep(self, request: Request) -> bool:
        is_read = request.inbox is None or (request.inbox.ended and self._parser.failed is None)
        return request.keep_alive and is_read and not self._is_ending

    async def _wait_freed(self, stall_s: float | None) -> None:
        """Until the peer has taken enough of what was written.  Raises TimeoutError; ConnectionResetError."""
        while self._is_choked and not self._is_lost:
            waiter = self._loop.create_future()
            self._choked_waiters.append(waiter)
            async with asyncio.timeout(stall_s):
                await waiter
        if self._is_lost:
            raise ConnectionResetError("the client is gone")

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _make_inbox(self) -> Inbox:
        return Inbox(self._relieve)

    def _pause(self) -> None:
        if not self._is_paused and not self._eof and not self._is_lost:
            self._is_paused = True
            self._pipe.pause_reading()

    def _relieve(self) -> None:
        """Read again, if there is room."""
        is_full = self._raw.is_full if self._raw is not None else self._parser.is_full
        if self._is_paused and not is_full and not self._is_lost:
            self._is_paused = False
            self._pipe.resume_reading()

    def _unwatch(self) -> None:
        if self._stop_watch is not None:
            self._stop_watch()
            self._stop_watch = None

    # uploads

    def _prepare_upload(self, request: Request) -> None:
        self._deadline.set(self._site.limits.upload_stall_s)
        if self._parser.wants_continue:
            request.expects_continue = self._continue_upload

    def _continue_upload(self) -> None:
        if self._parser.wants_continue and not self._is_lost:
            self._parser.wants_continue = False
            self._pipe.write(render.CONTINUE)

    def _continue_waiting_body(self) -> None:
        """Ask for a body that is read whole, once every earlier request is answered."""
        if self._parser.wants_continue and not self._parser.ready:
            self._continue_upload()

    # deadlines

    def _expect_rest(self) -> None:
        limits = self._site.limits
        first_s = limits.head_s if self._is_new else limits.idle_s
        self._deadline.set((first_s, limits.head_s, limits.body_s)[self._parser.stage])

    def _expire(self) -> None:
        """A deadline has passed: what that means depends on what was waited for."""
        if self._phase is _WAITING:
            self._give_up_waiting()
        elif self._phase is _OVER or (self._phase is _ANSWERING and self._eof):
            self._pipe.abort()
        elif self._phase is _ANSWERING and self._parser.stage is _BODY:
            if self._is_paused:  # it is the handler that does not read
                self._deadline.set(self._site.limits.upload_stall_s)
            else:
                self._parser.refuse(408, "the request body stopped arriving")

    def _give_up_waiting(self) -> None:
        if self._parser.stage is _BETWEEN:
            self._parser.is_over = True
        else:
            self._parser.refuse(408, "the request did not arrive in time")
        self._wake()
