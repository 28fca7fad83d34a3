"""Probes against small servers on the loopback interface."""

import asyncio
import contextlib

import pytest

from coracle.kube.kubelet.asking import AskingFailed, connect, grpc_health, http_get


@contextlib.asynccontextmanager
async def serving(*answers):
    """A server that gives these answers, one a connection; yields its port and what it was asked."""
    asked, left = [], list(answers)

    async def serve(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(left.pop(0))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


def redirect(to):
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\nmoved".encode()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answers", "asked", "expected"),
    [
        ([OK], {}, (200, "")),
        ([b"HTTP/1.0 503 Busy\r\n\r\n"], {}, (503, "")),
        ([redirect("/there"), OK], {}, (200, "")),
        ([redirect("http://elsewhere.example/")], {}, (302, "http://elsewhere.example/")),
        ([b"HTTP/1.1 304 Not Modified\r\n\r\n"], {}, (304, "")),
    ],
)
def test_http(answers, asked, expected):
    async def main():
        async with serving(*answers) as (port, _):
            heard = await http_get({"path": "/", **asked}, "127.0.0.1", port)
            return heard.status, heard.location

    assert asyncio.run(main()) == expected


@pytest.mark.parametrize("length", ["", "Content-Length: 5\r\n"])
def test_the_body_of_an_answer_that_leads_elsewhere_is_waited_for(length):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\n{length}\r\nm".encode())
        await writer.drain()
        await reader.read(0)
        writer.write(b"oved")
        await writer.drain()
        writer.close()

    async def main():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            return await http_get({}, "127.0.0.1", server.sockets[0].getsockname()[1])

    assert asyncio.run(main()).body == "moved"


def test_what_is_sent():
    async def main():
        async with serving(OK, OK) as (port, asked):
            headers = [{"name": "Host", "value": "shop"}, {"name": "X-A", "value": "1"}, {"name": "X-A", "value": "2"}]
            await http_get({"path": "a?b=c", "httpHeaders": headers}, "127.0.0.1", port)
            await http_get({}, "127.0.0.1", port)
            return port, [text.decode() for text in asked]

    port, (first, second) = asyncio.run(main())
    assert first.startswith("GET /a?b=c HTTP/1.1\r\nHost: shop\r\n")
    assert "X-A: 1\r\nX-A: 2\r\n" in first
    assert f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\n" in second


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([b"what?\r\n\r\n"], "malformed HTTP response"),
        ([b""], "EOF"),
        ([redirect("/again")] * 11, "stopped after 10 redirects"),
    ],
)
def test_bad_answers(answers, words):
    async def main():
        async with serving(*answers) as (port, _):
            await http_get({}, "127.0.0.1", port)

    with pytest.raises(AskingFailed, match=words):
        asyncio.run(main())


def test_nobody_there():
    async def main():
        async with serving() as (port, _):
            pass
        for ask in (http_get({}, "127.0.0.1", port), connect("127.0.0.1", port), grpc_health("127.0.0.1", port, "")):
            with pytest.raises(AskingFailed, match=f"dial tcp 127.0.0.1:{port}: connect: connection refused"):
                await ask

    asyncio.run(main())


def test_a_header_does_not_smuggle_a_request():
    header = {"name": "X", "value": "1\r\nGET /secret HTTP/1.1"}

    async def main():
        await http_get({"httpHeaders": [header]}, "127.0.0.1", 1)

    with pytest.raises(ValueError, match="line break"):
        asyncio.run(main())
