import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from coracle.core import claims
from coracle.core.errors import Exhausted, Invalid, NotFound
from coracle.engine.sandboxes import DnsConfig, Endpoint, SandboxSpec
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

    async def make_netns(self, path):
        await super().make_netns(path)
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
