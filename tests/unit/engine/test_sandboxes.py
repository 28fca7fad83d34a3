import asyncio
import contextlib
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from coracle.core import claims
from coracle.core.errors import AlreadyExists, Conflict, Exhausted, Invalid, NotFound
from coracle.engine.sandboxes import DnsConfig, Endpoint, GivenNetworks, SandboxSpec
from coracle.net.api import Network
from coracle.net.fake import FakeNet
from coracle.testing.autojump import run
from coracle.testing.engine import PODS, FakeEngine

POD = SandboxSpec(
    name="pod-1",
    hostname="mypod",
    endpoints=(Endpoint(network="pods"),),
    labels={"io.kubernetes.pod.name": "a" * 200},
    owner="Pod default/mypod",
)


class DeafNet(FakeNet):
    """A kernel that fails at one operation, and remembers what was left."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    async def make_netns(self, path, users_path=""):
        await super().make_netns(path, users_path)
        if self.at == "make_netns":
            raise Exhausted("no namespaces left")

    async def plug(self, network, port):
        await super().plug(network, port)
        if self.at == "plug":
            raise Exhausted("no links left")


def with_engine(main, tmp_path, net=None):
    async def whole():
        engine = FakeEngine(tmp_path)
        if net is not None:
            engine.net = engine.sandboxes._net = net
            net.networks.update({PODS.name: PODS})
        await engine.sandboxes.adopt()
        return await main(engine)

    return run(whole())


def texts(directory):
    return {path.name: path.read_text() for path in Path(directory).iterdir()}


def held(engine):
    return [entry.key.name for entry in engine.store.entries(claims.TYPE)]


def test_each_sandbox_with_users_of_its_own_holds_a_range_of_ids(tmp_path):
    async def main(engine):
        one = await engine.sandboxes.ensure(replace(POD, own_users=True))
        other = await engine.sandboxes.ensure(replace(POD, name="other", own_users=True))
        plain = await engine.sandboxes.ensure(replace(POD, name="plain"))
        firsts = {one.status["first_id"], other.status["first_id"]}
        assert len(firsts) == 2
        assert "first_id" not in plain.status
        assert {name for name in held(engine) if name.startswith("user-ids/")} == {f"user-ids/{n}" for n in firsts}
        await engine.sandboxes.remove(POD.name)
        assert f"user-ids/{one.status['first_id']}" not in held(engine)

    with_engine(main, tmp_path)


def test_a_sandbox_has_an_address_a_plug_and_its_files(tmp_path):
    async def main(engine):
        dns = DnsConfig(servers=("10.64.0.10",), searches=("default.svc.cluster.local", "lan"), options=("ndots:5",))
        record = await engine.sandboxes.ensure(replace(POD, dns=dns, hosts=(("10.1.1.1", "db", "db.lan"),)))
        assert record.status["state"] == "ready"
        assert record.status["address"] == "10.32.0.2"
        assert str(engine.net.ports["pod-1/pods"].address) == "10.32.0.2"
        assert engine.net.namespaces == {record.status["netns_path"]}
        files = texts(engine.sandboxes.files_path("pod-1"))
        assert "10.32.0.2\tmypod\n10.1.1.1\tdb db.lan\n" in files["hosts"]
        assert files["hosts"].startswith("127.0.0.1\tlocalhost\n")
        assert files["hostname"] == "mypod\n"
        assert files["resolv.conf"] == (
            "nameserver 10.64.0.10\nsearch default.svc.cluster.local lan\noptions ndots:5\n"
        )

    with_engine(main, tmp_path)


def test_making_a_sandbox_takes_two_commits(tmp_path):
    async def main(engine):
        before = engine.store.revision
        await engine.sandboxes.ensure(POD)
        return engine.store.revision - before

    assert with_engine(main, tmp_path) == 2


def test_two_at_once_have_two_addresses_and_one_name_has_one(tmp_path):
    async def main(engine):
        specs = [replace(POD, name=f"pod-{i}") for i in (1, 2, 3, 1)]
        records = await asyncio.gather(*(engine.sandboxes.ensure(spec) for spec in specs))
        return [record.status["address"] for record in records]

    assert with_engine(main, tmp_path) == ["10.32.0.2", "10.32.0.3", "10.32.0.4", "10.32.0.2"]


def test_removing_leaves_nothing_and_can_be_done_twice(tmp_path):
    async def main(engine):
        await engine.sandboxes.ensure(POD)
        await engine.sandboxes.remove("pod-1")
        await engine.sandboxes.remove("pod-1")
        assert (engine.net.ports, engine.net.namespaces, held(engine)) == ({}, set(), [])
        assert engine.sandboxes.find("pod-1") is None
        assert not (tmp_path / "state/sandboxes/pod-1").exists()

    with_engine(main, tmp_path)


def test_an_address_is_not_given_again_at_once(tmp_path):
    async def main(engine):
        await engine.sandboxes.ensure(POD)
        await engine.sandboxes.remove("pod-1")
        return (await engine.sandboxes.ensure(POD)).status["address"]

    assert with_engine(main, tmp_path) == "10.32.0.3"


@pytest.mark.parametrize("at", ["make_netns", "plug"])
def test_a_failure_half_way_leaves_no_record_address_or_namespace(tmp_path, at):
    async def main(engine):
        with pytest.raises(Exhausted):
            await engine.sandboxes.ensure(POD)
        assert (engine.net.ports, engine.net.namespaces, held(engine)) == ({}, set(), [])
        assert engine.sandboxes.list() == []

    with_engine(main, tmp_path, DeafNet(at))


def test_what_a_dead_daemon_left_half_made_is_undone_by_the_next(tmp_path):
    class Killed(BaseException):
        pass

    class DyingNet(FakeNet):
        async def plug(self, network, port):
            await super().plug(network, port)
            self.unplug = self.drop_netns = self.die  # kill -9: the undo does not happen either
            raise Killed

        async def die(self, *_):
            raise Killed

    async def main(engine):
        with contextlib.suppress(Killed):
            await engine.sandboxes.ensure(POD)
        assert engine.sandboxes.find("pod-1").status["state"] == "making"
        del engine.net.unplug, engine.net.drop_netns
        heir = FakeEngine(tmp_path, before=engine)
        await heir.sandboxes.adopt()
        assert (heir.net.ports, heir.net.namespaces, held(heir), heir.sandboxes.list()) == ({}, set(), [], [])

    with_engine(main, tmp_path, DyingNet())


def test_a_sandbox_whose_namespace_is_gone_is_mended_with_its_address(tmp_path):
    async def main(engine):
        first = await engine.sandboxes.ensure(POD)
        engine.net.ports.clear()
        engine.net.namespaces.clear()  # a reboot
        again = await engine.sandboxes.ensure(POD)
        assert again.status["address"] == first.status["address"]
        assert engine.net.ports["pod-1/pods"].netns_path == first.status["netns_path"]
        assert ("mended" in first.status, again.status["mended"]) == (False, 1)

    with_engine(main, tmp_path)


def test_the_hosts_network_needs_no_address_and_no_plug(tmp_path):
    async def main(engine):
        record = await engine.sandboxes.ensure(replace(POD, host_network=True, endpoints=()))
        assert (record.status["netns_path"], record.status["utsns_path"], record.status["address"]) == (
            "host",
            "host",
            "",
        )
        assert (engine.net.ports, held(engine)) == ({}, [])
        await engine.sandboxes.remove("pod-1")
        assert engine.sandboxes.list() == []

    with_engine(main, tmp_path)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"endpoints": (Endpoint(network="other"),)}, NotFound, id="a network nobody knows"),
        pytest.param({"hosts": (("1.1.1.1", "a\n2.2.2.2 b"),)}, Invalid, id="a line break in hosts"),
        pytest.param({"name": "../x"}, Invalid, id="a name that is a path"),
        pytest.param({"sysctls": {"kernel.panic": "1"}}, Invalid, id="a sysctl of the host"),
        pytest.param(
            {"sysctls": {"net.ipv4.ip_forward": "1"}, "host_network": True, "endpoints": ()},
            Invalid,
            id="the host's network",
        ),
    ],
)
def test_bad_wishes_are_refused_and_nothing_is_made(tmp_path, change, error):
    async def main(engine):
        with pytest.raises(error):
            await engine.sandboxes.ensure(replace(POD, **change))
        assert (engine.sandboxes.list(), held(engine), engine.net.namespaces) == ([], [], set())

    with_engine(main, tmp_path)


# -- several networks ------------------------------------------------------------------------------------------------

SHOP = Network("shop", "corshop", IPv4Network("10.5.0.0/24"), IPv4Address("10.5.0.1"))
DUAL = replace(
    SHOP,
    name="dual",
    subnet=IPv4Network("10.6.0.0/24"),
    gateway=IPv4Address("10.6.0.1"),
    subnet6=IPv6Network("fd00:6::/64"),
    gateway6=IPv6Address("fd00:6::1"),
)
INNER = replace(SHOP, name="inner", subnet=IPv4Network("10.7.0.0/24"), gateway=IPv4Address("10.7.0.1"), internal=True)
POOLED = replace(
    SHOP,
    name="pooled",
    subnet=IPv4Network("10.8.0.0/24"),
    gateway=IPv4Address("10.8.0.129"),
    pool=IPv4Network("10.8.0.128/30"),
    reserved=(IPv4Address("10.8.0.128"),),
)
WEB = SandboxSpec(name="web-1", hostname="web", dns=DnsConfig(embedded=True))


class Ears:
    """Who answers names, as far as it is told of askers."""

    def __init__(self):
        self.known = {}

    def know(self, asker):
        self.known[asker.name] = asker

    def forget(self, name):
        self.known.pop(name, None)


def with_networks(main, tmp_path, net=None):
    """As `with_engine`, with more networks; `engine.ears` hears who asks for names."""

    async def whole(engine):
        several(engine)
        return await main(engine)

    return with_engine(whole, tmp_path, net)


def several(engine):
    networks = (PODS, SHOP, DUAL, INNER, POOLED)
    engine.sandboxes._networks = engine.sandboxes._plugs._networks = GivenNetworks(networks)
    engine.net.networks.update({network.name: network for network in networks})
    engine.ears = engine.sandboxes._names = Ears()
    engine.sandboxes._is_whole = lambda record: record.status["netns_path"] in {"host", *engine.net.namespaces}


def on(*names, **more):
    return tuple(Endpoint(network=name, **more) for name in names)


def plugged(engine, name="web-1"):
    """The plugs of a sandbox by network: interface, address, whether they lead out."""
    mine = [port for port in engine.net.ports.values() if port.id.startswith(f"{name}/")]
    return {port.network: (port.interface, str(port.address), port.leads) for port in mine}


def test_a_sandbox_has_a_plug_for_each_endpoint_and_leads_out_by_the_first_name(tmp_path):
    async def main(engine):
        record = await engine.sandboxes.ensure(replace(WEB, endpoints=on("shop", "inner", "dual")))
        assert plugged(engine) == {
            "shop": ("eth0", "10.5.0.2", False),
            "inner": ("eth1", "10.7.0.2", False),
            "dual": ("eth2", "10.6.0.2", True),
        }
        assert (record.status["address"], record.status["primary"]) == ("10.6.0.2", "dual")
        assert [one["gateway"] for one in record.status["endpoints"]] == ["10.5.0.1", "10.7.0.1", "10.6.0.1"]
        assert record.status["endpoints"][2]["address6"] == "fd00:6::2"
        files = texts(engine.sandboxes.files_path("web-1"))
        assert "nameserver 10.6.0.1\n" in files["resolv.conf"]
        assert "options ndots:0\n" in files["resolv.conf"]
        for address in ("10.5.0.2", "10.7.0.2", "10.6.0.2", "fd00:6::2"):
            assert f"\n{address}\tweb\n" in files["hosts"]
        asker = engine.ears.known["web-1"]
        assert (set(asker.networks), asker.outside) == ({"shop", "inner", "dual"}, True)

    with_networks(main, tmp_path)


def test_the_highest_priority_leads_out(tmp_path):
    async def main(engine):
        endpoints = (*on("dual", "inner"), *on("shop", priority=1))
        await engine.sandboxes.ensure(replace(WEB, endpoints=endpoints))
        return {network: leads for network, (_, _, leads) in plugged(engine).items()}

    assert with_networks(main, tmp_path) == {"dual": False, "inner": False, "shop": True}


def test_internal_networks_lead_nowhere_and_are_asked_nothing_outside(tmp_path):
    async def main(engine):
        record = await engine.sandboxes.ensure(replace(WEB, endpoints=on("inner", priority=9)))
        assert plugged(engine) == {"inner": ("eth0", "10.7.0.2", False)}
        assert record.status["primary"] == "inner"
        assert not engine.ears.known["web-1"].outside
        assert "nameserver 10.7.0.1\n" in texts(engine.sandboxes.files_path("web-1"))["resolv.conf"]

    with_networks(main, tmp_path)


def test_no_endpoint_is_a_loopback_alone(tmp_path):
    async def main(engine):
        record = await engine.sandboxes.ensure(WEB)
        assert (record.status["address"], record.status["endpoints"]) == ("", [])
        assert engine.net.namespaces == {record.status["netns_path"]}
        assert engine.ears.known == {}

    with_networks(main, tmp_path)


def test_connecting_and_disconnecting_move_the_way_out(tmp_path):
    async def main(engine):
        await engine.sandboxes.ensure(replace(WEB, endpoints=on("shop")))
        record = await engine.sandboxes.connect("web-1", Endpoint(network="dual", aliases=("www",)))
        assert plugged(engine) == {"shop": ("eth0", "10.5.0.2", False), "dual": ("eth1", "10.6.0.2", True)}
        assert [one["state"] for one in record.status["endpoints"]] == ["ready", "ready"]
        assert record.spec["endpoints"][1]["aliases"] == ["www"]
        assert "nameserver 10.6.0.1\n" in texts(engine.sandboxes.files_path("web-1"))["resolv.conf"]
        record = await engine.sandboxes.disconnect("web-1", "dual")
        assert plugged(engine) == {"shop": ("eth0", "10.5.0.2", True)}
        assert (record.status["primary"], record.status["address"]) == ("shop", "10.5.0.2")
        assert "10.6.0.2" not in texts(engine.sandboxes.files_path("web-1"))["hosts"]
        assert engine.ears.known["web-1"].networks == ("shop",)
        assert not any("10.6.0.2" in name for name in held(engine))
        await engine.sandboxes.disconnect("web-1", "shop")
        assert (plugged(engine), held(engine)) == ({}, [])

    with_networks(main, tmp_path)


@pytest.mark.parametrize(
    ("endpoint", "error", "said"),
    [
        pytest.param(Endpoint(network="shop"), AlreadyExists, "already connected", id="twice"),
        pytest.param(Endpoint(network="no"), NotFound, "Network no", id="to nothing"),
        pytest.param(Endpoint(network="dual", address="10.6.0.9"), AlreadyExists, "Address already in use", id="taken"),
        pytest.param(
            Endpoint(network="dual", address="10.6.0.1"), AlreadyExists, "Address already", id="the gateway's"
        ),
        pytest.param(Endpoint(network="dual", address6="fd00:6::1"), AlreadyExists, "Address already", id="by IPv6"),
        pytest.param(Endpoint(network="dual", address="10.9.0.1"), Invalid, "does not belong", id="a foreign address"),
        pytest.param(Endpoint(network="inner", address6="fd00::1"), Invalid, "does not belong", id="without IPv6"),
        pytest.param(Endpoint(network="dual", address="x"), Invalid, "IP address", id="no address"),
        pytest.param(Endpoint(network="dual", mac="01:00:00:00:00:01"), Invalid, "one station", id="a group's MAC"),
        pytest.param(Endpoint(network="dual", interface="a/b"), Invalid, "name for a link", id="a path"),
        pytest.param(Endpoint(network="dual", interface="eth0"), AlreadyExists, "eth0", id="a taken interface"),
    ],
)
def test_bad_connections_are_refused_and_leave_nothing(tmp_path, endpoint, error, said):
    async def main(engine):
        await engine.sandboxes.ensure(replace(WEB, endpoints=on("shop")))
        await engine.sandboxes.ensure(SandboxSpec(name="other", endpoints=on("dual", address="10.6.0.9")))
        before = engine.sandboxes.find("web-1"), plugged(engine), held(engine)
        with pytest.raises(error, match=said):
            await engine.sandboxes.connect("web-1", endpoint)
        after = engine.sandboxes.find("web-1"), plugged(engine), held(engine)
        assert after[1:] == before[1:]
        assert (after[0].spec, after[0].status) == (before[0].spec, before[0].status)

    with_networks(main, tmp_path)


@pytest.mark.parametrize("verb", ["connect", "disconnect"])
def test_what_is_not_there_cannot_be_connected(tmp_path, verb):
    async def main(engine):
        await engine.sandboxes.ensure(replace(WEB, host_network=True))
        argument = Endpoint(network="shop") if verb == "connect" else "shop"
        with pytest.raises(NotFound):
            await getattr(engine.sandboxes, verb)("nobody", argument)
        with pytest.raises(Conflict if verb == "connect" else NotFound):
            await getattr(engine.sandboxes, verb)("web-1", argument)

    with_networks(main, tmp_path)


def test_addresses_are_given_from_the_pool_and_by_wish(tmp_path):
    async def main(engine):
        wishes = ("", "", "10.8.0.7")
        specs = [replace(WEB, name=f"s{n}", endpoints=on("pooled", address=wish)) for n, wish in enumerate(wishes)]
        records = [await engine.sandboxes.ensure(spec) for spec in specs]
        with pytest.raises(Exhausted):
            await engine.sandboxes.ensure(replace(WEB, name="s4", endpoints=on("pooled")))
        return [record.status["address"] for record in records]

    assert with_networks(main, tmp_path) == ["10.8.0.130", "10.8.0.131", "10.8.0.7"]


@pytest.mark.parametrize("at", ["plug", "unplug"])
def test_what_was_half_connected_when_the_daemon_died_is_taken_out_by_the_next(tmp_path, at):
    class Killed(BaseException):
        pass

    class DyingNet(FakeNet):
        dying = False

        async def plug(self, network, port):
            await super().plug(network, port)
            self.die()

        async def unplug(self, port):
            self.die()
            await super().unplug(port)

        def die(self):
            if self.dying:
                raise Killed

    async def main(engine):
        await engine.sandboxes.ensure(replace(WEB, endpoints=on("shop", *(["dual"] if at == "unplug" else []))))
        engine.net.dying = True
        with contextlib.suppress(Killed):
            if at == "plug":
                await engine.sandboxes.connect("web-1", Endpoint(network="dual"))
            else:
                await engine.sandboxes.disconnect("web-1", "dual")
        engine.net.dying = False
        assert [one["state"] for one in engine.sandboxes.find("web-1").status["endpoints"]] != ["ready"]
        heir = FakeEngine(tmp_path, before=engine)
        several(heir)
        await heir.sandboxes.adopt()
        assert plugged(heir) == {"shop": ("eth0", "10.5.0.2", True)}
        record = heir.sandboxes.find("web-1")
        assert [one["network"] for one in record.status["endpoints"]] == ["shop"]
        assert [wish["network"] for wish in record.spec["endpoints"]] == ["shop"]
        assert heir.ears.known["web-1"].networks == ("shop",)

    with_networks(main, tmp_path, DyingNet())


@pytest.mark.parametrize(
    ("dns", "expected"),
    [
        pytest.param(DnsConfig(embedded=True, searches=(".",)), "nameserver 10.5.0.1\noptions ndots:0\n", id="plain"),
        pytest.param(
            DnsConfig(embedded=True, servers=("9.9.9.9",), searches=("lan",), options=("ndots:2", "rotate")),
            "nameserver 10.5.0.1\nsearch lan\noptions ndots:2 rotate\n",
            id="servers are asked by us",
        ),
        pytest.param(DnsConfig(servers=("9.9.9.9",)), "nameserver 9.9.9.9\n", id="not embedded"),
    ],
)
def test_resolv_conf(tmp_path, dns, expected):
    async def main(engine):
        await engine.sandboxes.ensure(replace(WEB, dns=dns, endpoints=on("shop")))
        assert engine.ears.known["web-1"].servers == (dns.servers if dns.embedded else ())
        return texts(engine.sandboxes.files_path("web-1"))["resolv.conf"]

    assert with_networks(main, tmp_path) == expected


def test_a_domain_is_part_of_the_own_name(tmp_path):
    async def main(engine):
        await engine.sandboxes.ensure(replace(WEB, domain="lan", endpoints=on("shop")))
        return texts(engine.sandboxes.files_path("web-1"))["hosts"].splitlines()[-1]

    assert with_networks(main, tmp_path) == "10.5.0.2\tweb.lan web"


def test_a_network_that_is_not_there_any_more_is_in_nobodys_way(tmp_path):
    async def main(engine):
        await engine.sandboxes.ensure(replace(WEB, endpoints=on("shop", "dual")))
        heir = FakeEngine(tmp_path, before=engine)
        several(heir)
        heir.sandboxes._networks = heir.sandboxes._plugs._networks = GivenNetworks([SHOP])
        await heir.sandboxes.adopt()
        assert heir.ears.known["web-1"].networks == ("shop", "dual")
        record = await heir.sandboxes.disconnect("web-1", "dual")
        assert record.status["primary"] == "shop"
        await heir.sandboxes.remove("web-1")
        assert (held(heir), heir.net.ports) == ([], {})

    with_networks(main, tmp_path)
