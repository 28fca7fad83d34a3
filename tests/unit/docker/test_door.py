"""The door: versions, headers, what is not there, bodies, filters and words."""

import asyncio
import inspect

import orjson
import pytest

from coracle.core import errors
from coracle.core.errors import CloudError, Conflict, Malformed, NotFound, Unsupported
from coracle.docker.bodies import Fields, body_of, flag, number
from coracle.docker.door import Route, door
from coracle.docker.errors import WORDS, message_of, say, status_of
from coracle.docker.filters import Filters, parse_filters
from coracle.docker.swarm import NO_MANAGER, Swarm
from coracle.docker.versions import NEWEST, OLDEST, Version, split, version_of
from coracle.web.messages import Request, Response


class Echo:
    """Answers with the version it was asked in; refuses on demand."""

    def routes(self):
        return (
            Route("GET", "/echo/{name:path}/json", self.echo),
            Route("POST", "/tar", self.echo, streaming=True),
            Route("GET", "/refuse", self.refuse),
        )

    async def echo(self, request):
        return Response.of(200, {"version": str(version_of(request)), "name": request.params.get("name", "")})

    async def refuse(self, request):
        raise Conflict("it is so")


def ask(method, target, body=b""):
    answer = asyncio.run(door([Echo(), Swarm()]).handler(Request(method, target, body=body)))
    return answer.status, orjson.loads(answer.body), answer.headers


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/v1.41/info", ("/v1.41", "/info")),
        ("/info", ("", "/info")),
        ("/v1.41", ("/v1.41", "/")),
        ("/v1.x/info", ("", "/v1.x/info")),
        ("/version", ("", "/version")),
    ],
)
def test_version_is_split_from_path(path, parts):
    assert split(path) == parts


@pytest.mark.parametrize("version", [OLDEST, Version(1, 41), NEWEST])
def test_each_version_is_answered_in_itself(version):
    status, said, headers = ask("GET", f"/v{version}/echo/localhost:5000/a/b/json")
    assert (status, said) == (200, {"version": str(version), "name": "localhost:5000/a/b"})
    assert headers["Api-Version"] == str(NEWEST)
    assert headers["Ostype"] == "linux"


def test_without_a_version_the_newest_is_meant():
    assert ask("GET", "/echo/a/json")[1]["version"] == str(NEWEST)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.51", "client version 1.51 is too new. Maximum supported API version is 1.50"),
        ("1.23", "client version 1.23 is too old. Minimum supported API version is 1.24"),
    ],
)
def test_other_versions_are_refused_with_headers(version, words):
    status, said, headers = ask("GET", f"/v{version}/echo/a/json")
    assert status == 400
    assert said["message"].startswith(words)
    assert headers["Api-Version"] == str(NEWEST)


@pytest.mark.parametrize("target", ["/nothing", "/v1.41/nothing", "/v1.41"])
def test_what_is_not_there_is_404(target):
    assert ask("GET", target)[:2] == (404, {"message": "page not found"})


def test_a_wrong_method_is_404_as_dockerd_says():
    assert ask("DELETE", "/refuse")[:2] == (404, {"message": "page not found"})


def test_failures_have_docker_form():
    assert ask("GET", "/refuse")[:2] == (409, {"message": "it is so"})


def test_archives_are_streamed_with_or_without_version():
    terms = door([Echo()]).terms
    assert terms("POST", "/v1.41/tar").streaming
    assert terms("POST", "/tar").streaming
    assert not terms("GET", "/refuse").streaming


def test_every_failure_has_a_status_and_words():
    classes = {c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, CloudError)} - {CloudError}
    assert classes == set(WORDS)


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (NotFound(kind="Container", name="web"), 404, "No such container: web"),
        (NotFound("said better", kind="Container", name="web"), 404, "said better"),
        (NotFound(kind="Network", name="n"), 404, "network n not found"),
        (Unsupported("x", status=405), 404, "page not found"),
        (Unsupported("not this", status=501), 501, "not this"),
    ],
)
def test_words(error, status, words):
    assert (status_of(error), message_of(error)) == (status, words)
    assert orjson.loads(say(error).body) == {"message": words}


# -- bodies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"", "EOF"), (b"{", "invalid JSON"), (b"[]", "expected an object, got a list"), (b'"x"', "got a string")],
)
def test_bad_bodies_are_refused(body, words):
    with pytest.raises(Malformed, match=words):
        body_of(Request("POST", "/x", body=body))


