"""Where packets go and where they do not, over what happens to targets, rules and the daemon; in the real kernel."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from contract.islands import HOST, NOBODY, OUTSIDE, REFUSED, SERVICES, Island, a_network
from coracle.core.errors import AlreadyExists
from coracle.core.tasks import running
from coracle.linux import netlink, netns, nftables, routes
from coracle.linux.netlink import Netlink
from coracle.linux.routes import Route
from coracle.net.addresses import mac_of
from coracle.net.api import Forward, Port, Target

SERVICE = SERVICES[10]
LOOPBACK = IPv4Address("127.0.0.1")


@pytest.fixture
def island(tmp_path):
    with contextlib.closing(Island(tmp_path, bridge_filter=False)) as island:
        yield island


def plug(island, name, last, network=None):
    network = network or island.network
    port = Port(
        name,
        network.name,
        network.subnet[last],
        island.netns_path(name),
        mac_of(network.subnet[last]),
    )

    async def main():
        await island.driver.ensure_network(network)
        await island.driver.make_netns(port.netns_path)
        await island.driver.plug(network, port)

    island.run(main())
    island.serve(port)
    return port


def forward(*targets, address=SERVICE, port=80, transport="TCP", **more):
    name = f"{transport}-{address}-{port}"
    return Forward(name, transport, address, port, tuple(Target(t.address, 8080) for t in targets), **more)


def steer(island, *forwards):
    island.run(island.driver.steer(forwards))


def route_from_outside(island, subnet):
    """Let the neighbour outside know the way to addresses behind our host, as anybody on the same link may."""
    with netns.entered(island.outside_path), Netlink() as kernel:
        index = netlink.find_link(kernel, "eth0").index
        kernel.send(routes.new_route(Route(subnet, index, HOST)))


# -- who reaches whom ------------------------------------------------------------------------------------------------


def test_a_plug_reaches_the_outside_in_the_hosts_name(island):
    plug(island, "a", 2)
    assert island.connect("a", OUTSIDE, 8080) == "outside"
    assert island.connect("a", OUTSIDE, 8080, "UDP") == "outside"
    assert set(island.servers.peers) == {str(HOST)}


def test_the_outside_reaches_only_what_is_forwarded_and_is_seen_as_itself(island):
    a = plug(island, "a", 2)
    steer(island, forward(a, address=None, port=30080))
    route_from_outside(island, island.network.subnet)
    assert island.connect("outside", a.address, 8080) == NOBODY
    assert island.connect("outside", HOST, 30080) == "a"
    assert island.servers.peers == [str(OUTSIDE)]


def test_a_loopback_port_is_not_reached_from_outside(island):
    a = plug(island, "a", 2)
    steer(island, forward(a, address=None, port=30080, loopback_only=True))
    assert island.connect("outside", HOST, 30080) == REFUSED
    with netns.entered(island.outside_path), Netlink() as kernel:
        eth0 = netlink.find_link(kernel, "eth0").index
        Path("/proc/sys/net/ipv4/conf/all/route_localnet").write_text("1")
        subprocess.run(["ip", "address", "del", "127.0.0.1/8", "dev", "lo"], check=True)
        kernel.send(routes.new_route(Route(IPv4Network("127.0.0.0/8"), eth0, HOST)))
    assert island.connect("outside", LOOPBACK, 30080) == NOBODY


def test_networks_do_not_reach_each_other_but_by_forwards(island):
    shop = a_network("shop", "10.78.0.0/24")
    a, b = plug(island, "a", 2), plug(island, "b", 2, shop)
    steer(island, forward(b, address=None, port=30080))
    assert island.connect("a", b.address, 8080) == NOBODY
    assert island.connect("b", a.address, 8080) == NOBODY
    assert island.connect("a", HOST, 30080) == "b"
    assert island.connect("b", HOST, 30080) == "b"


def test_an_internal_network_reaches_itself_and_nobody_else(island):
    inner = a_network("inner", "10.79.0.0/24", internal=True)
    a, b = plug(island, "a", 2, inner), plug(island, "b", 3, inner)
    outer = plug(island, "c", 2)
    route_from_outside(island, inner.subnet)
    with netns.entered(a.netns_path), Netlink() as kernel:  # however hard it tries
        index = netlink.find_link(kernel, "eth0").index
        kernel.send(routes.new_route(Route(IPv4Network("0.0.0.0/0"), index, inner.gateway)))
    assert island.connect("a", b.address, 8080) == "b"
    assert island.connect("host", a.address, 8080) == "a"
    assert island.connect("a", OUTSIDE, 8080) == NOBODY
    assert island.connect("a", outer.address, 8080) == NOBODY
    assert island.connect("outside", a.address, 8080) == NOBODY
    steer(island, forward(a, address=None, port=30080))
    assert island.connect("outside", HOST, 30080) == NOBODY


def test_a_plug_cannot_pass_for_the_host(island):
    a = plug(island, "a", 2)
    island.servers.add(island.host_path, "trusting", port=9)
    with netns.entered(island.host_path):  # the kernel refuses it as well, unless it is told not to
        Path(f"/proc/sys/net/ipv4/conf/{island.network.bridge}/accept_local").write_text("1")
    with netns.entered(a.netns_path):
        for name in ("all", "eth0"):
            Path(f"/proc/sys/net/ipv4/conf/{name}/route_localnet").write_text("1")
    with island.socket("a", "UDP") as client:
        client.bind(("127.0.0.1", 0))
        client.sendto(b"x", (str(island.network.gateway), 9))
    assert island.connect("a", island.network.gateway, 9, "UDP") == "trusting"
    assert island.servers.peers == [str(a.address)]


def test_a_plug_cannot_reach_what_listens_on_the_hosts_loopback(island):
    a = plug(island, "a", 2)
    island.servers.add(island.host_path, "secret", address="127.0.0.1", port=9)
    with netns.entered(a.netns_path), Netlink() as kernel:
        index = netlink.find_link(kernel, "eth0").index
        for name in ("all", "eth0"):
            Path(f"/proc/sys/net/ipv4/conf/{name}/route_localnet").write_text("1")
        subprocess.run(["ip", "address", "del", "127.0.0.1/8", "dev", "lo"], check=True)
        kernel.send(routes.new_route(Route(IPv4Network("127.0.0.0/8"), index, island.network.gateway)))
    assert island.connect("host", LOOPBACK, 9) == "secret"
    assert island.connect("a", LOOPBACK, 9) == NOBODY


def test_the_service_range_refuses_what_is_no_service(island):
    plug(island, "a", 2)
    steer(island)
    clients = ("host", "a")
    assert [island.connect(client, SERVICES[99], 443) for client in clients] == [REFUSED, REFUSED]
    assert [island.connect(client, SERVICES[99], 53, "UDP") for client in clients] == [REFUSED, REFUSED]


@pytest.mark.parametrize("client", ["host", "a", "outside"])
def test_a_target_outside_is_reached_and_answers_come_back(island, client):
    """As a service with addresses of its own, outside the cluster; and the API server, on the host itself."""
    plug(island, "a", 2)
    island.servers.add(island.host_path, "host", port=6443)
    other = OUTSIDE + 2  # who asks cannot be answered by itself in its own name
    with netns.entered(island.outside_path), Netlink() as kernel:
        kernel.send(routes.new_address(netlink.find_link(kernel, "eth0").index, other, 32))
    away = Forward("x", "TCP", None, 30080, (Target(other, 8080),))
    own = Forward("y", "TCP", SERVICE, 443, (Target(HOST, 6443),))
    steer(island, away, own)
    assert island.connect(client, HOST, 30080) == "outside"
    if client != "outside":
        assert island.connect(client, SERVICE, 443) == "host"


def test_an_address_of_the_host_can_be_forwarded_alone(island):
    a = plug(island, "a", 2)
    steer(island, forward(a, address=HOST, port=8001))
    assert island.connect("outside", HOST, 8001) == "a"
    assert island.connect("host", LOOPBACK, 8001) == REFUSED


# -- changes ---------------------------------------------------------------------------------------------------------


def test_no_connection_is_refused_while_targets_come_and_go(island):
    a, b, c = (plug(island, name, last) for last, name in enumerate("abc", 2))
    steer(island, forward(a))
    answers, ended = [], threading.Event()

    def ask():
        while not ended.is_set():
            answers.append(island.connect("host", SERVICE, 80))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for turn in range(40):
            steer(island, forward(*[(a, b), (b, c), (c,), (a, b, c)][turn % 4]), forward(a, port=81))
    finally:
        ended.set()
        asking.join()
    assert set(answers) == {"a", "b", "c"}


def test_datagrams_leave_a_target_that_is_gone(island):
    a, b = plug(island, "a", 2), plug(island, "b", 3)
    steer(island, forward(a, transport="UDP"), forward(a, address=None, port=30053, transport="UDP"))
    for address, port in ((SERVICE, 80), (HOST, 30053)):
        with island.socket("host", "UDP") as client:
            client.connect((str(address), port))
            said = [exchange(client)]
            only_b = (forward(b, transport="UDP"), forward(b, address=None, port=30053, transport="UDP"))
            steer(island, *only_b)
            said.append(exchange(client))
        assert said == ["a", "b"]
        steer(island, forward(a, transport="UDP"), forward(a, address=None, port=30053, transport="UDP"))


def test_datagrams_sent_before_there_was_a_service_find_it(island):
    a = plug(island, "a", 2)
    island.servers.add(island.host_path, "early", port=30053)
    with island.socket("outside", "UDP") as client:
        client.connect((str(HOST), 30053))
        said = [exchange(client)]
        steer(island, forward(a, address=None, port=30053, transport="UDP"))
        said.append(exchange(client))
    assert said == ["early", "a"]


def exchange(client):
    client.send(b"x")
    return client.recv(100).decode()


def echoes(connection):
    connection.sendall(b"still there?")
    return connection.recv(100) == b"still there?"


def test_a_restarted_daemon_keeps_connections_pins_and_plugs(island):
    ports = [plug(island, name, last) for last, name in enumerate("abc", 2)]
    asked = [forward(*ports, affinity_s=600), forward(*ports, address=None, port=30080)]
    steer(island, *asked)
    pinned = island.connect("a", SERVICE, 80)
    with island.socket("host") as open_one:
        open_one.connect(("127.0.0.1", 30080))
        open_one.recv(10)
        island.driver = island.a_driver()  # knows nothing
        island.run(island.driver.ensure_network(island.network))
        assert island.connect("host", SERVICE, 80) in "abc"  # before anything was steered again
        for port in ports:
            island.run(island.driver.make_netns(port.netns_path))
            island.run(island.driver.plug(island.network, port))
        steer(island, *asked)
        assert echoes(open_one)
    assert {island.connect("a", SERVICE, 80) for _ in range(8)} == {pinned}
    steer(island)
    assert island.connect("host", SERVICE, 80) == REFUSED


def test_rules_of_another_version_are_replaced(island):
    table = "table ip coracle-test { map services { type ipv4_addr : verdict; }; chain leave { }; }\n"
    island.on_host(nftables.run, table)
    a = plug(island, "a", 2)
    steer(island, forward(a))
    assert island.connect("host", SERVICE, 80) == "a"


def test_rules_that_somebody_flushed_are_made_again_at_once(island):
    a = plug(island, "a", 2)
    steer(island, forward(a))

    async def main():
        async with running(island.driver):
            with nftables.TableNews() as news:  # the last thing to be made are the elements
                await asyncio.to_thread(island.on_host, nftables.run, "flush ruleset")
                async with asyncio.timeout(5):
                    while not is_steering():
                        await readable(news)

    def is_steering():
        with contextlib.suppress(OSError):
            return bool(nftables.entries("coracle-test", "hairpin"))
        return False

    async def readable(news):
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(news.fileno(), heard.set)
        try:
            await heard.wait()
        finally:
            loop.remove_reader(news.fileno())
            news.is_removed("")

    island.run(main())
    assert island.connect("host", SERVICE, 80) == "a"
    assert island.connect("a", OUTSIDE, 8080) == "outside"


def test_a_flush_that_nobody_heard_is_mended_by_the_next_change(island):
    a = plug(island, "a", 2)
    steer(island, forward(a))
    island.on_host(nftables.run, "flush ruleset")
    steer(island, forward(a), forward(a, port=81))
    assert [island.connect("host", SERVICE, port) for port in (80, 81)] == ["a", "a"]
    assert island.connect("a", OUTSIDE, 8080) == "outside"


@pytest.mark.parametrize(
    ("where", "lost"),
    [
        pytest.param("inside", ["ip", "link", "del", "eth0"], id="the link"),
        pytest.param("inside", ["ip", "address", "flush", "dev", "eth0"], id="the address"),
        pytest.param("host", ["ip", "link", "set", "PLUG", "nomaster"], id="the place in the bridge"),
        pytest.param("host", ["ip", "link", "set", "PLUG", "down"], id="the state"),
    ],
)
def test_a_plug_that_lost_something_is_made_whole(island, where, lost):
    a = plug(island, "a", 2)
    (name,) = (link for link in links(island) if link.startswith("cor") and link != island.network.bridge)
    with netns.entered(a.netns_path if where == "inside" else island.host_path):
        subprocess.run([word.replace("PLUG", name) for word in lost], check=True)
    assert island.connect("host", a.address, 8080) == NOBODY
    island.run(island.driver.plug(island.network, a))
    assert island.connect("host", a.address, 8080) == "a"


# -- beside others, and gone -----------------------------------------------------------------------------------------


def test_addresses_that_lead_elsewhere_are_refused(island):
    taken = a_network("lan", "192.0.2.0/24")
    with pytest.raises(AlreadyExists, match=r"192\.0\.2\.0/24"):
        island.run(island.driver.ensure_network(taken))
    assert "cor-lan" not in links(island)


def test_the_hosts_own_firewall_keeps_its_say(island):
    a = plug(island, "a", 2)
    steer(island, forward(a, address=None, port=30080))
    chain = "chain c { type filter hook forward priority 10; policy accept; ip saddr 192.0.2.1 drop; }"
    island.on_host(nftables.run, f"table ip mine {{ {chain}; }}\n")
    assert island.connect("outside", HOST, 30080) == NOBODY
    assert island.connect("host", HOST, 30080) == "a"


def test_nothing_of_the_cloud_is_left(island):
    before = island.on_host(everything)
    a, b = plug(island, "a", 2), plug(island, "b", 3)
    plug(island, "c", 2, a_network("inner", "10.79.0.0/24", internal=True))
    steer(island, forward(a, b, affinity_s=10), forward(a, address=None, port=30080), forward(b, transport="UDP"))
    island.connect("host", SERVICE, 80)
    assert island.on_host(everything) != before
    island.run(island.a_driver().purge())  # one that knows only the names
    after = island.on_host(everything)
    assert {key: (value, after.get(key)) for key, value in before.items() if after.get(key) != value} == {}
    assert after.keys() == before.keys()
    assert not netns.pins(island.run_dir)


def test_forwarding_stays_on_while_another_cloud_needs_it(island):
    other = island.a_driver("other", "oth")
    network = a_network("x", "10.99.0.0/24")
    island.run(island.driver.ensure_network(island.network))
    island.run(other.ensure_network(network))
    island.run(island.driver.purge())
    first = island.on_host(read, "net/ipv4/ip_forward")
    island.run(other.purge())
    assert (first, island.on_host(read, "net/ipv4/ip_forward")) == ("1", "0")


def test_a_cloud_that_vanished_does_not_keep_forwarding_on(island):
    gone = island.a_driver("gone", "gon")
    island.run(gone.ensure_network(a_network("x", "10.99.0.0/24")))
    island.run(island.driver.ensure_network(island.network))
    island.on_host(nftables.run, "delete table ip coracle-gone")
    island.run(island.driver.purge())
    assert island.on_host(read, "net/ipv4/ip_forward") == "0"


def read(name):
    return Path("/proc/sys", name).read_text().strip()


def links(island):
    def names():
        with Netlink() as kernel:
            return [link.name for link in netlink.links(kernel)]

    return island.on_host(names)


def everything():
    """What the tools show, and every network setting."""
    commands = (["ip", "link"], ["ip", "address"], ["ip", "route", "show", "table", "all"], ["nft", "list", "ruleset"])
    shown = {" ".join(c): subprocess.run(c, check=True, capture_output=True, text=True).stdout for c in commands}
    return {**shown, **settings()}


def settings():
    found = {}
    for family in ("ipv4", "ipv6", "bridge"):  # others are the whole machine's, where others may be at work
        for path in sorted(Path("/proc/sys/net", family).rglob("*")):
            with contextlib.suppress(OSError):  # some can only be written
                found[str(path)] = path.read_text()
    return found
