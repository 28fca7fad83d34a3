"""One connection on virtual time: what is written, when it ends, and what happens to the handler."""

import asyncio
import contextlib
import logging
import socket

import pytest

from coracle.core.clock import LoopClock
from coracle.core.errors import TooLarge
from coracle.testing.autojump import run
from coracle.web.connection import Caller, Connection, Site
from coracle.web.limits import Limits, Terms
from coracle.web.messages import Identity, Peer, Response, Stream, Upgrade
from coracle.web.render import Stamp

LIMITS = Limits()
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OFFER = b"POST /raw HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
DATE = b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"


class FakePipe:
    """Remembers what is written; `sink` is told of the end as asyncio would, one turn later."""

    def __init__(self):
        self.written = b""
        self.has_eof = self.is_closed = self.is_aborted = self.is_paused = False
        self.sink = None

    def write(self, data):
        assert not self.has_eof
        self.written += bytes(data)

    def write_eof(self):
        self.has_eof = True

    def close(self):
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self.sink.lost)

    def abort(self):
        self.is_aborted = True
        self.close()

    def pause_reading(self):
        self.is_paused = True

    def resume_reading(self):
        self.is_paused = False


class Client:
    """A connection with a fake peer."""

    def __init__(self, connection, pipe):
        self.connection, self.pipe = connection, pipe

    async def send(self, data):
        self.connection.take(memoryview(data))
        await settle()

    async def send_eof(self):
        self.connection.ended()
        await settle()

    async def vanish(self):
        self.pipe.is_closed = True
        self.connection.lost()
        await settle()

    @property
    def answers(self):
        """(status, body) of what was written, by Content-Length."""
        found, rest = [], self.pipe.written
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            length = int(fields.get(b"content-length", 0))
            found.append((int(head.split()[1]), rest[:length]))
            rest = rest[length:]
        return found


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serving(handler, *, limits=LIMITS, terms=lambda method, path: Terms(), identity=None):
    def say(error):
        return Response(413 if isinstance(error, TooLarge) else 500, str(error).encode())

    ours, theirs = socket.socketpair()
    with ours, theirs:
        caller = Caller(Peer("192.0.2.1", 7), identity, ours.fileno())
        connection, pipe = Connection(Site(handler, terms, say, limits, Stamp(LoopClock())), caller), FakePipe()
        pipe.sink = connection
        connection.opened(pipe)
        async with asyncio.TaskGroup() as group:
            connection.start(group)
            await settle()
            yield Client(connection, pipe)
            connection.finish()
            connection.abort()


async def ok(request):
    return Response(200, b"ok")


def test_an_answer_is_written_whole():
    async def main():
        async with serving(ok) as client:
            await client.send(GET)
            return client.pipe.written

    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + DATE + b"Content-Length: 2\r\n\r\nok"
    assert run(main()) == head


def test_requests_in_one_segment_are_answered_in_order_whoever_is_faster():
    async def slow_first(request):
        await asyncio.sleep(5 if request.path == "/slow" else 0)
        return Response(200, request.path.encode())

    async def main():
        async with serving(slow_first) as client:
            await client.send(GET.replace(b"/ ", b"/slow ") + GET.replace(b"/ ", b"/a ") + GET.replace(b"/ ", b"/b "))
            await asyncio.sleep(6)
            return client.answers

    assert [body for _, body in run(main())] == [b"/slow", b"/a", b"/b"]


def test_the_caller_is_known_to_the_handler():
    seen = []

    async def handler(request):
        seen.append((request.identity, request.peer))
        return Response(200)

    async def main():
        async with serving(handler, identity=Identity("alice", ("dev",))) as client:
            await client.send(GET)

    run(main())
    assert seen == [(Identity("alice", ("dev",)), Peer("192.0.2.1", 7))]


