"""The name server over real sockets on loopback, with another server of ours in the place of the host's."""

import asyncio
import contextlib
import os
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from coracle.core.clock import SystemClock
from coracle.core.errors import AlreadyExists, Unavailable
from coracle.core.tasks import running
from coracle.net.names import Asker, Names, Scope
from coracle.net.resolvers import Resolvers, parse_servers
from coracle.net.zones import Alias, Pointer
from coracle.wire import dns

LOOPBACK = IPv4Address("127.0.0.1")
ONE, OUTSIDE = IPv4Address("10.32.0.5"), IPv4Address("203.0.113.9")
WEB = "web.default.svc.cluster.local"


class _Client(asyncio.DatagramProtocol):
    def __init__(self):
        self.answers = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.answers.put_nowait(data)


async def ask(port, name, type=dns.A, message=None, to=LOOPBACK):
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(_Client, remote_addr=(str(to), port))
    with contextlib.closing(transport):
        transport.sendto(message or dns.query(5, name, type))
        async with asyncio.timeout(60):
            return await client.answers.get()


async def ask_by_stream(port, *questions):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        for number, (name, type) in enumerate(questions):
            message = dns.query(number, name, type)
            writer.write(len(message).to_bytes(2) + message)
        answers = {}
        for _ in questions:
            answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
            answers[int.from_bytes(answer[:2])] = answer
        return [answers[number] for number in range(len(questions))]


def addresses(answer):
    return dns.addresses(dns.read_answers(answer)[1])


def code(answer):
    return dns.code_of(answer)


def with_servers(body, tmp_path):
    """Run `body(port, names, outside)`: our server, and the one it asks for other names."""

    async def main():
        outside = Names([LOOPBACK], SystemClock(), port=0, zones=["example.com"])
        outside.publish("x", {"www.example.com": [OUTSIDE], "many.example.com": [OUTSIDE + i for i in range(90)]})
        conf = tmp_path / "resolv.conf"
        conf.write_text("nameserver 127.0.0.1\n")
        async with running(outside):
            upstream_port = outside.ports[LOOPBACK]
            names = Names([LOOPBACK], SystemClock(), port=0, resolv_conf=conf, upstream_port=upstream_port)
            names.publish("kube", {WEB: [ONE], "out.default.svc.cluster.local": [Alias("www.example.com")]})
            async with running(names):
                return await body(names.ports[LOOPBACK], names, outside)

    return asyncio.run(main())


def test_published_names_are_answered_by_datagram_and_by_stream(tmp_path):
    async def body(port, _names, _outside):
        by_stream = await ask_by_stream(port, (WEB, dns.A), ("no.cluster.local", dns.A))
        return [addresses(await ask(port, WEB)), addresses(by_stream[0]), code(by_stream[1])]

    assert with_servers(body, tmp_path) == [[ONE], [ONE], dns.NO_SUCH_NAME]


def test_other_names_are_asked_of_the_hosts_servers(tmp_path):
    async def body(port, _names, _outside):
        by_stream = await ask_by_stream(port, ("www.example.com", dns.A))
        unknown = await ask(port, "no.example.com")
        return [addresses(await ask(port, "www.example.com")), addresses(by_stream[0]), code(unknown)]

    assert with_servers(body, tmp_path) == [[OUTSIDE], [OUTSIDE], dns.NO_SUCH_NAME]


def test_an_alias_that_leads_outside_is_answered_whole(tmp_path):
    async def body(port, _names, _outside):
        return addresses(await ask(port, "out.default.svc.cluster.local"))

    assert with_servers(body, tmp_path) == [OUTSIDE]


def test_long_answers_from_outside_come_by_stream(tmp_path):
    async def body(port, _names, _outside):
        by_stream = await ask_by_stream(port, ("many.example.com", dns.A))
        return dns.is_truncated(await ask(port, "many.example.com")), len(addresses(by_stream[0]))

    assert with_servers(body, tmp_path) == (True, 90)


def test_what_was_answered_outside_is_remembered_for_a_while(tmp_path):
    async def body(port, _names, outside):
        first = addresses(await ask(port, "www.example.com"))
        outside.publish("x", {"www.example.com": [ONE]})
        return first, addresses(await ask(port, "www.example.com"))

    assert with_servers(body, tmp_path) == ([OUTSIDE], [OUTSIDE])


