import pytest

from coracle.core.errors import Malformed
from coracle.testing.autojump import run
from coracle.web.inbox import Inbox
from coracle.web.messages import Query, Request, Response


def test_query_keeps_order_and_repetition():
    query = Query("a=1&b=x%20y+z&a=2&flag&=v&&c=%E2%82%AC")
    assert query.items() == [("a", "1"), ("b", "x y z"), ("a", "2"), ("flag", ""), ("", "v"), ("c", "€")]
    assert (query.get("a"), query.all("a"), query.get("none", "d")) == ("1", ["1", "2"], "d")
    assert "flag" in query
    assert "none" not in query
    assert list(query) == ["a", "b", "flag", "", "c"]


@pytest.mark.parametrize("raw", ["%", "%zz=%", "a=%ff", "=&=", "&&&", "a" * 5000])
def test_query_reads_anything(raw):
    Query(raw).items()


def test_a_request_has_its_target_in_parts():
    request = Request("GET", "/a%20b/c?x=1&y=?")
    assert (request.raw_path, request.path, request.query.get("y")) == ("/a%20b/c", "/a b/c", "?")
    assert request.target == "/a%20b/c?x=1&y=?"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b"[" * 100_000])
def test_json_that_cannot_be_read_is_malformed(body):
    with pytest.raises(Malformed):
        Request("POST", "/", body=body).json()


def test_json_is_read():
    assert Request("POST", "/", body=b'{"a":[1]}').json() == {"a": [1]}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param("", "application/json", id="says nothing, gets the first"),
        pytest.param("*/*", "application/json", id="takes anything, gets the first"),
        pytest.param("text/*, application/json;q=0.5", "text/plain", id="prefers a range"),
        pytest.param("text/plain;q=0.1,application/json;q=0.2", "application/json", id="prefers by quality"),
        pytest.param("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "application/json", id="kubectl"),
        pytest.param("application/yaml", None, id="wants what there is not"),
        pytest.param("application/json;q=0", None, id="refuses it"),
        pytest.param(";;q=x,,=;", None, id="speaks nonsense"),
    ],
)
def test_accepts(accept, expected):
    request = Request("GET", "/", {"accept": accept} if accept else {})
    assert request.accepts("application/json", "text/plain") == expected


def test_accepted_keeps_the_parameters():
    wanted = Request("GET", "/", {"accept": 'application/json;as="Table" ; V=v1;q=0.9, text/plain'}).accepted()
    assert [(m.type, dict(m.params), m.quality) for m in wanted] == [
        ("text/plain", {}, 1.0),
        ("application/json", {"as": "Table", "v": "v1"}, 0.9),
    ]


def test_a_response_of_an_object_is_json():
    assert Response.of(201, {"a": 1, 2: "b"}).body == b'{"a":1,"2":"b"}'


async def collect(request):
    return [chunk async for chunk in request.stream()]


def test_a_body_that_was_read_streams_in_one_piece():
    assert run(collect(Request("POST", "/", body=b"abc"))) == [b"abc"]
    assert run(collect(Request("POST", "/"))) == []


def test_a_body_that_arrives_streams_and_asks_for_itself():
    asked = []
    request = Request("POST", "/")
    request.inbox = Inbox()
    request.inbox.push(b"ab")
    request.inbox.push(b"c")
    request.inbox.finish()
    request.expects_continue = lambda: asked.append(1)
    assert run(collect(request)) == [b"ab", b"c"]
    assert asked == [1]
