import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.core.errors import CloudError, Malformed, NotFound, Unsupported
from coracle.testing.autojump import run
from coracle.web.limits import BODY_LIMIT_BYTES
from coracle.web.messages import Request, Response
from coracle.web.router import Router

PATTERNS = [
    "/",
    "/api",
    "/api/v1/{plural}",
    "/api/v1/namespaces/{namespace}/{plural}",
    "/api/v1/namespaces/{namespace}/{plural}/{name}",
    "/api/v1/namespaces/{namespace}/pods/{name}/log",
    "/images/json",
    "/images/{name:path}/json",
    "/images/{name:path}/tag/{tag}",
    "/images/{name}",
    "/proxy/{rest:path}",
    "/exact/only",
    "/{top}/only",
]


def a_router():
    router = Router()
    for pattern in PATTERNS:

        async def answer(request, pattern=pattern):
            return Response.of(200, {"pattern": pattern, "params": dict(request.params)})

        router.add("GET", pattern, answer)
    return router


ROUTER = a_router()


def ask(path, method="GET"):
    answer = run(ROUTER.dispatch(Request(method, path)))
    found = Request("", "/", body=answer.body).json()
    return found["pattern"], found["params"]


@pytest.mark.parametrize(
    ("path", "pattern", "params"),
    [
        ("/", "/", {}),
        ("/api", "/api", {}),
        ("/api?watch=1", "/api", {}),
        ("/api/v1/nodes", "/api/v1/{plural}", {"plural": "nodes"}),
        ("/api/v1/namespaces", "/api/v1/{plural}", {"plural": "namespaces"}),
        ("/api/v1/namespaces/a/pods", "/api/v1/namespaces/{namespace}/{plural}", {"namespace": "a", "plural": "pods"}),
        (
            "/api/v1/namespaces/a/pods/log",
            "/api/v1/namespaces/{namespace}/{plural}/{name}",
            {"namespace": "a", "plural": "pods", "name": "log"},
        ),
        (
            "/api/v1/namespaces/a/services/b",
            "/api/v1/namespaces/{namespace}/{plural}/{name}",
            {"namespace": "a", "plural": "services", "name": "b"},
        ),
        (
            "/api/v1/namespaces/a/pods/b/log",
            "/api/v1/namespaces/{namespace}/pods/{name}/log",
            {"namespace": "a", "name": "b"},
        ),
        ("/images/json", "/images/json", {}),
        ("/images/nginx", "/images/{name}", {"name": "nginx"}),
        ("/images/nginx/json", "/images/{name:path}/json", {"name": "nginx"}),
        ("/images/json/json", "/images/{name:path}/json", {"name": "json"}),
        ("/images/docker.io/library/nginx/json", "/images/{name:path}/json", {"name": "docker.io/library/nginx"}),
        ("/images/localhost:5000%2Fbox/json", "/images/{name:path}/json", {"name": "localhost:5000/box"}),
        ("/images/a/tag/json/json", "/images/{name:path}/json", {"name": "a/tag/json"}),
        ("/images/a/b/tag/v1", "/images/{name:path}/tag/{tag}", {"name": "a/b", "tag": "v1"}),
        ("/proxy/", "/proxy/{rest:path}", {"rest": ""}),
        ("/proxy/a//b/", "/proxy/{rest:path}", {"rest": "a//b/"}),
        ("/proxy/a%20b%25", "/proxy/{rest:path}", {"rest": "a b%"}),
        ("/proxy/%252e%252e", "/proxy/{rest:path}", {"rest": "%2e%2e"}),
        ("/proxy/...", "/proxy/{rest:path}", {"rest": "..."}),
        ("/exact/only", "/exact/only", {}),
        ("/%65xact/only", "/exact/only", {}),
        ("/other/only", "/{top}/only", {"top": "other"}),
        ("/api/only", "/{top}/only", {"top": "api"}),
    ],
)
def test_a_path_finds_its_pattern(path, pattern, params):
    assert ask(path) == (pattern, params)


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "//api",
        "/api//v1",
        "/api/v1/",
        "/nothing",
        "/proxy",
        "/images/a%2Fb",
        "/a%2Fb/only",
        "/api/v1/a/b/c/d/e",
    ],
)
def test_a_path_that_leads_nowhere_is_not_found(path):
    with pytest.raises(NotFound):
        ask(path)


@pytest.mark.parametrize(
    "path",
    [
        "/proxy/..",
        "/proxy/../etc/passwd",
        "/proxy/./a",
        "/proxy/%2e%2e/a",
        "/proxy/%2E",
        "/proxy/a%2f..%2fb",
        "/proxy/a%2f.",
        "/api/v1/..",
        "/api/v1/%00",
        "/api/v1/a%00b",
        "/api/v1/%ff",
        "/api/v1/%",
        "/api/v1/%zz",
        "/api/v1/%2",
        "*",
        "api",
        "",
    ],
)
def test_an_unsafe_path_is_malformed_whatever_the_pattern(path):
    with pytest.raises(Malformed):
        ask(path)


def test_a_method_that_is_not_there_names_those_that_are():
    router = a_router()
    router.add("DELETE", "/api", None)
    request = Request("PATCH", "/api")
    with pytest.raises(Unsupported) as refused:
        run(router.dispatch(request))
    assert (refused.value.status, request.allowed) == (405, ("DELETE", "GET", "HEAD"))


def test_head_is_answered_by_get():
    assert ask("/api", "HEAD")[0] == "/api"


@pytest.mark.parametrize("pattern", ["a", "/{A}", "/{a}b", "/{a:int}", "/{a}/{a}", "/a}"])
def test_a_bad_pattern_is_refused(pattern):
    with pytest.raises(ValueError):
        Router().add("GET", pattern, None)


def test_a_pattern_cannot_be_taken_twice():
    router = Router()
    router.add("GET", "/{a}", None)
    with pytest.raises(ValueError):
        router.add("GET", "/{b}", None)
    router.add("PUT", "/{b}", None)


def test_terms_are_the_routes_own():
    router = Router()
    router.add("POST", "/build", None, streaming=True)
    router.add("POST", "/small", None, body_limit_bytes=10)
    assert router.terms("POST", "/build").streaming
    assert router.terms("POST", "/build").body_limit_bytes is None
    assert router.terms("POST", "/small").body_limit_bytes == 10
    for method, path in [("PUT", "/build"), ("POST", "/none"), ("POST", "/%")]:
        assert router.terms(method, path).body_limit_bytes == BODY_LIMIT_BYTES
        assert not router.terms(method, path).streaming


@given(st.text(alphabet="/.%2eEfF0abpi{}:*\x00é", max_size=30))
def test_any_path_is_answered_or_refused_and_parameters_are_safe(path):
    try:
        _, params = ask("/proxy/" + path.partition("?")[0])
    except CloudError:
        return
    for value in params.values():
        assert {".", ".."}.isdisjoint(value.split("/"))
        assert "\0" not in value


def test_a_long_name_leaves_what_answers_to_the_method():
    async def main():
        router = Router()
        router.add("GET", "/images/{name:path}/json", named("inspect"))
        router.add("DELETE", "/images/{name:path}", named("remove"))
        return [await router.dispatch(Request(method, "/images/a/b/json")) for method in ("GET", "HEAD", "DELETE")]

    def named(what):
        async def handler(request):
            return what, request.params["name"]

        return handler

    assert run(main()) == [("inspect", "a/b"), ("inspect", "a/b"), ("remove", "a/b/json")]