@pytest.mark.parametrize(
    ("request_head", "expected"),
    [
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"Connection: close\r\n\r\nok", id="1.1, close"
        ),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", b"Connection: close\r\n\r\nok", id="1.0"),
        pytest.param(
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"Connection: keep-alive\r\n\r\nok", id="1.0, keep"
        ),
        pytest.param(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", b"Content-Length: 2\r\n\r\n", id="HEAD has no body"),
    ],
)
def test_persistence(request_head, expected):
    async def main():
        async with serving(ok) as client:
            await client.send(request_head)
            assert client.pipe.written.endswith(expected)
            assert client.pipe.is_closed == (b"close" in expected)

    run(main())


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body(status):
    async def handler(request):
        return Response(status, b"never")

    async def main():
        async with serving(handler) as client:
            await client.send(GET)
            return client.pipe.written

    assert (
        run(main())
        == b"HTTP/1.1 %d %b\r\n" % (status, {204: b"No Content", 304: b"Not Modified"}[status]) + DATE + b"\r\n"
    )


def test_a_head_answer_may_know_the_length_of_what_it_does_not_send():
    async def handler(request):
        return Response(200, b"", {"Content-Length": "1234"})

    async def main():
        async with serving(handler) as client:
            await client.send(GET.replace(b"GET", b"HEAD"))
            return client.pipe.written

    assert run(main()).count(b"Content-Length") == 1


def test_a_handler_that_fails_is_an_internal_error_and_the_connection_lives(caplog):
    async def handler(request):
        raise ValueError("secret")

    async def main():
        async with serving(handler) as client:
            await client.send(GET + GET)
            return client.answers, client.pipe.is_closed

    with caplog.at_level(logging.CRITICAL):
        assert run(main()) == ([(500, b"internal error")] * 2, False)


def test_an_answer_that_would_split_is_not_sent(caplog):
    async def handler(request):
        return Response(200, b"", {"X": "a\r\nSet-Cookie: b"})

    async def main():
        async with serving(handler) as client:
            await client.send(GET)
            return client.pipe.written, client.pipe.is_closed

    with caplog.at_level(logging.CRITICAL):
        assert run(main()) == (b"", True)


# deadlines


@pytest.mark.parametrize(
    ("sent", "after_s", "status"),
    [
        pytest.param(b"", LIMITS.head_s, None, id="says nothing"),
        pytest.param(b"GET / HT", LIMITS.head_s, 408, id="stops within the head"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab", LIMITS.body_s, 408, id="stops within the body"
        ),
        pytest.param(GET, LIMITS.idle_s, 200, id="asks nothing more"),
    ],
)
def test_a_silent_client_is_closed(sent, after_s, status):
    async def main():
        async with serving(ok) as client:
            await client.send(sent)
            await asyncio.sleep(after_s - 0.1)
            assert not client.pipe.is_closed
            await asyncio.sleep(0.2 + LIMITS.linger_s)
            assert client.pipe.is_closed
            return client.answers[-1][0] if client.answers else None

    assert run(main()) == status


@pytest.mark.parametrize(
    ("head", "after_s"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nA: ", LIMITS.head_s, id="head"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n", LIMITS.body_s, id="body"),
    ],
)
def test_sending_slowly_buys_no_time(head, after_s):
    async def main():
        async with serving(ok) as client:
            await client.send(head)
            for _ in range(int(after_s) + 5):
                await client.send(b"a")
                await asyncio.sleep(1)
            return client.answers[0][0]

    assert run(main()) == 408


def test_a_keep_alive_client_may_wait_longer_than_a_new_one():
    async def main():
        async with serving(ok) as client:
            for _ in range(5):
                await client.send(GET)
                await asyncio.sleep(LIMITS.idle_s - 1)
            return len(client.answers), client.pipe.is_closed

    assert run(main()) == (5, False)


def test_a_handler_may_take_its_time():
    async def slow(request):
        await asyncio.sleep(10 * LIMITS.idle_s)
        return Response(200)

    async def main():
        async with serving(slow) as client:
            await client.send(GET)
            await asyncio.sleep(10 * LIMITS.idle_s + 1)
            return client.answers

    assert run(main()) == [(200, b"")]


def test_a_client_that_takes_nothing_of_an_answer_is_cut_off():
    async def main():
        async with serving(ok) as client:
            client.connection.choked()
            await client.send(GET)
            await asyncio.sleep(LIMITS.answer_stall_s - 1)
            assert not client.pipe.is_aborted
            await asyncio.sleep(2)
            return client.pipe.is_aborted

    assert run(main())