def test_a_network_may_be_kept_from_asking_outside(tmp_path):
    async def body(port, names, _outside):
        await names.listen(Scope("inner", IPv4Network("127.0.0.0/8"), outside=False))
        names.publish("docker", {"db": [ONE]}, network="inner")
        kept = [code(await ask(port, "www.example.com")), addresses(await ask(port, "db"))]
        names.unlisten("inner")
        return [*kept, addresses(await ask(port, "www.example.com"))]

    assert with_servers(body, tmp_path) == [dns.NO_SUCH_NAME, [ONE], [OUTSIDE]]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(dns.query(5, WEB, dns.A)[:20], dns.FORMAT_ERROR, id="cut off"),
        pytest.param(b"\0\5\x10\0" + dns.query(5, WEB, dns.A)[4:], dns.NOT_IMPLEMENTED, id="not a query"),
        pytest.param(dns.query(5, WEB, dns.A)[:-1] + b"\3", dns.REFUSED, id="another class"),
    ],
)
def test_odd_questions_are_refused(tmp_path, message, expected):
    async def body(port, _names, _outside):
        return code(await ask(port, "", message=message))

    assert with_servers(body, tmp_path) == expected


def test_without_a_server_outside_the_asker_is_told_at_once(tmp_path):
    async def body(port, _names, _outside):
        (tmp_path / "resolv.conf").write_text("# none\n")
        return code(await ask(port, "www.example.com"))

    assert with_servers(body, tmp_path) == dns.SERVER_FAILURE


def test_the_hosts_file_is_read_again_when_it_changes_and_never_leads_to_us(tmp_path):
    conf = tmp_path / "resolv.conf"
    resolvers = Resolvers(SystemClock(), conf, {"10.32.0.1"}.__contains__)
    assert resolvers.servers() == ()
    conf.write_text("nameserver 192.0.2.53\nnameserver 10.32.0.1\n")
    assert resolvers.servers() == ("192.0.2.53",)
    conf.unlink()
    conf.write_text("nameserver 192.0.2.54\n")
    assert resolvers.servers() == ("192.0.2.54",)
    conf.unlink()
    with pytest.raises(Unavailable, match="no name server"):
        asyncio.run(resolvers.ask(dns.query(1, "x", dns.A)))


def test_servers_are_read_as_the_resolver_library_does():
    text = "# x\nnameserver 1.1.1.1\nsearch a b\nnameserver nonsense\nnameserver fe80::1%eth0\nnameserver\n"
    assert parse_servers(text) == ["1.1.1.1", "fe80::1%eth0"]
    assert len(parse_servers("nameserver 1.1.1.1\n" * 5)) == 3


def test_the_first_server_that_knows_is_believed(tmp_path):
    """Verify that a dead server beside a living one costs nothing, and that a refusal is not the last word."""

    async def main():
        knows = Names([IPv4Address("127.0.0.3")], SystemClock(), port=0, zones=["example.com"])
        knows.publish("x", {"www.example.com": [OUTSIDE]})
        async with running(knows):
            port = knows.ports[IPv4Address("127.0.0.3")]
            none = tmp_path / "none"
            fails = Names([IPv4Address("127.0.0.2")], SystemClock(), port=port, resolv_conf=none)
            async with running(fails):
                conf = tmp_path / "resolv.conf"
                conf.write_text("nameserver 127.0.0.9\nnameserver 127.0.0.2\nnameserver 127.0.0.3\n")
                resolvers = Resolvers(SystemClock(), conf, port=port)
                return addresses(await resolvers.ask(dns.query(1, "www.example.com", dns.A)))

    assert asyncio.run(main()) == [OUTSIDE]


def test_a_port_that_is_taken_is_refused_with_the_name_of_its_process():
    async def main(port):
        await Names([LOOPBACK], SystemClock(), port=port).run(lambda: None)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        with pytest.raises(AlreadyExists, match=rf"pid {os.getpid()}\b"):
            asyncio.run(main(taken.getsockname()[1]))


HERE, THERE = IPv4Address("127.0.0.2"), IPv4Address("127.0.0.3")


def test_gateways_are_listened_at_as_networks_come_and_go(tmp_path):
    async def body(_port, names, _outside):
        await names.listen(Scope("shop", IPv4Network("10.5.0.0/24"), gateways=(HERE,)))
        said = addresses(await ask(names.ports[HERE], WEB, to=HERE))
        names.unlisten("shop")
        return said, HERE in names.ports, LOOPBACK in names.ports

    assert with_servers(body, tmp_path) == ([ONE], False, True)


