"""Docker's containers on a fake engine: lives, loops and the door's areas, on virtual time."""

import contextlib

import orjson

from coracle.core.errors import NotFound
from coracle.core.informer import Informer
from coracle.core.tasks import running
from coracle.docker.containers.area import Needs, container_areas
from coracle.docker.containers.finding import Finder
from coracle.docker.deeds import Deeds
from coracle.docker.door import door
from coracle.docker.events import Events
from coracle.docker.loops.endings import Keeper
from coracle.docker.loops.health import HealthChecks
from coracle.docker.mounts import Mounts
from coracle.docker.networks.known import KnownNetworks
from coracle.docker.ports import Ports
from coracle.engine.files import Files
from coracle.engine.kinds import network as networks
from coracle.engine.kinds.network import NetworkSpec
from coracle.net.forwards import Forwards
from coracle.testing.autojump import run
from coracle.testing.engine import FakeEngine
from coracle.web.messages import Request, Response, Stream

TYPE = "Container.engine"


class OneNetwork:
    """The engine's networks, of which there is one: "pods", which answers to Docker's name for its default too."""

    def get(self, text):
        if text not in ("pods", "bridge"):
            raise NotFound(f"network {text} not found", kind="Network", name=text)
        return networks.to_record("f" * 64, NetworkSpec(name="pods", subnet="10.32.0.0/16", gateway="10.32.0.1"))


class House:
    def __init__(self, root, before=None):
        self.engine = engine = FakeEngine(root, before.engine if before else None)
        self.cache = Informer(TYPE, engine.store)
        self.events = Events(engine.store, self.cache, engine.clock)
        self.forwards = Forwards(engine.net, engine.clock)
        self.deeds, mounts = Deeds(), Mounts(engine.volumes, engine.images, self.events.publish)
        self.health = HealthChecks(engine.containers, self.cache, engine.execs, self.events, engine.clock)
        lookup = KnownNetworks(OneNetwork()).get
        needs = Needs(
            clock=engine.clock,
            containers=engine.containers,
            images=engine.images,
            sandboxes=engine.sandboxes,
            lookup=lookup,
            ports=Ports(self.forwards, lookup),
            files=Files(engine.containers, engine.snapshotter),
            finder=Finder(engine.store, engine.containers),
            mounts=mounts,
            events=self.events,
            deeds=self.deeds,
            execs=lambda _id: [],
        )
        made = container_areas(needs, self.health)
        self.lives = made.lives
        self.keeper = Keeper(made.lives, made.homes, engine.containers, {TYPE: self.cache}, engine.store)
        self.door = door(made.areas)

    @contextlib.asynccontextmanager
    async def running(self):
        async with contextlib.AsyncExitStack() as stack:
            parts = (self.cache, self.engine.containers, self.events, self.deeds, self.keeper, self.health)
            for part in parts:
                await stack.enter_async_context(running(part))
            yield

    async def ask(self, method, target, body=None):
        """(status, what was said)."""
        answer = await self.door.handler(Request(method, target, body=orjson.dumps(body) if body is not None else b""))
        if isinstance(answer, Stream):
            said = b"".join([chunk async for chunk in answer.chunks])
        else:
            assert isinstance(answer, Response)
            said = answer.body
        return answer.status, orjson.loads(said) if said else None

    async def create(self, *argv, name="web", **host):
        config = host.pop("config", {})
        await self.engine.images.ensure("busybox")
        body = {"Image": "busybox", "Cmd": list(argv), "HostConfig": host, **config}
        status, said = await self.ask("POST", f"/containers/create?name={name}", body)
        assert status == 201, said
        return said["Id"]

    async def run(self, *argv, name="web", **host):
        id = await self.create(*argv, name=name, **host)
        assert (await self.ask("POST", f"/containers/{id}/start"))[0] == 204
        return id

    async def inspect(self, name):
        status, said = await self.ask("GET", f"/containers/{name}/json")
        return said if status == 200 else None

    async def status(self, name):
        found = await self.inspect(name)
        return found["State"]["Status"] if found else None


def with_house(main, root):
    """Run main(house) on virtual time."""

    async def whole():
        house, failures = House(root), []
        async with house.running():
            try:
                await main(house)
            except Exception as error:  # raised outside, where no task group wraps it
                failures.append(error)
        if failures:
            raise failures[0]

    run(whole())
