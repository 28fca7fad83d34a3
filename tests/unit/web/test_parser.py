import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coracle.web.limits import Limits, Terms
from coracle.web.parser import HELD_BYTES, SLICE_BYTES, RequestParser, Stage

LIMITS = Limits(target_bytes=100, head_bytes=1000, headers=10)


def terms(method, raw_path):
    return Terms(streaming=raw_path == "/stream", body_limit_bytes=None if raw_path == "/stream" else 5000)


def a_parser(limits=LIMITS):
    return RequestParser(limits, terms)


def facts(request):
    body = request.body
    if request.inbox is not None:
        body = b"".join(request.inbox._chunks)
    return (request.method, request.target, dict(request.headers), body, request.keep_alive, request.upgrade)


def drain(parser):
    """Answer what is ready, declining upgrades, as a connection would; what was there."""
    found = []
    while True:
        while parser.ready and (parser.ready[0].inbox is None or parser.ready[0].inbox.ended):
            found.append(facts(parser.ready.popleft()))
        if parser.ready or parser.held is None:
            return found
        parser.resume()


def parse(*pieces, parser=None):
    """What requests came of it, and with which status the rest was refused (None: it was not)."""
    parser = parser or a_parser()
    found = []
    for piece in pieces:
        parser.feed(piece)
        found += drain(parser)
    return found, parser.failed and parser.failed.status


def ask(text):
    return text.replace("\n", "\r\n").encode("latin-1")


GET = ask("GET /a?b=c HTTP/1.1\nHost: x\n\n")
POST = ask("POST /b HTTP/1.1\nHost: x\nContent-Length: 3\n\nabc")
CHUNKED = ask("POST /c HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n3\nabc\n2;ext=1\nde\n0\nTrailer: t\n\n")
STREAM = ask("POST /stream HTTP/1.1\nHost: x\nContent-Length: 5\n\nhello")
H2C = ask("POST /d HTTP/1.1\nHost: x\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nContent-Length: 2\n\nok")
H2C_CHUNKED = ask(
    "POST /d HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: h2c\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n"
)
OLD = ask("GET /old HTTP/1.0\nConnection: keep-alive\n\n")
ALL = (GET, POST, CHUNKED, STREAM, H2C, H2C_CHUNKED, OLD)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (GET, ("GET", "/a?b=c", {"host": "x"}, b"", True, "")),
        (POST, ("POST", "/b", {"host": "x", "content-length": "3"}, b"abc", True, "")),
        (CHUNKED, ("POST", "/c", {"host": "x", "transfer-encoding": "chunked"}, b"abcde", True, "")),
        (STREAM, ("POST", "/stream", {"host": "x", "content-length": "5"}, b"hello", True, "")),
        (OLD, ("GET", "/old", {"connection": "keep-alive"}, b"", True, "")),
        (
            ask("GET / HTTP/1.1\nHost: x\nConnection: close\n\n"),
            ("GET", "/", {"host": "x", "connection": "close"}, b"", False, ""),
        ),
        (ask("GET / HTTP/1.0\n\n"), ("GET", "/", {}, b"", False, "")),
        (ask("GET http://h:1/p?q HTTP/1.1\nHost: x\n\n"), ("GET", "/p?q", {"host": "x"}, b"", True, "")),
        (ask("GET HTTPS://h HTTP/1.1\nHost: x\n\n"), ("GET", "/", {"host": "x"}, b"", True, "")),
        (ask("OPTIONS * HTTP/1.1\nHost: x\n\n"), ("OPTIONS", "*", {"host": "x"}, b"", True, "")),
        (
            ask("GET / HTTP/1.1\nhOsT: x \nA: 1\nCookie: a\nA:\t2 \nCookie: b\nE:\n\n"),
            ("GET", "/", {"host": "x", "a": "1, 2", "cookie": "a; b", "e": ""}, b"", True, ""),
        ),
    ],
)
def test_a_request_is_read(raw, expected):
    assert parse(raw) == ([expected], None)


@settings(deadline=None)
@given(st.lists(st.sampled_from(ALL), min_size=1, max_size=8), st.data())
def test_however_the_bytes_are_split_the_requests_are_the_same(requests, data):
    raw = b"".join(requests)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    whole = [parse(request)[0][0] for request in requests]
    assert parse(*pieces) == (whole, None)


def test_byte_by_byte_gives_the_same():
    raw = b"".join(ALL)
    assert parse(*(raw[at : at + 1] for at in range(len(raw)))) == parse(raw)


