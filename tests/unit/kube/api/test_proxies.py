"""pods/proxy, services/proxy, nodes/proxy: what is asked where, and how links are told."""

import asyncio
import gzip

import pytest

from coracle.core.errors import Malformed
from coracle.core.object import Meta, Object
from coracle.kube.api.links import Links
from coracle.kube.api.proxies import Wanted, behind, carried, of_node, of_pod, port_name, split_name
from coracle.testing.kube import a_node, a_pod, a_service
from coracle.web.messages import Identity, Request, Response, Stream
from coracle.web.reverse import REFUSAL_BYTES, Unreachable, Upstream, passed_on, switch

PODS = "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("web", Wanted("", "web", "")),
        ("web:80", Wanted("", "web", "80")),
        ("https:web:", Wanted("https", "web", "")),
        ("http:web:http", Wanted("http", "web", "http")),
        ("ftp:web:80", None),
        ("https::80", None),
        ("a:b:c:d", None),
        (":80", None),
    ],
)
def test_a_name_may_have_a_scheme_and_a_port(text, wanted):
    assert split_name(text) == wanted


def running(ip="10.32.0.5", **spec):
    return a_pod("web", **spec).with_body(status={"podIP": ip})


@pytest.mark.parametrize(
    ("pod", "name", "place"),
    [
        (running(), "web", Upstream("10.32.0.5", 80)),
        (running(), "https:web:", Upstream("10.32.0.5", 443, True)),
        (running(), "web:8080", Upstream("10.32.0.5", 8080)),
        (running(containers=[{"name": "a"}, {"name": "b", "ports": [{"containerPort": 9}]}]), "web", Upstream("10.32.0.5", 9)),
        (running(""), "web", "address not allowed"),
        (running("127.0.0.1"), "web", "address not allowed"),
        (running("169.254.169.254"), "web", "address not allowed"),
        (running(), "web:http", "error trying to reach service: dial tcp: lookup tcp/http: unknown port"),
        (running(), "web:70000", "error trying to reach service: dial tcp: lookup tcp/70000: unknown port"),
    ],
)  # fmt: skip
def test_where_a_pod_is_asked(pod, name, place):
    if isinstance(place, Upstream):
        assert of_pod(pod, split_name(name)) == place
        return
    with pytest.raises((Malformed, Unreachable)) as refused:
        of_pod(pod, split_name(name))
    assert refused.value.message == place


def test_a_node_is_the_kubelet_except_at_other_ports():
    status = {
        "addresses": [{"type": "InternalIP", "address": "192.0.2.7"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    }
    node = a_node().with_body(status=status)
    assert of_node(node, split_name("n1")) is None
    assert of_node(node, split_name("https:n1:10250")) is None
    assert of_node(node, split_name("n1:9100")) == Upstream("192.0.2.7", 9100)


def test_a_service_is_asked_at_the_port_of_that_name():
    service = a_service(ports=[{"name": "http", "port": 80}, {"name": "admin", "port": 81}])
    assert port_name(service, 81) == "admin"
    with pytest.raises(Unreachable, match='no service port 82 found for service "web"'):
        port_name(service, 82)
    one, two = {"ip": "10.32.0.1"}, {"ip": "10.32.0.2"}
    ports = [{"name": "http", "port": 8080}, {"name": "admin", "port": 8081}]
    subsets = [
        {"addresses": [one], "notReadyAddresses": [two], "ports": ports},
        {"addresses": [two], "ports": ports[:1]},
    ]
    assert list(behind(subsets, "admin")) == [(one, 8081)]
    assert list(behind(subsets, "http")) == [(one, 8080), (two, 8080)]
    assert list(behind(subsets, "")) == []


LINKS = Links("/p/proxy", frozenset(("10.32.0.5:80", "localhost:8001")))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("/next?x=1#y", "/p/proxy/next?x=1#y"),
        ("/p/proxy/next", "/p/proxy/next"),
        ("next", "next"),
        ("http://10.32.0.5:80/next", "/p/proxy/next"),
        ("http://localhost:8001/next", "/p/proxy/next"),
        ("http://elsewhere/next", "http://elsewhere/next"),
        ("//elsewhere/next", "//elsewhere/next"),
        ("http://[bad", "http://[bad"),
    ],
)
def test_links_to_the_server_go_through_the_proxy(url, told):
    assert LINKS.told(url) == told


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (b'<a href="/x">y</a>', b'<a href="/p/proxy/x">y</a>'),
        (b"<A class=c HREF='/x'>", b'<A class=c HREF="/p/proxy/x">'),
        (b"<img src=/x.png alt='/no'>", b"<img src=\"/p/proxy/x.png\" alt='/no'>"),
        (b'<a href="/x?a=1&amp;b=2">', b'<a href="/p/proxy/x?a=1&amp;b=2">'),
        (b'<!-- <a href="/x"> --><b title="/x">', b'<!-- <a href="/x"> --><b title="/x">'),
        (b"<script>'<a href=/x>'</script><a href=/y>", b"<script>'<a href=/x>'</script><a href=\"/p/proxy/y\">"),
        (b'<a href="/x">1 < 2 <a href="/y" <a', b'<a href="/p/proxy/x">1 < 2 <a href="/y" <a'),
        (b"<a href='/x", b"<a href='/x"),
        (b"\xff<a href=/x>\xfe", b'\xff<a href="/p/proxy/x">\xfe'),
    ],
)
def test_links_of_a_page(page, told):
    assert LINKS.page(page) == told


def test_a_page_of_tags_that_never_end_is_read_in_one_pass():
    assert LINKS.page(b"<a '" * 500_001)


