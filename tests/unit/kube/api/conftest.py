"""The Kubernetes door in process: requests in, answers out, no sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.object import Meta, Object
from coracle.core.store import MemoryStore
from coracle.kube.api.door import Insides, door
from coracle.kube.kinds import guards
from coracle.kube.kinds.accounttokens import Issuer
from coracle.kube.kinds.catalogue import kinds
from coracle.testing.autojump import run
from coracle.testing.metering import NoMeter
from coracle.testing.signing import PlainSigner
from coracle.web.messages import Identity, Request, Response, Stream

ADMIN = Identity("admin", ("system:masters",))
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
_TYPES = {"PATCH": "application/strategic-merge-patch+json"}


class NoStreams:
    """PodStreams of a cluster where nothing runs."""

    async def logs(self, pod, container, options) -> AsyncIterator[bytes]:
        async def read():
            yield f"{container} {options.tail_lines} {options.since_at_s}\n".encode()

        return read()


class Answer:
    """A Response, its JSON read."""

    def __init__(self, response: Response) -> None:
        body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        self.status, self.headers, self.raw = response.status, response.headers, body
        self.type = response.content_type
        is_text = response.content_type.startswith("application/json") and "Content-Encoding" not in self.headers
        self.doc = json.loads(body) if body and is_text else None

    @property
    def said(self):
        return self.doc["code"], self.doc["reason"], self.doc["message"]


class Api:
    def __init__(self, history: int = 1000) -> None:
        self.store, self.clock = MemoryStore(history), LoopClock()
        self.collections = {k.type: Collection(k, self.store, self.clock, guards.for_kind(k)) for k in kinds()}
        self.door = door(
            self.collections.values(),
            self.store,
            self.clock,
            Insides(
                NoStreams(), NoMeter(), Issuer("https://kubernetes.default.svc", PlainSigner(), self.store, self.clock)
            ),
        )

    async def begin(self) -> Api:
        await self.collections["Namespace"].create(Object("Namespace", Meta(name="default")))
        return self

    async def ask(self, method, target, body=None, identity=ADMIN, **headers):
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("content-type", _TYPES.get(method, "application/json"))
        request = Request(method, target, named, raw, identity=identity)
        answer = await self.door.handler(request)
        return Answer(answer) if isinstance(answer, Response) else answer

    async def get(self, target, **headers):
        return await self.ask("GET", target, **headers)

    async def config_map(self, name, labels=None, **data):
        doc = {"metadata": {"name": name, "labels": labels or {}}, "data": data}
        answer = await self.ask("POST", "/api/v1/namespaces/default/configmaps", doc)
        assert answer.status == 201, answer.doc
        return answer.doc

    async def watch(self, target, **headers):
        stream = await self.get(target, **headers)
        assert isinstance(stream, Stream)
        return Watching(stream)


class Watching:
    """An open watch, its events one by one."""

    def __init__(self, stream: Stream) -> None:
        self._chunks, self._lines = stream.chunks, []

    async def next(self):
        """The next event; None at the end."""
        while not self._lines:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return None
            self._lines = [json.loads(line) for line in chunk.splitlines()]
        return self._lines.pop(0)

    async def names(self, count):
        """(type, name) of the next events."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"]["name"]) for event in events]

    async def quiet(self, seconds_s):
        """Whether nothing comes for that long (virtual) time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds_s):
                await self.next()
                return False
        return True

    async def close(self):
        await self._chunks.aclose()


@pytest.fixture
def play():
    """Run `scene(api)` on virtual time over a door of its own."""

    def playing(scene, history=1000):
        async def main():
            return await scene(await Api(history).begin())

        return run(main())

    return playing