def test_absent_and_null_bodies():
    assert body_of(Request("POST", "/x"), required=False) == {} == body_of(Request("POST", "/x", body=b"null"))


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda f: f.text("a"), "H.a must be a string, got a number"),
        (lambda f: f.number("b"), "H.b must be an integer, got a string"),
        (lambda f: f.number("c"), "H.c must be an integer, got a boolean"),
        (lambda f: f.number("big"), "H.big must be an integer, got a number"),
        (lambda f: f.flag("a"), "H.a must be a boolean, got a number"),
        (lambda f: f.texts("d"), "H.d must be a list of strings, got a list"),
        (lambda f: f.map("a"), "H.a must be an object, got a number"),
        (lambda f: f.text_map("e"), "H.e.x must be a string, got a number"),
        (lambda f: f.objects("d"), r"H.d\[0\] must be an object, got a number"),
    ],
)
def test_a_wrong_type_names_its_field(read, words):
    fields = Fields({"a": 1, "b": "x", "c": True, "d": [1], "e": {"x": 1}, "big": 2**63}, "H")
    with pytest.raises(Malformed, match=words):
        read(fields)


def test_fields_are_found_in_any_case_and_null_is_absent():
    fields = Fields({"hostconfig": {"Memory": 5.0}, "Cmd": "ls", "Env": None})
    assert fields.fields("HostConfig").number("memory") == 5
    assert fields.words("Cmd") == ("ls",)
    assert fields.texts("Env") == ()


def test_query_values():
    request = Request("GET", "/x?a=1&b=0&c=False&d&n=5&bad=x&t=")
    assert [flag(request, name) for name in "abcde"] == [True, False, False, False, False]
    assert number(request, "n") == 5
    assert number(request, "t") is None
    assert number(request, "no", 7) == 7
    with pytest.raises(Malformed, match="bad"):
        number(request, "bad")


# -- filters -------------------------------------------------------------------------------------------------------

KNOWN = ("label", "label!", "name", "status", "dangling")


@pytest.mark.parametrize("text", ['{"label":{"a=b":true},"name":{"x":true}}', '{"label":["a=b"],"name":["x"]}'])
def test_both_forms_of_filters(text):
    filters = parse_filters(text, KNOWN)
    assert filters.get("label") == ("a=b",)
    assert filters.get("name") == ("x",)


@pytest.mark.parametrize("text", ["", "{}", "null"])
def test_no_filters(text):
    filters = parse_filters(text, KNOWN)
    assert "label" not in filters
    assert filters.allows("status", "x")
    assert filters.allows_labels({})


@pytest.mark.parametrize("text", ["[]", '{"a":1}', '{"nope":["x"]}', "{", '{"label":{"a":1}}', '{"label":[1]}', '"x"'])
def test_bad_filters_are_refused(text):
    with pytest.raises(Malformed, match="invalid filter"):
        parse_filters(text, KNOWN)


def test_filters_match():
    filters = parse_filters('{"label":["a","b=1"],"label!":["c"],"status":["up","down"],"dangling":["false"]}', KNOWN)
    assert filters.allows_labels({"a": "x", "b": "1"})
    assert not filters.allows_labels({"a": "x", "b": "2"})
    assert not filters.allows_labels({"a": "", "b": "1", "c": ""})
    assert filters.allows("status", "down")
    assert not filters.allows("status", "gone")
    assert filters.flag("dangling") is False
    assert filters.flag("missing", True) is True


def test_names_match_as_expressions_and_bad_ones_as_text():
    filters = parse_filters('{"name":["^/?web$"]}', KNOWN)
    assert filters.allows_match("name", "/web")
    assert not filters.allows_match("name", "/web2")
    assert parse_filters('{"name":["a("]}', KNOWN).allows_match("name", "xa(y")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "(x{1,9}){9}", "a*a*a*a*a*b"])
def test_expressions_that_take_for_ever_are_refused(pattern):
    with pytest.raises(Malformed, match="repeats too much"):
        Filters({"name": (pattern,)}).allows_match("name", "a" * 60)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("^/?web.*$", "/web-1"), ("p_(web|db)_[0-9]+", "p_db_12"), (r"a\+\*\{\)\*+", "a+*{)**"), ("(?!k8s_)w", "w")],
)
def test_usual_expressions_are_taken(pattern, text):
    filters = Filters({"name": (pattern,)})
    assert filters.allows_match("name", text)
    assert not filters.allows_match("name", "k8s_")


# -- swarm ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/services", "/nodes", "/tasks", "/swarm", "/secrets/x", "/configs", "/nodes/self"])
def test_outside_a_swarm(path):
    assert ask("GET", path)[:2] == (503, {"message": NO_MANAGER})


def test_joining_and_leaving_say_what_is_wrong():
    assert ask("POST", "/swarm/leave")[:2] == (503, {"message": "This node is not part of a swarm"})
    assert ask("POST", "/swarm/init", b"{}")[0] == 400
    assert ask("POST", "/swarm/join", b'{"ListenAddr":"0.0.0.0:2377"}')[1]["message"].startswith(
        "at least 1 RemoteAddr"
    )
    assert ask("POST", "/swarm/init", b'{"ListenAddr":"0.0.0.0:2377"}')[0] == 501