def test_what_is_between_neighbours_or_secret_is_not_passed_on():
    given = {
        "connection": "keep-alive, x-mine",
        "x-mine": "1",
        "host": "h",
        "authorization": "Bearer t",
        "te": "trailers",
    }
    request = Request("GET", "/", given)
    assert passed_on(request, ("authorization",)) == {"Host": "h"}


async def served(answer):
    """A server on this machine that gives `answer` to every request; its port, and the requests as they came."""
    seen = []

    async def handle(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.2", 0)
    return server, server.sockets[0].getsockname()[1], seen


def through(answer, method="GET", path="/x", **headers):
    """What the proxy answers where a pod's server says `answer`, and what that server was asked."""

    async def main():
        server, port, seen = await served(answer)
        async with server:
            request = Request(method, f"/p/proxy{path}", headers, identity=Identity("admin", ("system:masters",)))
            told = await carried(request, Upstream("127.0.0.2", port), path, "/p/proxy")
            body = told.body if isinstance(told, Response) else b"".join([chunk async for chunk in told.chunks])
            return told, body, seen[0]

    return asyncio.run(main())


def an_answer(body, *fields):
    lines = ("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *fields)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_an_answer_passes_as_it_is():
    told, body, asked = through(an_answer(b"hello", "Set-Cookie: a", "Set-Cookie: b", "Access-Control-Allow-Origin: *"))
    assert isinstance(told, Stream)
    assert (told.status, told.length_bytes, body) == (200, 5, b"hello")
    assert list(told.headers.items()) == [("Set-Cookie", "a"), ("Set-Cookie", "b")]
    assert asked.startswith(b"GET /x HTTP/1.1\r\n")
    assert b"X-Forwarded-Uri: /p/proxy/x" in asked


def test_a_packed_page_is_unpacked_to_tell_its_links():
    page = gzip.compress(b"<a href=/next>")
    told, body, _ = through(an_answer(page, "Content-Type: text/html", "Content-Encoding: gzip"))
    assert body == b'<a href="/p/proxy/next">'
    assert "Content-Encoding" not in told.headers


def test_what_is_no_page_after_all_passes_as_it_is():
    packed = b"no gzip"
    told, body, _ = through(an_answer(packed, "Content-Type: text/html", "Content-Encoding: gzip"))
    assert (body, told.headers["content-encoding"]) == (packed, "gzip")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n\r\n"], ids=["nothing", "no HTTP"])
def test_who_does_not_answer_is_unreachable(answer):
    with pytest.raises(Unreachable, match="error trying to reach service: "):
        through(answer)


def refused(*answer):
    """The body of what is told where a server answers a WebSocket's request with these, one after the other."""

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for piece in answer:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async def main():
        server = await asyncio.start_server(handle, "127.0.0.2", 0)
        async with server:
            to = Upstream("127.0.0.2", server.sockets[0].getsockname()[1])
            return (await switch(Request("GET", "/x", {"upgrade": "websocket"}), to, "/x", {})).body

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param((b"Content-Length: 7\r\n\r\nnope", b"xyz"), b"nopexyz", id="in two pieces"),
        pytest.param((b"\r\nno", b"pe"), b"nope", id="as far as it goes"),
        pytest.param(
            (b"Transfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n", b"3;a=b\r\nxyz\r\n0\r\n\r\n"), b"nopexyz", id="chunks"
        ),
        pytest.param((b"\r\n", b"x" * 200_000), b"x" * REFUSAL_BYTES, id="only so much"),
    ],
)
def test_a_refused_change_of_protocol_is_told_whole(answer, body):
    assert refused(b"HTTP/1.1 403 Forbidden\r\n", *answer) == body


@pytest.mark.parametrize(
    "field", [b"Content-Length: -5", b"Transfer-Encoding: chunked\r\n\r\n-5"], ids=["size", "chunk"]
)
def test_a_length_below_zero_is_no_answer(field):
    with pytest.raises(Unreachable, match="bad length"):
        refused(b"HTTP/1.1 403 Forbidden\r\n" + field + b"\r\n\r\n", b"x" * 200_000)


def test_as_whom_somebody_asks_is_no_matter_of_a_pods():
    _, _, asked = through(an_answer(b""), **{"impersonate-user": "bob", "x-remote-extra-a": "1", "x-mine": "1"})
    assert b"mpersonate" not in asked
    assert b"X-Remote" not in asked
    assert b"X-Mine: 1" in asked


def test_a_service_leads_to_pods_only_and_strangers_nowhere(play):
    async def scene(api):
        pod = await api.collections["Pod"].create(a_pod("web"))
        await api.collections["Pod"].change(pod.key, lambda one: one.with_status(podIP="10.32.0.5"), part="status")
        target = {"kind": "Pod", "namespace": "default", "name": "web"}
        for name, address in (("a", {"ip": "192.0.2.9"}), ("b", {"ip": "192.0.2.9", "targetRef": target})):
            body = {"subsets": [{"addresses": [address], "ports": [{"name": "http", "port": 80}]}]}
            await api.collections["Endpoints"].create(Object("Endpoints", Meta(name=name, namespace="default"), body))
        said = [await api.get(f"/api/v1/namespaces/default/services/{name}:http/proxy/x") for name in ("a", "b")]
        stranger = Identity("eve", ())
        return [one.said for one in said], [
            (await api.ask(method, path, identity=stranger)).said
            for method, path in (("POST", f"{PODS}/web/proxy/x"), ("GET", "/api/v1/nodes/n1/proxy/logs/"))
        ]

    said, strange = play(scene)
    assert said == [
        (503, "ServiceUnavailable", f'no endpoints available for service "{name}:http"') for name in ("a", "b")
    ]
    assert [(code, reason) for code, reason, _ in strange] == [(403, "Forbidden")] * 2
    assert 'User "eve" cannot create resource "pods/proxy" in API group "" in the namespace "default"' in strange[0][2]
