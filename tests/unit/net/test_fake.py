import asyncio
import contextlib
from ipaddress import IPv4Address, IPv4Network

from coracle.net.api import Network
from coracle.net.fake import HOST, FakeNet
from suites.net_driver_suite import NOBODY, REFUSED, NetDriverSuite


class FakeWorld:
    node_address = HOST
    network = Network("pods", "cor0", IPv4Network("10.76.0.0/16"), IPv4Address("10.76.0.1"))

    def __init__(self):
        self.driver = FakeNet()
        self.served = set()

    def run(self, main):
        return asyncio.run(main)

    def netns_path(self, name):
        return f"/run/netns/{name}"

    def serve(self, port):
        self.served.add(port.id)

    def is_silent(self, client, address, port):
        return self.connect(client, address, port) == NOBODY

    def connect(self, client, address, port, transport="TCP"):
        source = HOST if client == "host" else self.driver.ports[client].address
        arrival = self.driver.arrival(address, port, transport, client=source)
        target = arrival.target
        if target is None:
            return NOBODY if arrival.dropped else REFUSED
        answers = (plug.id for plug in self.driver.ports.values() if plug.address == target.address)
        return next((id for id in answers if id in self.served), NOBODY)


class TestFakeNet(NetDriverSuite):
    @contextlib.contextmanager
    def make(self):
        yield FakeWorld()
