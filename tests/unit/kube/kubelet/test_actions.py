"""What hooks do over the network."""

import asyncio

import pytest

from coracle.core.clock import LoopClock
from coracle.kube.kubelet.actions import ActionFailed, Actions, Where
from suites.attempts import a_pod


def hooked(scheme, *headers):
    """What a server that speaks HTTP is asked by a hook; its first answer is to what is no HTTP."""
    asked = []

    async def serve(reader, writer):
        begun = await reader.read(4)
        if begun == b"GET ":
            asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" if begun == b"GET " else b"HTTP/1.0 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def main():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            get = {"scheme": scheme, "port": port, "httpHeaders": [{"name": name, "value": "x"} for name in headers]}
            await Actions(None, LoopClock()).hook({"httpGet": get}, Where(a_pod(), {}, "id", "127.0.0.1"))

    asyncio.run(main())
    return asked


def test_a_hook_meant_for_https_is_brought_to_a_server_of_http():
    (asked,) = hooked("HTTPS", "Authorization", "X-Mine")
    assert "X-Mine: x" in asked
    assert "Authorization" not in asked


def test_a_hook_meant_for_http_says_all():
    (asked,) = hooked("HTTP", "Authorization")
    assert "Authorization: x" in asked


def test_a_hook_that_nobody_knows_fails():
    with pytest.raises(ActionFailed, match="invalid handler: tcpSocket"):
        asyncio.run(Actions(None, LoopClock()).hook({"tcpSocket": {"port": 1}}, Where(a_pod(), {}, "id", "127.0.0.1")))