SMUGGLED = "GET /smuggled HTTP/1.1\nHost: x\n\n"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(
            "POST / HTTP/1.1\nHost: x\nContent-Length: 4\nTransfer-Encoding: chunked\n\n0\n\n",
            400,
            id="length, then chunked",
        ),
        pytest.param(
            "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\nContent-Length: 4\n\n0\n\n",
            400,
            id="chunked, then length",
        ),
        pytest.param("POST / HTTP/1.1\nHost: x\nContent-Length: 4\nContent-Length: 5\n\n", 400, id="two lengths"),
        pytest.param("POST / HTTP/1.1\nHost: x\nContent-Length: 0\nContent-Length: 0\n\n", 400, id="two equal lengths"),
        pytest.param("POST / HTTP/1.1\nHost: x\nContent-Length: 0, 0\n\n", 400, id="a list of lengths"),
        pytest.param("POST / HTTP/1.1\nHost: x\nContent-Length: +1\n\n", 400, id="length with a sign"),
        pytest.param("POST / HTTP/1.1\nHost: x\nContent-Length: -1\n\n", 400, id="negative length"),
        pytest.param("POST / HTTP/1.1\nHost: x\nContent-Length: 0x1\n\n", 400, id="hexadecimal length"),
        pytest.param("POST / HTTP/1.1\nHost: x\nContent-Length: 1 1\n\n", 400, id="length with a space"),
        pytest.param(
            "POST / HTTP/1.1\nHost: x\nContent-Length: 99999999999999999999\n\n", 400, id="length beyond 64 bits"
        ),
        pytest.param("POST / HTTP/1.1\nHost: x\nContent-Length:\n\n", 400, id="empty length"),
        pytest.param(
            "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n",
            400,
            id="chunked twice",
        ),
        pytest.param(
            "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked, identity\n\n", 400, id="chunked is not last"
        ),
        pytest.param("POST / HTTP/1.1\nHost: x\nTransfer-Encoding: xchunked\n\n", 501, id="a coding like chunked"),
        pytest.param(
            "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: gzip, chunked\n\n", 501, id="a coding we do not have"
        ),
        pytest.param("POST / HTTP/1.1\nHost: x\nTransfer-Encoding : chunked\n\n", 400, id="space before the colon"),
        pytest.param("POST / HTTP/1.1\nHost: x\nTransfer-Encoding:\x0bchunked\n\n", 400, id="vertical tab"),
        pytest.param("POST / HTTP/1.0\nTransfer-Encoding: chunked\n\n0\n\n", 400, id="chunked in HTTP/1.0"),
        pytest.param("POST / HTTP/1.1\nHost: x\n Transfer-Encoding: chunked\n\n0\n\n", 400, id="a folded header"),
        pytest.param(
            "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n+1\na\n0\n\n", 400, id="chunk size with a sign"
        ),
        pytest.param("POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n0x1\na\n0\n\n", 400, id="chunk size 0x1"),
        pytest.param(
            "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n1\nab\n0\n\n", 400, id="chunk longer than said"
        ),
        pytest.param(
            "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\nfffffffffffffffff\n",
            400,
            id="chunk beyond 64 bits",
        ),
        pytest.param("GET / HTTP/1.1\nHost: x\nHost: y\n\n", 400, id="two hosts"),
        pytest.param("GET / HTTP/1.1\n\n", 400, id="no host"),
        pytest.param("GET / HTTP/1.1\nHost: x\nA: b\x00c\n\n", 400, id="NUL in a value"),
        pytest.param("GET / HTTP/1.1\nHost: x\nA\x00: b\n\n", 400, id="NUL in a name"),
        pytest.param("GET / HTTP/1.1\nHost: x\n: b\n\n", 400, id="no name"),
        pytest.param("GET / HTTP/1.1\nHost: x\nnonsense\n\n", 400, id="no colon"),
        pytest.param("GET /\x7f HTTP/1.1\nHost: x\n\n", 400, id="control character in the target"),
        pytest.param("GET /é HTTP/1.1\nHost: x\n\n", 400, id="a target that is not ASCII"),
        pytest.param("GET a HTTP/1.1\nHost: x\n\n", 400, id="a target without slash"),
        pytest.param("GET ftp://h/ HTTP/1.1\nHost: x\n\n", 400, id="another scheme"),
        pytest.param("GET / HTTP/2.0\nHost: x\n\n", 505, id="HTTP/2.0"),
        pytest.param("GET / HTTP/0.9\nHost: x\n\n", 505, id="HTTP/0.9"),
        pytest.param("GET /\n\n", 505, id="HTTP/0.9 as it was"),
        pytest.param("PRI * HTTP/2.0\n\nSM\n\n", 400, id="HTTP/2 with prior knowledge"),
        pytest.param("CONNECT h:1 HTTP/1.1\nHost: x\n\n", 400, id="CONNECT"),
        pytest.param("NONSENSE / HTTP/1.1\nHost: x\n\n", 400, id="a method that is none"),
        pytest.param("POST / HTTP/1.1\nHost: x\nContent-Length: 1\nExpect: 200-ok\n\n", 417, id="another expectation"),
        pytest.param("GET /" + "a" * 100 + " HTTP/1.1\nHost: x\n\n", 414, id="a long target"),
        pytest.param("GET / HTTP/1.1\nHost: x\nA: " + "a" * 1000 + "\n\n", 431, id="a long header"),
        pytest.param(
            "GET / HTTP/1.1\nHost: x\n" + "".join(f"A{n}: \n" for n in range(10)) + "\n", 431, id="many headers"
        ),
        pytest.param("POST / HTTP/1.1\nHost: x\nContent-Length: 5001\n\n", 413, id="a body said to be long"),
        pytest.param(
            "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n1389\n" + "a" * 5001,
            413,
            id="a body that gets long",
        ),
        pytest.param("\x16\x03\x01\x02\x00\x01", 400, id="TLS"),
    ],
)
def test_what_could_be_misread_is_refused_and_nothing_after_it_is_read(raw, status):
    raw = ask(raw + SMUGGLED)
    assert parse(raw) == ([], status)
    found, slowly = parse(*(raw[at : at + 1] for at in range(len(raw))))
    assert (found, slowly) == ([], status)


