import asyncio
import contextlib
from ipaddress import IPv4Address, IPv4Network, ip_network

import pytest

from coracle.core import claims
from coracle.core.clock import LoopClock
from coracle.core.errors import AlreadyExists, Broken, Forbidden, Malformed, NotFound
from coracle.core.store import MemoryStore
from coracle.engine.networks import BRIDGE, PODS, Networks, NetworkSpec
from coracle.engine.sandboxes import Endpoint, Sandboxes, SandboxSpec
from coracle.net.api import Network
from coracle.net.fake import FakeNet
from coracle.net.names import Names
from coracle.testing.autojump import run

CLUSTER = Network("pods", "cor0", IPv4Network("10.32.0.0/16"), IPv4Address("10.32.0.1"), isolated=False)


class Ground:
    """What others have on a host of the imagination."""

    def __init__(self, *others):
        self.others = [(ip_network(subnet), whose) for subnet, whose in others]
        self.turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def alone(self):
        async with self.turn:
            yield self.others


class World:
    """A store and a kernel on which networks stand, one life after another."""

    def __init__(self, root):
        self.store, self.net, self.clock, self.ground = MemoryStore(), FakeNet(), LoopClock(), Ground()
        self.paths = {"root_path": str(root / "state"), "run_path": str(root / "run")}

    async def begin(self):
        names = Names([], self.clock)
        self.networks = Networks(self.store, self.clock, self.net, names, self.ground, tag="cor", pods=CLUSTER)
        await self.networks.adopt()
        self.sandboxes = Sandboxes(self.store, self.clock, self.net, self.networks, names, **self.paths)
        await self.sandboxes.adopt()
        return self.networks

    def subnet(self, name):
        return str(self.networks.find(name).subnet)


def with_world(main, tmp_path, *others):
    async def whole():
        world = World(tmp_path)
        world.ground = Ground(*others)
        await world.begin()
        return await main(world)

    return run(whole())


def test_two_are_there_from_the_beginning(tmp_path):
    async def main(world):
        assert [record.spec["name"] for record in world.networks.list()] == [BRIDGE, PODS]
        assert world.networks.find(PODS) == CLUSTER
        assert world.subnet(BRIDGE) == "172.17.0.0/16"
        assert not world.networks.find(BRIDGE).isolated
        assert set(world.net.networks) == {BRIDGE, PODS}

    with_world(main, tmp_path)


def test_a_network_is_made_and_removed(tmp_path):
    async def main(world):
        record = await world.networks.create(NetworkSpec(name="n1", labels={"a": "b"}, details={"Driver": "bridge"}))
        network = world.net.networks["n1"]
        assert network == world.networks.find("n1")
        assert (str(network.subnet), str(network.gateway), network.isolated) == ("172.18.0.0/16", "172.18.0.1", True)
        assert network.bridge == f"cor{record.meta.name[:8]}"
        assert (record.status["state"], record.meta.labels) == ("ready", {"a": "b"})
        await world.networks.remove(record.meta.name)
        assert "n1" not in world.net.networks
        assert not [e for e in world.store.entries(claims.TYPE) if "n1" in e.key.name]
        with pytest.raises(NotFound):
            world.networks.find("n1")
        with pytest.raises(NotFound):
            await world.networks.remove(record.meta.name)

    with_world(main, tmp_path)


def test_a_network_is_found_by_id_name_and_the_beginning_of_its_id(tmp_path):
    async def main(world):
        record = await world.networks.create(NetworkSpec(name="n1"))
        other = await world.networks.create(NetworkSpec(name=record.meta.name[:10]))
        for text in (record.meta.name, "n1", record.meta.name[:20]):
            assert world.networks.get(text).meta.name == record.meta.name
        assert world.networks.get(record.meta.name[:10]).meta.name == other.meta.name  # a name goes before a beginning
        with pytest.raises(NotFound, match="network nope not found"):
            world.networks.get("nope")
        with pytest.raises(NotFound):
            world.networks.get("")
        for number in range(16):
            await world.networks.create(NetworkSpec(name=f"x{number}"))
        beginnings = [one.meta.name[0] for one in world.networks.list()]
        several = next(sign for sign in beginnings if beginnings.count(sign) > 1)
        with pytest.raises(Malformed, match="is ambiguous"):
            world.networks.get(several)

    with_world(main, tmp_path)


