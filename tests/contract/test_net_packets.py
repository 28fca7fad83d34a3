"""Where packets go and where they do not, over what happens to targets, rules and the daemon; in the real kernel."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import threading
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from contract.islands import HOST, OUTSIDE, REFUSED, SERVICES, Island, a_network
from coracle.core.errors import AlreadyExists
from coracle.core.tasks import running
from coracle.linux import netlink, netns, nftables, routes
from coracle.linux.netlink import Netlink
from coracle.linux.routes import Route
from coracle.net.addresses import mac_of
from coracle.net.api import Forward, Port, Target
from coracle.net.policing import Allowance, Isolation, Span

SERVICE = SERVICES[10]
LOOPBACK = IPv4Address("127.0.0.1")


@pytest.fixture
def island(tmp_path):
    with contextlib.closing(Island(tmp_path, bridge_filter=False)) as island:
        yield island


def plug(island, name, last, network=None, into=None, **more):
    """`into`: the namespace of another plug."""
    network = network or island.network
    port = Port(
        name,
        network.name,
        network.subnet[last],
        into.netns_path if into else island.netns_path(name),
        mac_of(network.subnet[last]),
        address6=network.subnet6[last] if network.subnet6 else None,
        **more,
    )

    async def main():
        await island.driver.ensure_network(network)
        await island.driver.make_netns(port.netns_path)
        await island.driver.plug(network, port)

    island.run(main())
    if into is None:
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
    assert island.is_silent("outside", a.address, 8080)
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
    assert island.is_silent("outside", LOOPBACK, 30080)


def test_networks_do_not_reach_each_other_but_by_forwards(island):
    shop = a_network("shop", "10.78.0.0/24")
    a, b = plug(island, "a", 2), plug(island, "b", 2, shop)
    steer(island, forward(b, address=None, port=30080))
    assert island.is_silent("a", b.address, 8080)
    assert island.is_silent("b", a.address, 8080)
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
    assert island.is_silent("a", OUTSIDE, 8080)
    assert island.is_silent("a", outer.address, 8080)
    assert island.is_silent("outside", a.address, 8080)
    steer(island, forward(a, address=None, port=30080))
    assert island.is_silent("outside", HOST, 30080)


def test_the_host_asks_at_a_gateway_in_the_gateways_name(island):
    """Whoever answers names there knows it by that."""
    plug(island, "a", 2)
    island.servers.add(island.host_path, "names", port=53)
    assert island.connect("host", island.network.gateway, 53, "UDP") == "names"
    assert island.servers.peers == [str(island.network.gateway)]


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
    assert island.is_silent("a", LOOPBACK, 9)


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


# -- several networks ------------------------------------------------------------------------------------------------


def test_open_networks_reach_each_other_and_nobody_reaches_those_that_are_not(island):
    pods, bridge = (a_network(name, f"10.8{n}.0.0/24", isolated=False) for n, name in enumerate(("p", "b")))
    shop = a_network("shop", "10.78.0.0/24")
    a, b, c = plug(island, "a", 2, pods), plug(island, "b", 2, bridge), plug(island, "c", 2, shop)
    assert island.connect("a", b.address, 8080) == "b"
    assert island.connect("b", a.address, 8080) == "a"
    assert all(island.is_silent("c", other.address, 8080) for other in (a, b))
    assert all(island.is_silent(name, c.address, 8080) for name in "ab")


def test_plugs_that_are_kept_apart_reach_only_what_is_outside(island):
    apart = a_network("apart", "10.78.0.0/24", icc=False)
    a, b = plug(island, "a", 2, apart), plug(island, "b", 3, apart)
    assert island.is_silent("a", b.address, 8080)
    assert island.connect("a", OUTSIDE, 8080) == "outside"
    with netns.entered(a.netns_path), Netlink() as kernel:  # nor straight through the bridge
        index = netlink.find_link(kernel, "eth0").index
        kernel.send(routes.put_route(Route(apart.subnet, index)), routes.new_neighbour(index, b.address, b.mac))
    assert island.is_silent("a", b.address, 8080)


def test_a_namespace_on_several_networks_leads_out_through_one_of_them(island):
    shop = a_network("shop", "10.78.0.0/24", masquerade=False)
    inner = a_network("inner", "10.79.0.0/24", internal=True)
    a = plug(island, "a", 2)
    more = {"into": a, "leads": False, "leads6": False}
    first, second = (plug(island, f"a{n}", 2, on, interface=f"eth{n}", **more) for n, on in ((1, shop), (2, inner)))
    others = [plug(island, f"on-{network.name}", 3, network) for network in (shop, inner)]
    assert [island.connect("a", other.address, 8080) for other in others] == ["on-shop", "on-inner"]
    assert [island.connect(f"on-{n.network}", n.address, 8080) for n in (first, second)] == ["a", "a"]
    assert island.connect("a", OUTSIDE, 8080) == "outside"
    assert island.servers.peers[-1] == str(HOST)
    route_from_outside(island, shop.subnet)
    island.run(island.driver.plug(shop, replace(first, leads=True)))  # and now through the other
    assert island.connect("a", OUTSIDE, 8080) == "outside"
    assert island.servers.peers[-1] == str(first.address)
    island.run(island.driver.unplug(first))
    assert island.is_silent("a", others[0].address, 8080)
    island.run(island.driver.plug(island.network, a))
    assert island.connect("a", OUTSIDE, 8080) == "outside"


def test_an_internal_network_speaks_to_the_gateway_only_and_in_its_own_name(island):
    inner = a_network("inner", "10.79.0.0/24", internal=True)
    a, other = plug(island, "a", 2, inner), plug(island, "b", 2)
    island.servers.add(island.host_path, "names", port=53)
    assert island.connect("a", inner.gateway, 53, "UDP") == "names"
    with netns.entered(a.netns_path), Netlink() as kernel:  # with routes and addresses that it gave itself
        index = netlink.find_link(kernel, "eth0").index
        kernel.send(routes.new_route(Route(IPv4Network("0.0.0.0/0"), index, inner.gateway)))
        kernel.send(routes.new_address(index, other.address, 32))
    assert all(island.is_silent("a", address, 53, "UDP") for address in (island.network.gateway, HOST))
    with island.socket("a", "UDP") as client:
        client.bind((str(other.address), 0))
        client.sendto(b"x", (str(inner.gateway), 53))
    assert island.connect("a", inner.gateway, 53, "UDP") == "names"
    assert set(island.servers.peers) == {str(a.address)}


def test_what_goes_with_its_namespace_is_cut_off_at_once(island):
    a, b = plug(island, "a", 2), plug(island, "b", 3)
    with netns.opened(a.netns_path):  # somebody is still in it
        island.run(island.driver.drop_netns(a.netns_path, [a]))
        assert island.is_silent("b", a.address, 8080)
        heir = plug(island, "heir", 2)  # same addresses
        assert island.connect("b", a.address, 8080) == "heir"
        again = plug(island, "a", 4)  # same name
        assert island.connect("b", again.address, 8080) == "a"
        island.run(until_up(island.driver))  # which deletes what the kernel left us
        assert len([link for link in links(island) if link.startswith("cor")]) == 4
    assert [island.connect("b", port.address, 8080) for port in (heir, again)] == ["heir", "a"]
    assert b.network == island.network.name


async def until_up(driver):
    async with running(driver):
        pass


def test_a_bridge_may_be_called_anything_and_goes_with_the_cloud(island):
    before = links(island)
    plug(island, "a", 2, replace(island.network, bridge="my-bridge"))
    assert "my-bridge" in links(island)
    island.run(island.a_driver().purge())
    assert links(island) == before


def test_a_link_of_somebody_else_is_left_alone(island):
    island.on_host(subprocess.run, ["ip", "link", "add", "theirs", "type", "bridge"])
    network = replace(island.network, bridge="theirs")
    with pytest.raises(AlreadyExists, match="theirs exists and is not a bridge of this cloud"):
        island.run(island.driver.ensure_network(network))
    island.run(island.driver.remove_network(network))
    assert "theirs" in links(island)


# -- IPv6 ------------------------------------------------------------------------------------------------------------

HOST6, OUTSIDE6 = IPv6Address("2001:db8::2"), IPv6Address("2001:db8::1")
LOOPBACK6 = IPv6Address("::1")


def dual(name, subnet, subnet6, **more):
    subnet6 = IPv6Network(subnet6)
    return a_network(name, subnet, subnet6=subnet6, gateway6=subnet6[1], **more)


@pytest.fixture
def island6(island):
    """An island whose neighbours speak IPv6 too."""
    for path, mine, other in ((island.host_path, HOST6, OUTSIDE6), (island.outside_path, OUTSIDE6, HOST6)):
        with netns.entered(path), Netlink() as kernel:
            index = netlink.find_link(kernel, "eth0").index
            Path("/proc/sys/net/ipv6/conf/eth0/disable_ipv6").write_text("0")
            kernel.send(routes.new_address(index, mine, 64))
            if mine == HOST6:
                kernel.send(routes.new_route(Route(IPv6Network("::/0"), index, other)))
    return island


def test_plugs_with_ipv6_reach_each_other_and_the_outside_in_the_hosts_name(island6):
    net = dual("six", "10.78.0.0/24", "fd00:78::/64")
    a, b = plug(island6, "a", 2, net), plug(island6, "b", 3, net)
    four = plug(island6, "c", 2)
    assert island6.connect("a", b.address6, 8080) == "b"
    assert island6.connect("host", a.address6, 8080) == "a"
    assert island6.connect("a", OUTSIDE6, 8080) == "outside"
    assert island6.servers.peers[-1] == str(HOST6)
    assert island6.connect("a", OUTSIDE, 8080) == "outside"
    with netns.entered(four.netns_path):
        assert not Path("/proc/net/if_inet6").read_text().replace("lo\n", "").count("eth0")


def test_a_host_that_forwards_ipv6_still_listens_to_its_router_and_its_plugs_to_none(island6):
    plug(island6, "a", 2)
    before = island6.on_host(accepting)
    plug(island6, "b", 2, dual("six", "10.78.0.0/24", "fd00:78::/64"))
    plug(island6, "c", 2, dual("more", "10.79.0.0/24", "fd00:79::/64"))
    during = island6.on_host(accepting)
    island6.run(island6.driver.purge())
    after = island6.on_host(accepting)
    assert (before["eth0"], during["eth0"], after["eth0"]) == ("1", "2", "1")
    assert [name for name, value in during.items() if value == "2"] == ["eth0"]
    assert island6.on_host(read, "net/ipv6/conf/all/forwarding") == "0"


def accepting():
    """Which links listen to routers."""
    found = {path.name: path / "accept_ra" for path in Path("/proc/sys/net/ipv6/conf").iterdir()}
    return {name: path.read_text().strip() for name, path in found.items()}


def test_networks_are_kept_apart_by_ipv6_too(island6):
    net, other = dual("six", "10.78.0.0/24", "fd00:78::/64"), dual("other", "10.79.0.0/24", "fd00:79::/64")
    inner = dual("inner", "10.80.0.0/24", "fd00:80::/64", internal=True)
    a, b, c = (plug(island6, name, 2, on) for name, on in zip("abc", (net, other, inner), strict=True))
    with netns.entered(island6.outside_path), Netlink() as kernel:
        index = netlink.find_link(kernel, "eth0").index
        kernel.send(routes.new_route(Route(IPv6Network("fd00::/16"), index, HOST6)))
    with netns.entered(c.netns_path), Netlink() as kernel:
        index = netlink.find_link(kernel, "eth0").index
        kernel.send(routes.new_route(Route(IPv6Network("::/0"), index, inner.gateway6)))
    assert island6.is_silent("a", b.address6, 8080)
    assert island6.is_silent("outside", a.address6, 8080)
    assert all(island6.is_silent("c", address, 8080) for address in (a.address6, OUTSIDE6))
    assert island6.connect("host", c.address6, 8080) == "c"


def test_ports_are_forwarded_by_ipv6(island6):
    net = dual("six", "10.78.0.0/24", "fd00:78::/64")
    a, b = plug(island6, "a", 2, net), plug(island6, "b", 3, net)
    to_a = (Target(a.address6, 8080),)
    every = Forward("x", "TCP", None, 30080, to_a)
    one = Forward("y", "TCP", HOST6, 30081, (Target(a.address6, 8080), Target(b.address6, 8080)))
    steer(island6, every, one, Forward("u", "UDP", None, 30080, to_a), Forward("w", "TCP", HOST6, 30083, ()))
    assert [island6.connect(who, HOST6, 30080) for who in ("outside", "host", "b", "a")] == ["a"] * 4
    assert island6.servers.peers[0] == str(OUTSIDE6)
    assert island6.connect("outside", HOST6, 30080, "UDP") == "a"
    assert {island6.connect("outside", HOST6, 30081) for _ in range(24)} == {"a", "b"}
    assert island6.connect("host", LOOPBACK6, 30080) == REFUSED  # at once: who tries it first goes on to 127.0.0.1
    assert island6.connect("outside", HOST6, 30083) == REFUSED
    steer(island6)
    assert island6.connect("outside", HOST6, 30080) == REFUSED


def test_datagrams_by_ipv6_leave_a_target_that_is_gone(island6):
    net = dual("six", "10.78.0.0/24", "fd00:78::/64")
    a, b = plug(island6, "a", 2, net), plug(island6, "b", 3, net)
    with island6.socket("outside", "UDP", socket.AF_INET6) as client:
        client.connect((str(HOST6), 30053))
        said = []
        for target in (a, b):
            steer(island6, Forward("u", "UDP", None, 30053, (Target(target.address6, 8080),)))
            said.append(exchange(client))
    assert said == ["a", "b"]


def test_rules_by_ipv6_that_somebody_flushed_are_made_again(island6):
    net = dual("six", "10.78.0.0/24", "fd00:78::/64")
    a, other = plug(island6, "a", 2, net), plug(island6, "b", 2, dual("other", "10.79.0.0/24", "fd00:79::/64"))
    to_a = Forward("x", "TCP", None, 30080, (Target(a.address6, 8080),))
    steer(island6, to_a)
    island6.on_host(nftables.run, "flush ruleset")
    steer(island6, to_a, replace(to_a, id="y", port=30081))
    assert [island6.connect("outside", HOST6, port) for port in (30080, 30081)] == ["a", "a"]
    assert island6.is_silent("a", other.address6, 8080)


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
    assert answers
    assert set(answers) <= {"a", "b", "c"}  # which of them depends on how often it was asked


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
                async with asyncio.timeout(60):
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
    assert island.is_silent("host", a.address, 8080)
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
    assert island.is_silent("outside", HOST, 30080)
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


def test_isolated_plugs_get_and_send_what_is_allowed_alone(island):
    a, b, _c = (plug(island, name, last) for last, name in ((10, "a"), (11, "b"), (12, "c")))
    steer(island, forward(a))
    from_b = Allowance((str(b.address),), (), (Span("TCP", 8080, 8080),))
    island.run(
        island.driver.isolate([Isolation(str(a.address), (from_b,)), Isolation(str(b.address), None, (from_b,))])
    )
    assert [island.connect(client, a.address, 8080) for client in ("a", "host")] == ["a", "a"]
    assert island.is_silent("c", a.address, 8080)
    assert island.is_silent("c", SERVICE, 80)
    assert island.is_silent("b", a.address, 8080), "b may send to itself alone"
    island.run(island.driver.isolate([Isolation(str(a.address), (from_b,))]))
    assert [island.connect("b", address, port) for address, port in ((a.address, 8080), (SERVICE, 80))] == ["a", "a"]
    assert island.is_silent("b", a.address, 8080, "UDP")
    island.run(island.driver.isolate([]))
    assert island.connect("c", a.address, 8080) == "a"
    assert island.on_host(nftables.tables) == ["coracle-test"]


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