def test_a_large_answer_is_written_as_the_client_takes_it():
    parts = [bytes([n]) * 100_000 for n in range(20)]

    async def large(request):
        return Response(200, parts)

    async def main():
        async with serving(large) as client:
            client.connection.choked()
            await client.send(GET)
            first = len(client.pipe.written)
            assert first < 300_000
            client.connection.freed()
            await settle()
            assert client.pipe.written.endswith(b"".join(parts))

    run(main())


# bodies


def test_a_body_too_large_is_refused_and_what_still_comes_is_dropped():
    async def main():
        async with serving(ok, terms=lambda method, path: Terms(body_limit_bytes=5)) as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n")
            assert client.answers == [(413, b"the request body is larger than 5 bytes")]
            assert (client.pipe.has_eof, client.pipe.is_closed) == (True, False)
            await client.send(b"x" * 900_000)
            await asyncio.sleep(LIMITS.linger_s + 1)
            return client.pipe.is_closed

    assert run(main())


EXPECT = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"


def test_a_client_that_waits_to_send_is_told_to_go_on():
    async def main():
        async with serving(ok) as client:
            await client.send(EXPECT)
            assert client.pipe.written == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"hi")
            return client.answers[-1]

    assert run(main()) == (200, b"ok")


def test_go_on_is_not_said_in_the_middle_of_another_answer():
    async def slow(request):
        await asyncio.sleep(5)
        return Response(200, b"ok")

    async def main():
        async with serving(slow) as client:
            await client.send(GET + EXPECT)
            assert client.pipe.written == b""
            await asyncio.sleep(6)
            await client.send(b"hi")
            await asyncio.sleep(6)
            return [status for status, _ in client.answers]

    assert run(main()) == [200, 100, 200]


def streaming(method, path):
    return Terms(streaming=True, body_limit_bytes=None)


def test_an_upload_is_read_as_it_comes_and_held_up_when_it_is_not_read():
    async def counting(request):
        await asyncio.sleep(10)
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        return Response(200, str(size).encode())

    async def main():
        async with serving(counting, terms=streaming) as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 600000\r\n\r\n")
            for _ in range(5):
                await client.send(b"x" * 60_000)
            assert client.pipe.is_paused
            await asyncio.sleep(11)
            assert not client.pipe.is_paused
            await client.send(b"x" * 300_000)
            await client.send(GET)
            await asyncio.sleep(11)
            return client.answers

    assert run(main()) == [(200, b"600000"), (200, b"0")]


def test_an_upload_that_stops_arriving_is_malformed():
    async def reading(request):
        try:
            async for _ in request.stream():
                pass
        except Exception as error:
            return Response(400, str(error).encode())

    async def main():
        async with serving(reading, terms=streaming) as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab")
            await asyncio.sleep(LIMITS.upload_stall_s + 1)
            return client.answers

    assert run(main()) == [(400, b"the request body stopped arriving")]


def test_an_upload_asks_for_itself_when_it_is_read():
    async def reading(request):
        await asyncio.sleep(1)
        return Response(200, b"".join([chunk async for chunk in request.stream()]))

    async def main():
        async with serving(reading, terms=streaming) as client:
            await client.send(EXPECT)
            assert client.pipe.written == b""
            await asyncio.sleep(2)
            assert client.pipe.written == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"hi")
            return client.answers[-1]

    assert run(main()) == (200, b"hi")


def test_an_upload_that_is_not_read_ends_the_connection():
    async def main():
        async with serving(ok, terms=streaming) as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab" + b"")
            assert b"Connection: close" in client.pipe.written
            assert client.pipe.has_eof
            await client.send(b"cdefghi" + GET)
            await asyncio.sleep(LIMITS.linger_s + 1)
            return len(client.answers), client.pipe.is_closed

    assert run(main()) == (1, True)


# streams


class Feed:
    """A handler whose chunks say how they were ended."""

    def __init__(self, *chunks, error=None, **options):
        self.chunks, self.error, self.options, self.ended = chunks, error, options, False

    async def __call__(self, request):
        return Stream(200, self._run(), content_type="text/plain", **self.options)

    async def _run(self):
        try:
            for chunk in self.chunks:
                yield chunk
            if self.error:
                raise self.error
            if self.error is None:
                await asyncio.sleep(1_000_000)
        finally:
            self.ended = True