def test_everything_may_be_chosen(tmp_path):
    async def main(world):
        spec = NetworkSpec(
            name="n1",
            subnet="10.1.0.0/24",
            gateway="10.1.0.254",
            range="10.1.0.128/25",
            ipv6=True,
            subnet6="fd00::/64",
            reserved=("10.1.0.129",),
            bridge="br-mine",
            mtu=1400,
            internal=True,
            masquerade=False,
            icc=False,
        )
        await world.networks.create(spec)
        network = world.net.networks["n1"]
        assert (str(network.gateway), str(network.pool), str(network.gateway6)) == (
            "10.1.0.254",
            "10.1.0.128/25",
            "fd00::1",
        )
        assert (network.bridge, network.mtu, network.internal) == ("br-mine", 1400, True)
        assert (network.masquerade, network.icc, network.reserved) == (False, False, (IPv4Address("10.1.0.129"),))

    with_world(main, tmp_path)


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (NetworkSpec(name=BRIDGE), AlreadyExists),
        (NetworkSpec(name="n1", subnet="172.17.9.0/24"), Forbidden),
        (NetworkSpec(name="n1", subnet="10.9.0.0/24"), Forbidden),
        (NetworkSpec(name="n1", subnet="10.1.0.0/24", gateway="10.2.0.1"), Malformed),
        (NetworkSpec(name="n1", subnet="10.1.0.0/24", reserved=("10.2.0.1",)), Malformed),
        (NetworkSpec(name="n1", bridge="cor0"), AlreadyExists),
    ],
)
def test_what_cannot_be_leaves_nothing(tmp_path, spec, error):
    async def main(world):
        before = (dict(world.net.networks), [entry.key for entry in world.store.entries(claims.TYPE)])
        with pytest.raises(error):
            await world.networks.create(spec)
        assert (dict(world.net.networks), [entry.key for entry in world.store.entries(claims.TYPE)]) == before
        assert len(world.networks.list()) == 2

    with_world(main, tmp_path, ("10.9.0.0/16", "link eth9"))


def test_those_made_at_once_do_not_share(tmp_path):
    async def main(world):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(world.networks.create(NetworkSpec(name=f"n{number}"))) for number in range(20)]
        assert len({task.result().spec["subnet"] for task in tasks}) == 20

    with_world(main, tmp_path)


def test_a_kernel_that_fails_leaves_nothing(tmp_path):
    async def main(world):
        async def ensure_network(network):
            raise Broken("no more links")

        world.net.ensure_network = ensure_network
        with pytest.raises(Broken):
            await world.networks.create(NetworkSpec(name="n1"))
        del world.net.ensure_network
        await world.networks.create(NetworkSpec(name="n1"))

    with_world(main, tmp_path)


def test_a_network_in_use_stays(tmp_path):
    async def main(world):
        record = await world.networks.create(NetworkSpec(name="n1"))
        await world.sandboxes.ensure(SandboxSpec(name="c1", endpoints=(Endpoint(network="n1"),)))
        assert [one.meta.name for one in world.networks.members("n1")] == ["c1"]
        with pytest.raises(Forbidden, match="network n1 has active endpoints"):
            await world.networks.remove(record.meta.name)
        assert world.networks.find("n1")
        await world.sandboxes.remove("c1")
        await world.networks.remove(record.meta.name)
        for name in (BRIDGE, PODS):
            with pytest.raises(Forbidden, match="pre-defined network and cannot be removed"):
                await world.networks.remove(world.networks.get(name).meta.name)

    with_world(main, tmp_path)


def test_nobody_is_plugged_into_what_is_being_removed(tmp_path):
    async def main(world):
        for _ in range(20):
            record = await world.networks.create(NetworkSpec(name="n1"))
            plugged = SandboxSpec(name="c1", endpoints=(Endpoint(network="n1"),))
            outcomes = await asyncio.gather(
                world.sandboxes.ensure(plugged), world.networks.remove(record.meta.name), return_exceptions=True
            )
            assert [isinstance(one, Exception) for one in outcomes].count(True) == 1, outcomes
            await world.sandboxes.remove("c1")
            if isinstance(outcomes[1], Exception):
                assert world.networks.find("n1")
                await world.networks.remove(record.meta.name)

    with_world(main, tmp_path)


