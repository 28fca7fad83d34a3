"""A host of our own inside one network namespace, with a neighbour outside: the real kernel, nobody else's network.

    outside 192.0.2.1 ----- 192.0.2.2 host (bridges, rules) ----- plugs

`Island.run` runs a coroutine on a loop whose threads, offloaded ones included, are all in the host's namespace.
Sockets are opened inside namespaces and served by one thread of the test.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import errno
import os
import selectors
import socket
import threading
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from coracle.core import tasks
from coracle.linux import netlink, netns, routes
from coracle.linux.netlink import Netlink, Pair
from coracle.linux.routes import Route
from coracle.net.api import Network
from coracle.net.nft.driver import Marks, NftDriver

HOST, OUTSIDE = IPv4Address("192.0.2.2"), IPv4Address("192.0.2.1")
SERVICES = IPv4Network("10.77.0.0/16")
PORT = 8080
REFUSED, NOBODY = "refused", "nobody"
PATIENCE_S = 60.0  # for what must arrive: mostly within a millisecond
SILENCE_S = 0.7  # for what must not


class Servers:
    """TCP and UDP servers that say a name, then echo.  One thread for all."""

    def __init__(self):
        self._selector = selectors.DefaultSelector()
        self._wake, woken = socket.socketpair()
        self._selector.register(woken, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.peers = []  # the addresses from which connections came, as the servers see them

    def add(self, path, name, address="0.0.0.0", port=PORT):
        if address == "0.0.0.0":
            self.add(path, name, "::", port)
        family = family_of(address)
        with netns.entered(path):
            stream = socket.socket(family)
            datagrams = socket.socket(family, socket.SOCK_DGRAM)
        for sock in (stream, datagrams):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, port))
            sock.setblocking(False)
        stream.listen(512)
        self._selector.register(stream, selectors.EVENT_READ, (self._accept, name))
        self._selector.register(datagrams, selectors.EVENT_READ, (self._reply, name))
        self._wake.send(b"x")

    def close(self):
        self._wake.close()
        self._thread.join()
        for key in tuple(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    def _serve(self):
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if not key.fileobj.recv(100):
                        return
                else:
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        key.data[0](key.fileobj, key.data[1])

    def _accept(self, stream, name):
        connection, peer = stream.accept()
        self.peers.append(peer[0])
        connection.setblocking(False)
        connection.send(name.encode())
        self._selector.register(connection, selectors.EVENT_READ, (self._echo, name))

    def _echo(self, connection, _name):
        try:
            data = connection.recv(65536)
        except ConnectionError:
            data = b""
        if data:
            connection.send(data)
        else:
            self._selector.unregister(connection)
            connection.close()

    def _reply(self, datagrams, name):
        _data, peer = datagrams.recvfrom(65536)
        self.peers.append(peer[0])
        datagrams.sendto(name.encode(), peer)


class Island:
    """`bridge_filter`: whether br_netfilter looks into bridges, where the kernel has it."""

    node_address = HOST

    def __init__(self, directory: Path, *, bridge_filter: bool):
        self.directory = directory
        self.run_dir = directory / "run"
        self.network = a_network("pods", "10.76.0.0/16")
        self.host_path, self.outside_path = str(directory / "host"), str(directory / "outside")
        self._bridge_filter = bridge_filter
        self._threads = concurrent.futures.ThreadPoolExecutor(8, initializer=self._enter)
        self._paths = {"host": self.host_path, "outside": self.outside_path}
        self.servers = Servers()
        self._make()
        self.driver = self.a_driver()

    def _enter(self):
        fd = os.open(self.host_path, os.O_RDONLY)
        netns._setns(fd)
        os.close(fd)

    def _make(self):
        for path in (self.host_path, self.outside_path):
            netns.make(path)
        with netns.opened(self.outside_path) as outside, netns.entered(self.host_path), Netlink() as kernel:
            kernel.send(netlink.set_up(1))
            pair = Pair("eth0", 0, 1500, "eth0", "02:00:00:00:00:01", outside)
            kernel.send(netlink.new_pair(pair), netlink.set_up_by_name("eth0"))
            eth0 = netlink.find_link(kernel, "eth0").index
            kernel.send(routes.new_address(eth0, HOST, 24))
            kernel.send(routes.new_route(Route(IPv4Network("0.0.0.0/0"), eth0, OUTSIDE)))
            Path("/proc/sys/net/ipv4/ip_forward").write_text("0")  # new namespaces inherit the machine's
            with contextlib.suppress(FileNotFoundError):
                switch = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
                switch.write_text(str(int(self._bridge_filter)))
        with netns.entered(self.outside_path), Netlink() as kernel:
            eth0 = netlink.find_link(kernel, "eth0").index
            kernel.send(netlink.set_up(1), netlink.set_up(eth0), routes.new_address(eth0, OUTSIDE, 24))
        self.servers.add(self.outside_path, "outside")

    def a_driver(self, name="test", prefix="cor"):
        run_dir = self.run_dir / name
        return NftDriver(Marks(f"coracle-{name}", prefix, run_dir, self.directory / "ledger.json", SERVICES))

    def close(self):
        try:
            self.run(self.driver.purge())
        finally:
            self._threads.shutdown()
            self.servers.close()
            for path in (*netns.pins(self.directory), self.host_path, self.outside_path):
                netns.drop(path)

    # -- the World of the suite ----------------------------------------------------------------------------------

    def run(self, main):
        before, tasks._threads = tasks._threads, self._threads
        try:
            return self._threads.submit(asyncio.run, main).result()
        finally:
            tasks._threads = before

    def netns_path(self, name):
        return str(self.run_dir / "test" / f"{name}.net")

    def serve(self, port):
        self._paths[port.id] = port.netns_path
        self.servers.add(port.netns_path, port.id)

    def is_silent(self, client, address, port, transport="TCP"):
        return self.connect(client, address, port, transport, SILENCE_S) == NOBODY

    def connect(self, client, address, port, transport="TCP", patience_s=PATIENCE_S):
        """Who answers: a name, REFUSED, or NOBODY."""
        try:
            with self.socket(client, transport, family_of(str(address))) as sock:
                sock.settimeout(patience_s)
                sock.connect((str(address), port))
                if transport == "UDP":
                    sock.send(b"x")
                return sock.recv(100).decode()
        except (ConnectionRefusedError, PermissionError):
            return REFUSED  # EPERM: what the sender of a datagram is told where it is rejected on its own host
        except OSError as error:
            if isinstance(error, TimeoutError) or error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
                return NOBODY
            raise

    # -- more ----------------------------------------------------------------------------------------------------

    def socket(self, client, transport="TCP", family=socket.AF_INET):
        with netns.entered(self._paths[client]):
            sock = socket.socket(family, socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM)
        sock.settimeout(PATIENCE_S)
        return sock

    def on_host(self, call, *arguments):
        return self._threads.submit(call, *arguments).result()


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def a_network(name, subnet, **more):
    subnet = IPv4Network(subnet)
    return Network(name, f"cor-{name}", subnet, subnet.network_address + 1, **more)