def test_bare_line_ends_are_refused():
    assert parse(b"GET / HTTP/1.1\nHost: x\n\n") == ([], 400)
    assert parse(b"GET / HTTP/1.1\rHost: x\r\r") == ([], 400)


def test_requests_before_a_bad_one_are_answered():
    found, status = parse(GET + b"\x00" + GET)
    assert (len(found), status) == (1, 400)


def test_a_trailer_is_not_a_header():
    raw = ask("POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n0\nHost: evil\nAuthorization: evil\n\n")
    (found,), status = parse(raw + b"", b"")
    assert (found[2], status) == ({"host": "x", "transfer-encoding": "chunked"}, None)


def test_trailers_are_bounded():
    raw = ask("POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n0\n")
    assert parse(raw, *[ask(f"T{n}: {'x' * 50}\n") for n in range(100)]) == ([], 431)


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\nHost: x\nA: ",
        "GET / HTTP/1.1\nHost: x\nA",
        "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n1;",
        "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n0\nT: ",
    ],
    ids=["a value", "a name", "a chunk extension", "a trailer"],
)
def test_what_never_ends_is_refused_before_it_fills_memory(head):
    parser = a_parser()
    parser.feed(ask(head))
    fed = 0
    while parser.failed is None and fed < 1_000_000:
        parser.feed(b"x" * 500)
        fed += 500
    assert parser.failed is not None
    assert parser.failed.status == 431
    assert fed <= LIMITS.head_bytes + SLICE_BYTES + 500


def test_the_default_limits_take_large_but_honest_heads():
    raw = ask(
        "GET /" + "a" * 30_000 + " HTTP/1.1\nHost: x\n" + "".join(f"A{n}: {'b' * 500}\n" for n in range(100)) + "\n"
    )
    found, status = parse(raw, parser=a_parser(Limits()))
    assert (len(found), status) == (1, None)