def test_a_removal_that_failed_is_tried_again(tmp_path):
    async def main(world):
        record = await world.networks.create(NetworkSpec(name="n1"))
        remove_network = world.net.remove_network

        async def fail(network):
            world.net.remove_network = remove_network
            raise Broken("the kernel is busy")

        world.net.remove_network = fail
        with pytest.raises(Broken):
            await world.networks.remove(record.meta.name)
        with pytest.raises(NotFound):
            world.networks.find("n1")
        await world.networks.remove(world.networks.get("n1").meta.name)
        await world.networks.create(NetworkSpec(name="n1"))

    with_world(main, tmp_path)


def test_another_life_finds_what_there_was(tmp_path):
    async def main(world):
        await world.networks.create(NetworkSpec(name="n1"))
        before = {name: world.networks.find(name) for name in (BRIDGE, PODS, "n1")}
        ids = {record.meta.name for record in world.networks.list()}
        world.net.networks.clear()  # a reboot
        await world.begin()
        assert world.net.networks == before
        assert {record.meta.name for record in world.networks.list()} == ids

    with_world(main, tmp_path)


@pytest.mark.parametrize("state", ["making", "removing"])
def test_what_was_half_made_or_half_gone_is_removed(tmp_path, state):
    async def main(world):
        record = await world.networks.create(NetworkSpec(name="n1"))
        await world.networks._records.change(record.key, lambda now: now.with_status(state=state))
        await world.begin()
        assert "n1" not in world.net.networks
        await world.networks.create(NetworkSpec(name="n1"))

    with_world(main, tmp_path)


def test_what_was_about_to_go_stays_where_somebody_came_in(tmp_path):
    async def main(world):
        record = await world.networks.create(NetworkSpec(name="n1"))
        await world.networks._records.change(record.key, lambda now: now.with_status(state="removing"))
        await world.sandboxes.ensure(SandboxSpec(name="c1", endpoints=(Endpoint(network="n1"),)))
        await world.begin()
        assert world.networks.find("n1")
        await world.sandboxes.remove("c1")
        await world.networks.remove(record.meta.name)

    with_world(main, tmp_path)


def test_a_subnet_that_somebody_took_is_given_up_where_it_was_ours_to_choose(tmp_path):
    async def main(world):
        chosen = await world.networks.create(NetworkSpec(name="ours", labels={"a": "b"}))
        used = await world.networks.create(NetworkSpec(name="used"))
        await world.sandboxes.ensure(SandboxSpec(name="c1", endpoints=(Endpoint(network="used"),)))
        world.ground = Ground(
            ("172.17.0.0/16", "link docker0"), ("172.18.0.0/15", "cloud other"), ("10.0.0.0/8", "vpn")
        )
        await world.begin()
        assert world.subnet(BRIDGE) == "172.20.0.0/16"
        assert world.subnet("ours") == "172.21.0.0/16"
        assert world.subnet("used") == used.spec["subnet"] == "172.19.0.0/16"
        moved = world.networks.get("ours")
        assert (moved.meta.name, moved.meta.labels) == (chosen.meta.name, {"a": "b"})
        assert moved.spec["bridge"] == chosen.spec["bridge"]

    with_world(main, tmp_path)


def test_routes_of_its_own_link_are_no_reason_to_move(tmp_path):
    async def main(world):
        record = await world.networks.create(NetworkSpec(name="n1", bridge="br-mine"))
        world.ground = Ground((record.spec["subnet"], "link br-mine"))
        await world.begin()
        assert world.subnet("n1") == record.spec["subnet"]

    with_world(main, tmp_path)


def test_a_network_that_the_kernel_refuses_is_listed_and_said_why(tmp_path):
    async def main(world):
        record = await world.networks.create(NetworkSpec(name="n1", subnet="10.1.0.0/24"))
        ensure_network = world.net.ensure_network

        async def refuse(network):
            if network.name == "n1":
                raise AlreadyExists("10.1.0.0/24 is in use by eth9")
            await ensure_network(network)

        world.net.ensure_network = refuse
        await world.begin()
        assert world.networks.get("n1").meta.name == record.meta.name
        with pytest.raises(AlreadyExists, match="in use by eth9"):
            world.networks.find("n1")
        await world.networks.remove(record.meta.name)
        assert len(world.networks.list()) == 2

    with_world(main, tmp_path)