def test_an_asker_in_several_networks_knows_the_names_of_all_of_them(tmp_path):
    async def body(port, names, _outside):
        for number, network in enumerate(("shop", "stock", "other")):
            names.publish("docker", {network: [ONE + number]}, network=network)
        names.know(Asker(name="web", addresses=("127.0.0.1",), networks=("shop", "stock")))
        known = [addresses(await ask(port, name)) for name in ("shop", "stock", "other")]
        names.forget("web")
        return known, addresses(await ask(port, "shop"))

    assert with_servers(body, tmp_path) == ([[ONE], [ONE + 1], []], [])


def test_open_networks_know_each_others_names_and_nobody_else_does(tmp_path):
    async def body(port, names, _outside):
        nowhere = IPv4Network("10.5.0.0/24")
        for name, is_open in (("pods", True), ("bridge", True), ("shop", False)):
            await names.listen(Scope(name, nowhere, open=is_open))
            names.publish("docker", {f"in-{name}": [ONE]}, network=name)
        seen = {}
        for network in ("bridge", "shop"):
            names.know(Asker(name="me", addresses=("127.0.0.1",), networks=(network,)))
            asked = ("in-pods", "in-bridge", "in-shop")
            seen[network] = [bool(addresses(await ask(port, name))) for name in asked]
        return seen

    assert with_servers(body, tmp_path) == {"bridge": [True, True, False], "shop": [False, False, True]}


def test_an_asker_may_have_servers_of_its_own_for_names_that_are_not_ours(tmp_path):
    async def body(port, names, outside):
        own = Names([HERE], SystemClock(), port=outside.ports[LOOPBACK], zones=["example.com"])
        own.publish("x", {"www.example.com": [ONE]})
        async with running(own):
            by_all = addresses(await ask(port, "www.example.com"))
            names.know(Asker(name="me", addresses=("127.0.0.1",), networks=("shop",), servers=(str(HERE),)))
            return by_all, addresses(await ask(port, "www.example.com")), addresses(await ask(port, WEB))

    assert with_servers(body, tmp_path) == ([OUTSIDE], [ONE], [ONE])


def test_an_asker_kept_inside_is_not_helped_by_servers_of_its_own_or_by_an_alias(tmp_path):
    async def body(port, names, _outside):
        names.know(Asker(name="me", addresses=("127.0.0.1",), networks=("x",), servers=("127.0.0.1",), outside=False))
        away = await ask(port, "www.example.com"), await ask(port, "out.default.svc.cluster.local")
        return [(code(answer), addresses(answer)) for answer in away]

    assert with_servers(body, tmp_path) == [(dns.NO_SUCH_NAME, []), (dns.NO_ERROR, [])]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("9.0.32.10.in-addr.arpa", (dns.NO_SUCH_NAME, 0), id="of our networks"),
        pytest.param("9.9.9.9.in-addr.arpa", (dns.NO_ERROR, 1), id="of others"),
        pytest.param("32.10.in-addr.arpa", (dns.NO_ERROR, 1), id="not of an address"),
        pytest.param(IPv6Address("fd01::2").reverse_pointer, (dns.NO_SUCH_NAME, 0), id="of our networks by IPv6"),
    ],
)
def test_names_of_our_addresses_are_nobody_elses_to_tell(tmp_path, name, expected):
    async def body(port, names, outside):
        outside.publish("y", {name: [Pointer("told.example.com")]})
        subnets = IPv4Network("10.32.0.0/16"), IPv6Network("fd01::/64")
        await names.listen(Scope("pods", subnets[0], subnet6=subnets[1]))
        answer = await ask(port, name, dns.PTR)
        return code(answer), len(dns.read_answers(answer)[1])

    assert with_servers(body, tmp_path) == expected


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        pytest.param("10.32.0.9", dns.NO_ERROR, id="somebody in a network"),
        pytest.param("127.0.0.1", dns.NO_ERROR, id="the host"),
        pytest.param("192.0.2.7", dns.REFUSED, id="a neighbour of the host"),
        pytest.param("fe80::7%eth0", dns.REFUSED, id="a neighbour by IPv6"),
    ],
)
def test_strangers_are_told_nothing(client, expected):
    async def main():
        names, answers = Names([], SystemClock()), []
        names.publish("kube", {WEB: [ONE]})
        await names.listen(Scope("pods", IPv4Network("10.32.0.0/16"), open=True))
        names.take(dns.query(5, WEB, dns.A), client, answers.append, stream=False)
        return [code(answer) for answer in answers]

    assert asyncio.run(main()) == [expected]
