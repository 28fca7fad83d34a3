"""Watches over a WebSocket, and tokens among its subprotocols."""

from __future__ import annotations

import asyncio
import base64
import json

from wsproto.connection import ConnectionType
from wsproto.events import CloseConnection, TextMessage

from coracle.web.frames import Frames
from coracle.web.messages import Request
from unit.kube.api.conftest import ADMIN

MAPS = "/api/v1/namespaces/default/configmaps"
BEARER = "base64url.bearer.authorization.k8s.io."


def handshake(target, protocols=""):
    headers = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13"}
    if protocols:
        headers["sec-websocket-protocol"] = protocols
    request = Request("GET", target, headers)
    request.upgrade = "websocket"
    return request


class Wire:
    """A RawStream whose other end is a client that closes when it is told to."""

    def __init__(self):
        self.client = Frames(10_000_000, ConnectionType.CLIENT)
        self.sent, self.leaving = b"", asyncio.Event()

    async def read(self, limit_bytes=65536):
        await self.leaving.wait()
        self.leaving.clear()
        return self.client._wire.send(CloseConnection(1000))

    async def write(self, data):
        self.sent += data

    def got(self):
        self.client._wire.receive_data(self.sent)
        self.sent = b""
        return [json.loads(event.data) for event in self.client._wire.events() if isinstance(event, TextMessage)]


def test_each_event_is_a_message_until_the_client_goes(play):
    async def scene(api):
        await api.config_map("a")
        request = handshake(f"{MAPS}?watch=1", "base64.binary.k8s.io")
        request.identity = ADMIN
        answer = await api.door.handler(request)
        wire = Wire()
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(answer.run(wire))
            await asyncio.sleep(1)
            await api.config_map("b")
            await asyncio.sleep(1)
            told = [(one["type"], one["object"]["metadata"]["name"]) for one in wire.got()]
            wire.leaving.set()
            await speaking
        return answer.headers["Sec-WebSocket-Protocol"], told

    protocol, told = play(scene)
    assert protocol == "base64.binary.k8s.io"
    assert told == [("ADDED", "a"), ("ADDED", "b")]


def test_a_browser_shows_its_token_among_the_subprotocols(play):
    async def scene(api):
        await api.ask("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "robot"}})
        made = await api.ask("POST", "/api/v1/namespaces/default/serviceaccounts/robot/token", {})
        said = []
        for token in (made.doc["status"]["token"], "none"):
            packed = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
            request = handshake(f"{MAPS}?watch=1", f"{BEARER}{packed}, base64.binary.k8s.io")
            said.append(json.loads((await api.door.handler(request)).body)["message"])
        return said

    known, unknown = play(scene)
    assert 'User "system:serviceaccount:default:robot" cannot watch resource "configmaps"' in known
    assert unknown == "Unauthorized"