def test_requests_behind_waiting_ones_are_held_back():
    parser = a_parser()
    for _ in range(200_000 // len(GET)):
        parser.feed(GET)
    assert len(parser.ready) == 1
    assert parser.is_full
    held = parser.held
    assert held is not None
    total = 1 + len(held) // len(GET)
    found = drain(parser)
    assert len(found) == total


def test_one_segment_of_many_small_requests_is_taken_a_slice_at_a_time():
    parser = a_parser()
    small = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    parser.feed(memoryview(small * 3000))
    assert len(parser.ready) <= SLICE_BYTES // len(small) + 1
    assert len(drain(parser)) == 3000


ATTACH = ask("POST /attach HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: TCP\nContent-Length: 2\n\n{}")
EXEC = ask("GET /exec HTTP/1.1\nHost: x\nConnection: keep-alive, Upgrade\nUpgrade: websocket\n\n")


@pytest.mark.parametrize("raw", [ATTACH, EXEC], ids=["with a body", "without"])
@pytest.mark.parametrize("early", [b"", b"early", GET, b"\x00\xff" * 50_000], ids=["nothing", "text", "http", "much"])
@pytest.mark.parametrize("step", [1, 7, 1000, 1_000_000])
def test_what_follows_an_offered_upgrade_is_kept_as_it_is(raw, early, step):
    parser = a_parser()
    data = raw + early
    for at in range(0, len(data), step):
        parser.feed(memoryview(data)[at : at + step])
    assert len(parser.ready) == 1
    request = parser.ready.popleft()
    assert request.upgrade in ("tcp", "websocket")
    assert request.body == (b"{}" if raw is ATTACH else b"")
    assert parser.is_full == (len(early) > HELD_BYTES)
    assert parser.detach() == early


def test_a_declined_upgrade_goes_on_as_http():
    found, status = parse(ATTACH + GET + EXEC + GET)
    assert [facts[1] for facts in found] == ["/attach", "/a?b=c", "/exec", "/a?b=c"]
    assert status is None


def test_an_upgrade_that_is_not_connected_is_no_offer():
    (found,), _ = parse(ask("GET / HTTP/1.1\nHost: x\nUpgrade: websocket\n\n"))
    assert found[5] == ""


def test_a_chunked_request_may_not_upgrade():
    (found,), status = parse(H2C_CHUNKED)
    assert (found[3], found[5], status) == (b"ok", "", None)


def test_an_upgrading_body_that_is_too_large_is_refused():
    raw = ask("POST /x HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: tcp\nContent-Length: 5001\n\n")
    assert parse(raw + b"a" * 6000) == ([], 413)


def test_a_detached_connection_has_taken_nothing_else():
    parser = a_parser()
    parser.feed(GET + GET)
    parser.ready.popleft()
    assert parser.detach() is None  # the second request was read already


def test_after_the_last_request_nothing_is_read():
    found, status = parse(ask("GET / HTTP/1.1\nHost: x\nConnection: close\n\n") + b"\x00garbage" + GET)
    assert (len(found), status) == (1, None)


def test_a_stream_is_ready_before_its_body_and_fails_with_it():
    parser = a_parser()
    parser.feed(ask("POST /stream HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n3\nabc\n"))
    (request,) = parser.ready
    assert (request.inbox.size_bytes, request.inbox.ended) == (3, False)
    parser.feed(b"zz\r\n")
    assert request.inbox.ended
    assert parser.failed.status == 400


def test_the_end_of_input_within_a_request_is_a_failure():
    for part in (GET[:-1], POST[:-1], CHUNKED[:-1]):
        parser = a_parser()
        parser.feed(part)
        parser.end()
        assert (len(parser.ready), parser.failed.status) == (0, 400)
    parser = a_parser()
    parser.feed(GET)
    parser.end()
    assert (len(parser.ready), parser.failed, parser.is_over) == (1, None, True)


def test_continue_is_wanted_until_the_body_comes():
    parser = a_parser()
    parser.feed(ask("POST / HTTP/1.1\nHost: x\nExpect: 100-Continue\nContent-Length: 3\n\n"))
    assert parser.wants_continue
    parser.feed(b"a")
    assert not parser.wants_continue


FRAGMENTS = st.sampled_from(
    [
        b"GET ", b"POST ", b"/", b"/stream", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n", b"\r", b"Host: x", b"\r\n\r\n",
        b"Content-Length: ", b"5", b"0", b"Transfer-Encoding: chunked", b"Upgrade: tcp", b"Connection: upgrade", b":",
        b"Connection: close", b"Expect: 100-continue", b"\x00", b"\xff", b" ", b"a" * 200, b"hello",
        GET, POST, CHUNKED, H2C,
    ]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(FRAGMENTS | st.binary(max_size=20), max_size=40))
@example(
    [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n", b"hel", b"\x00"]
)
def test_anything_is_parsed_or_refused_the_same_in_one_piece_and_in_many(pieces):
    raw = b"".join(pieces)
    (found, status), (found_whole, status_whole) = parse(*pieces), parse(raw)
    assert found == found_whole
    assert (status is None) == (status_whole is None)  # of two faults, which is seen first depends on the cuts


def test_between_requests_is_told_from_within_one():
    parser = a_parser()
    assert parser.stage == Stage.BETWEEN
    parser.feed(b"GET /a")
    assert parser.stage == Stage.HEAD
    parser.feed(b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
    assert parser.stage == Stage.BODY
    parser.feed(b"x")
    assert parser.stage == Stage.BETWEEN