def test_a_stream_is_chunked_and_the_connection_goes_on():
    async def main():
        async with serving(Feed(b"ab", b"", b"c", error=False)) as client:
            await client.send(GET)
            assert client.pipe.written.endswith(b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
            await client.send(GET)
            return client.pipe.written.count(b"0\r\n\r\n")

    assert run(main()) == 2


@pytest.mark.parametrize("how", ["vanish", "send_eof"])
def test_a_client_that_leaves_ends_a_stream_that_waits(how):
    async def main():
        feed = Feed(b"a")
        async with serving(feed) as client:
            await client.send(GET)
            assert not feed.ended
            await getattr(client, how)()
            return feed.ended

    assert run(main())


def test_a_client_that_leaves_ends_a_stream_that_it_did_not_take():
    async def main():
        feed = Feed(b"a", b"b")
        async with serving(feed) as client:
            client.connection.choked()
            await client.send(GET)
            await client.vanish()
            return feed.ended

    assert run(main())


def test_a_stream_that_fails_is_cut_without_its_end(caplog):
    async def main():
        async with serving(Feed(b"a", error=ValueError("x"))) as client:
            await client.send(GET)
            return client.pipe.written, client.pipe.is_closed

    with caplog.at_level(logging.CRITICAL):
        written, is_closed = run(main())
    assert written.endswith(b"1\r\na\r\n")
    assert is_closed


def test_a_stream_to_an_old_client_ends_with_the_connection():
    async def main():
        async with serving(Feed(b"a", error=False)) as client:
            await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            return client.pipe.written, client.pipe.is_closed

    written, is_closed = run(main())
    assert written.endswith(b"Connection: close\r\n\r\na")
    assert is_closed


@pytest.mark.parametrize(("chunks", "is_whole"), [([b"abc"], True), ([b"ab"], False), ([b"abcd"], False)])
def test_a_stream_of_known_length_keeps_its_word_or_is_cut(chunks, is_whole, caplog):
    async def main():
        async with serving(Feed(*chunks, error=False, length_bytes=3)) as client:
            await client.send(GET)
            assert b"Content-Length: 3\r\n" in client.pipe.written
            return client.pipe.is_closed

    with caplog.at_level(logging.CRITICAL):
        assert run(main()) is not is_whole


def test_a_stream_is_not_run_for_head():
    async def main():
        feed = Feed(b"a")
        async with serving(feed) as client:
            await client.send(GET.replace(b"GET", b"HEAD"))
            return client.pipe.written[-4:], feed.ended

    assert run(main()) == (b"\r\n\r\n", False)


@pytest.mark.parametrize(("stall_s", "is_cut"), [(None, False), (30.0, True)])
def test_a_stream_waits_for_a_paused_client_as_long_as_it_says(stall_s, is_cut):
    async def main():
        feed = Feed(b"a", stall_s=stall_s)
        async with serving(feed) as client:
            client.connection.choked()
            await client.send(GET)
            await asyncio.sleep(3600)
            return feed.ended, client.pipe.is_aborted

    assert run(main()) == (is_cut, is_cut)


# upgrades


def raw(run, **options):
    async def handler(request):
        if request.path != "/raw":
            return Response(200, b"ok")
        return Upgrade("tcp", run, {"Content-Type": "application/vnd.docker.raw-stream"}, **options)

    return handler


async def echo(stream):
    while data := await stream.read():
        await stream.write(data)
    await stream.write(b"<end>")


def test_an_upgraded_connection_is_the_handlers():
    async def main():
        async with serving(raw(echo)) as client:
            await client.send(OFFER + b"early")
            head, _, rest = client.pipe.written.partition(b"\r\n\r\n")
            assert head == (
                b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
                b"Connection: Upgrade\r\nUpgrade: tcp"
            )
            assert rest == b"early"
            await client.send(b"GET /")
            await client.send_eof()
            assert client.pipe.written.endswith(b"earlyGET /<end>")
            return client.pipe.is_closed

    assert run(main())


def test_a_connection_can_be_taken_without_an_offer():
    async def main():
        async with serving(raw(echo, status=200)) as client:
            await client.send(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            assert client.pipe.written.endswith(b"raw-stream\r\n\r\n")
            await client.send(b"hello")
            return client.pipe.written[-5:]

    assert run(main()) == b"hello"


def test_an_upgrade_that_was_not_offered_is_refused():
    async def main():
        async with serving(raw(echo)) as client:
            await client.send(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            return client.answers[0][0], client.pipe.is_closed

    assert run(main()) == (400, True)


def test_a_declined_offer_goes_on_as_http():
    async def main():
        async with serving(ok) as client:
            await client.send(OFFER + GET)
            return len(client.answers), client.pipe.is_closed

    assert run(main()) == (2, False)


def test_a_client_that_is_gone_cancels_the_handler():
    ended = []

    async def waiting(stream):
        try:
            await asyncio.sleep(1_000_000)
        finally:
            with pytest.raises(ConnectionResetError):
                await stream.read()
            with pytest.raises(ConnectionResetError):
                await stream.write(b"x")
            ended.append(True)

    async def main():
        async with serving(raw(waiting)) as client:
            await client.send(OFFER)
            await client.vanish()
            assert ended == [True]

    run(main())


def test_input_that_is_not_read_is_held_up():
    async def late(stream):
        await asyncio.sleep(10)
        await echo(stream)

    async def main():
        async with serving(raw(late)) as client:
            await client.send(OFFER)
            for _ in range(5):
                await client.send(b"x" * 60_000)
            assert client.pipe.is_paused
            await asyncio.sleep(11)
            assert not client.pipe.is_paused
            return client.pipe.written.count(b"x")

    assert run(main()) == 300_000


def test_both_directions_end_alone():
    async def say_bye(stream):
        await stream.write(b"bye")
        await stream.write_eof()
        with pytest.raises(BrokenPipeError):
            await stream.write(b"more")
        got.append(await stream.read())
        got.append(await stream.read())

    got = []

    async def main():
        async with serving(raw(say_bye)) as client:
            await client.send(OFFER)
            assert (client.pipe.has_eof, client.pipe.is_closed) == (True, False)
            await client.send(b"still here")
            await client.send_eof()
            assert got == [b"still here", b""]

    run(main())


# the end of input


def test_a_client_that_has_finished_sending_gets_its_answers():
    async def slow(request):
        await asyncio.sleep(5)
        return Response(200, b"ok")

    async def main():
        async with serving(slow) as client:
            await client.send(GET + GET)
            await client.send_eof()
            await asyncio.sleep(11)
            return client.answers, client.pipe.is_closed

    assert run(main()) == ([(200, b"ok")] * 2, True)


def test_a_client_that_has_finished_sending_is_not_waited_for_for_ever():
    cancelled = []

    async def waiting(request):
        try:
            await asyncio.sleep(1_000_000)
        finally:
            cancelled.append(True)

    async def main():
        async with serving(waiting) as client:
            await client.send(GET)
            await client.send_eof()
            await asyncio.sleep(LIMITS.after_eof_s - 1)
            assert not cancelled
            await asyncio.sleep(2)
            assert cancelled

    run(main())


def test_a_vanished_client_cancels_its_handler_and_what_waits_behind_it():
    begun, cancelled = [], []

    async def waiting(request):
        begun.append(request.path)
        try:
            await asyncio.sleep(1_000_000)
        finally:
            cancelled.append(request.path)

    async def main():
        async with serving(waiting) as client:
            await client.send(GET + GET)
            await client.vanish()

    run(main())
    assert (begun, cancelled) == (["/"], ["/"])


# the end of the server


def test_the_servers_end_lets_an_answer_be_finished_and_no_more():
    async def slow(request):
        await asyncio.sleep(3)
        return Response(200, b"ok")

    async def main():
        async with serving(slow) as client:
            await client.send(GET + GET)
            client.connection.finish()
            await asyncio.sleep(10)
            assert b"Connection: close" in client.pipe.written
            return len(client.answers), client.pipe.is_closed

    assert run(main()) == (1, True)


def test_the_servers_end_closes_idle_connections_and_cuts_streams():
    async def main():
        async with serving(ok) as idle:
            idle.connection.finish()
            await settle()
            assert idle.pipe.is_closed
        feed = Feed(b"a")
        async with serving(feed) as client:
            await client.send(GET)
            client.connection.finish()
            await settle()
            assert (feed.ended, client.pipe.is_closed) == (True, True)
            assert not client.pipe.written.endswith(b"0\r\n\r\n")

    run(main())
