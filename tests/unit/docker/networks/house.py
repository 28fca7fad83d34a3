"""Docker's networks on a fake engine: the door's areas, and containers as if they ran, on virtual time."""

import contextlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

import orjson

from coracle.core.informer import Informer
from coracle.core.tasks import running
from coracle.docker.connecting import Connect, Wires
from coracle.docker.containers.finding import Finder
from coracle.docker.door import door
from coracle.docker.events import Events
from coracle.docker.networks.area import NetworksArea
from coracle.docker.networks.endpoints import endpoints_of
from coracle.docker.networks.known import KnownNetworks
from coracle.docker.ports import Ports
from coracle.engine.containers import ContainerSpec
from coracle.engine.networks import Networks
from coracle.engine.sandboxes import Sandboxes, SandboxSpec
from coracle.net.api import Network
from coracle.net.forwards import Forwards
from coracle.net.names import Names
from coracle.testing.autojump import run
from coracle.testing.engine import FakeEngine
from coracle.web.messages import Request

PODS = Network("pods", "cor0", IPv4Network("10.32.0.0/16"), IPv4Address("10.32.0.1"), isolated=False)


@dataclass
class Alone:
    """A host where nobody else is."""

    @contextlib.asynccontextmanager
    async def alone(self):
        yield []


class House:
    def __init__(self, root):
        self.engine = engine = FakeEngine(root)
        names = Names([], engine.clock)
        self.networks = Networks(engine.store, engine.clock, engine.net, names, Alone(), tag="cor", pods=PODS)
        paths = {"root_path": str(root / "state"), "run_path": str(root / "run")}
        self.sandboxes = Sandboxes(engine.store, engine.clock, engine.net, self.networks, names, **paths)
        self.cache = Informer("Container.engine", engine.store)
        self.events = Events(engine.store, self.cache, engine.clock)
        self.known, finder = KnownNetworks(self.networks), Finder(engine.store, engine.containers)
        self.ports = Ports(Forwards(engine.net, engine.clock), self.known.get)
        areas = (
            NetworksArea(self.networks, self.known, engine.containers, self.events, engine.clock),
            Connect(finder, engine.containers, Wires(self.known, self.sandboxes, self.ports), self.events),
        )
        self.door = door(areas)

    async def ask(self, method, target, body=None):
        """(status, what was said)."""
        answer = await self.door.handler(Request(method, target, body=orjson.dumps(body) if body is not None else b""))
        return answer.status, orjson.loads(answer.body) if answer.body else None

    async def create(self, name, **body):
        status, said = await self.ask("POST", "/networks/create", {"Name": name, **body})
        assert status == 201, said
        return said["Id"]

    async def container(self, name="web", mode="default", endpoints=None, starts=True, **host):
        """A container, and its sandbox as if it ran."""
        await self.engine.images.ensure("busybox")
        kept = {"bridge": {}} if endpoints is None else endpoints
        details = {"HostConfig": {"NetworkMode": mode, **host}, "NetworkingConfig": {"EndpointsConfig": kept}}
        spec = ContainerSpec(name=name, image="busybox", made_by="docker", details=details)
        record = await self.engine.containers.create(spec)
        if starts:
            plugged = endpoints_of(details, self.known.get)
            await self.sandboxes.ensure(SandboxSpec(name=record.meta.name, endpoints=plugged))
        return record.meta.name

    def plugged(self, id):
        return {one["network"]: one for one in self.sandboxes.find(id).status["endpoints"]}

    def kept(self, id):
        return self.engine.containers.get(id).spec["details"]["NetworkingConfig"]["EndpointsConfig"]

    def told(self):
        return [(event.action, event.attributes) for event in self.events.kept() if event.type == "network"]

    async def refused(self, path, body):
        status, said = await self.ask("POST", path, body)
        assert status >= 400
        return status, said["message"]


def with_house(main, root):
    async def whole():
        house = House(root)
        await house.networks.adopt()
        await house.sandboxes.adopt()
        async with running(house.cache), running(house.engine.containers), running(house.events):
            return await main(house)

    return run(whole())
