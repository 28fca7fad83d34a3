"""The areas of streams over an engine on fakes, and a client's end of a connection."""

import asyncio
import contextlib
from collections import deque
from types import SimpleNamespace

import orjson
import pytest

from coracle.core.informer import Informer
from coracle.core.tasks import running
from coracle.docker.containers.finding import Finder
from coracle.docker.events import Events
from coracle.docker.stats import Stats
from coracle.docker.streams.attach import Attach
from coracle.docker.streams.execs import ExecArea
from coracle.docker.streams.instances import Instances
from coracle.docker.streams.logs import ContainerLogs
from coracle.testing.autojump import run
from coracle.testing.engine import FakeEngine
from coracle.web.messages import Request


class Connection:
    """Sends `sends` and then closes its side, after `stays_s`."""

    def __init__(self, *sends, stays_s=0.0):
        self.sends, self.stays_s, self.heard = deque(sends), stays_s, b""

    async def read(self, limit_bytes=65536):
        await asyncio.sleep(0.01 if self.sends else self.stays_s)
        return self.sends.popleft() if self.sends else b""

    async def write(self, data):
        self.heard += data

    async def write_eof(self):
        pass

    def close(self):
        pass


class Home:
    """Everything, running; `call` asks an area's handler and gives (status, JSON) or the Answer itself."""

    client = Connection

    def __init__(self, tmp_path):
        self.engine = FakeEngine(tmp_path)
        engine = self.engine
        self.cache = Informer("Container.engine", engine.store)
        self.events = Events(engine.store, self.cache, engine.clock)
        self.instances = Instances(self.cache)
        finder = Finder(engine.store, engine.containers)
        self.attach = Attach(finder, engine.containers, engine.logs, self.events)
        self.execs = ExecArea(finder, engine.execs, self.instances, self.events)
        self.logs = ContainerLogs(finder, engine.logs, engine.clock)
        self.stats = Stats(finder, engine.containers, engine.sandboxes, engine.clock)

    @contextlib.asynccontextmanager
    async def running(self):
        async with contextlib.AsyncExitStack() as stack:
            for part in (self.cache, self.events, self.instances, self.stats):
                await stack.enter_async_context(running(part))
            async with self.engine.running():
                yield

    async def call(self, handler, id, query="", body=None, upgrade="tcp", mount=""):
        request = Request("POST", f"/x?{query}", body=b"" if body is None else orjson.dumps(body), params={"id": id})
        request.upgrade, request.mount = upgrade, mount
        return await handler(request)

    def told(self):
        """(action, attributes) of every event so far."""
        return [SimpleNamespace(action=event.action, **event.attributes) for event in self.events.kept()]


@pytest.fixture
def at_home(tmp_path):
    def play(main):
        async def whole():
            home = Home(tmp_path)
            async with home.running():
                return await main(home)

        return run(whole())

    return play
