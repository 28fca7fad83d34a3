import os
import socket
from ipaddress import IPv4Address

import pytest

from coracle.core.errors import AlreadyExists
from coracle.net.holds import HostPort, PortHolds, process_on
from suites.ports import free_port

ALL, LOOPBACK = IPv4Address("0.0.0.0"), IPv4Address("127.0.0.1")


@pytest.fixture
def holds():
    holds = PortHolds()
    yield holds
    holds.close()


def listening(port, address="127.0.0.1"):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((address, port))
        server.listen()
    except OSError:
        server.close()
        raise
    return server


def test_a_held_port_cannot_be_listened_on(holds):
    port = free_port()
    holds.take(HostPort("TCP", ALL, port))
    holds.take(HostPort("TCP", ALL, port))
    with pytest.raises(OSError, match="in use"):
        listening(port)
    holds.release(HostPort("TCP", ALL, port))
    listening(port).close()


def test_a_port_in_use_is_refused_and_its_process_named(holds):
    port = free_port()
    with listening(port), pytest.raises(AlreadyExists, match=f"pid {os.getpid()}") as caught:
        holds.take(HostPort("TCP", ALL, port))
    assert str(port) in caught.value.message


def test_a_datagram_port_in_use_is_refused(holds):
    port = free_port(socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", port))
        with pytest.raises(AlreadyExists, match=f"pid {os.getpid()}"):
            holds.take(HostPort("UDP", ALL, port))


def test_connections_of_an_earlier_server_are_not_in_the_way(holds):
    with listening(0) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = server.accept()
        served.close()  # who closes first keeps the port in TIME_WAIT
        client.recv(1)
        client.close()
    holds.take(HostPort("TCP", ALL, port))


def test_an_address_that_is_not_the_hosts_needs_no_holding(holds):
    holds.take(HostPort("TCP", IPv4Address("100.64.0.5"), 80))


def test_loopback_only_leaves_the_other_addresses(holds):
    port = free_port()
    holds.take(HostPort("TCP", LOOPBACK, port))
    with pytest.raises(AlreadyExists):
        PortHolds().take(HostPort("TCP", ALL, port))
    listening(port, "127.0.0.2").close()


def test_a_thousand_ports_can_be_held(holds):
    first = 20_000
    taken = 0
    for port in range(first, first + 3_000):
        try:
            holds.take(HostPort("UDP", LOOPBACK, port))
            taken += 1
        except AlreadyExists:
            continue
        if taken == 1000:
            break
    assert taken == 1000


def test_nobody_is_found_on_free_port():
    assert process_on(HostPort("TCP", ALL, free_port())) == ""
