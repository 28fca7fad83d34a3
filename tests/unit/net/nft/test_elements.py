from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from coracle.net.api import Forward, Network, Target
from coracle.net.nft import elements
from coracle.net.nft.elements import Present
from coracle.net.nft.family import V6

IP = IPv4Address("100.64.0.5")
A, B, AWAY = (Target(IPv4Address(a), 8080) for a in ("10.32.0.2", "10.32.0.3", "192.0.2.9"))
PODS = (IPv4Network("10.32.0.0/16"),)
TCP_80 = bytes([6, 0, 0, 0, 0, 80, 0, 0])


def forward(*targets, id="web", address=IP, **more):
    return Forward(id, more.pop("transport", "TCP"), address, more.pop("port", 80), targets, **more)


def shown(those):
    return [f"{e.set} {e.key.hex()} {e.chain or e.data.hex()}".strip() for e in those]


def test_a_forward_as_elements_byte_by_byte():
    assert shown(elements.elements(forward(A, B), PODS)) == [
        "services 644000050600000000500000 pick-2",
        "targets 64400005060000000050000000000000 0a2000021f900000",
        "hairpin 0a2000020a200002",
        "targets 64400005060000000050000001000000 0a2000031f900000",
        "hairpin 0a2000030a200003",
    ]


@pytest.mark.parametrize(
    ("asked", "sets"),
    [
        pytest.param(forward(A), ["services", "targets", "hairpin"], id="an address"),
        pytest.param(forward(A, address=None), ["node", "node_targets", "hairpin"], id="the node"),
        pytest.param(
            forward(A, address=None, loopback_only=True), ["services", "targets", "hairpin"], id="its loopback alone"
        ),
        pytest.param(forward(A, affinity_s=60), ["services", "pinned_by", "targets", "hairpin"], id="with affinity"),
        pytest.param(forward(AWAY), ["services", "targets", "hairpin", "away"], id="to somewhere outside"),
        pytest.param(forward(A, sources=()), ["fenced", "services", "targets", "hairpin"], id="for some only"),
        pytest.param(
            forward(address=None, sources=()), ["node_fenced", "node_refused"], id="of the node, for some only"
        ),
        pytest.param(forward(), ["refused"], id="to nobody"),
        pytest.param(forward(address=None), ["node_refused"], id="of the node, to nobody"),
    ],
)
def test_sets(asked, sets):
    assert [element.set for element in elements.elements(asked, PODS)] == sets


@pytest.mark.parametrize(
    ("asked", "chains"),
    [
        pytest.param(forward(A, B), {"pick-2"}, id="as many as there are targets"),
        pytest.param(forward(A, address=None), {"node-pick-1"}, id="of the node"),
        pytest.param(forward(A, affinity_s=60), {"pick-1", "pick-1-sticky", "pin-60"}, id="with affinity"),
        pytest.param(forward(), set(), id="none for nobody"),
    ],
)
def test_chains(asked, chains):
    assert Present().difference([asked], PODS).chains == chains


class Told:
    """A Present, and what the kernel would hold."""

    def __init__(self):
        self.present, self.kernel = Present(), {}

    def tell(self, *forwards, subnets=PODS):
        """Apply the difference as the kernel would; returns how many elements it deleted and added."""
        difference = self.present.difference(forwards, subnets)
        for element in difference.delete:
            del self.kernel[element.set, element.key]  # KeyError: the kernel would refuse the transaction
        for element in difference.add:
            assert (element.set, element.key) not in self.kernel
            self.kernel[element.set, element.key] = element
        self.present.accept(difference)
        wanted = {(e.set, e.key): e for f in forwards for e in elements.elements(f, subnets)}
        assert {place: (e.chain, e.data) for place, e in self.kernel.items()} == {
            place: (e.chain, e.data) for place, e in wanted.items()
        }
        return len(difference.delete), len(difference.add)


def test_only_differences_are_told():
    told = Told()
    assert told.tell(forward(A, B)) == (0, 5)
    assert told.tell(forward(A, B)) == (0, 0)
    assert told.tell(forward(A, B), forward(A, id="other", port=81)) == (0, 2)  # a's hairpin is there
    assert told.tell(forward(A), forward(A, id="other", port=81)) == (3, 1)  # pick-2 becomes pick-1; b's two go
    assert told.tell() == (5, 0)


def test_what_two_forwards_share_stays_until_both_are_gone():
    told = Told()
    told.tell(forward(A, AWAY), forward(A, AWAY, id="other", port=81))
    told.tell(forward(A, AWAY))
    assert ("hairpin", A.address.packed * 2) in told.kernel
    told.tell()
    assert told.kernel == {}


def test_a_port_may_pass_from_one_forward_to_another():
    told = Told()
    told.tell(forward(A, id="old"))
    told.tell(forward(B, id="new"))
    told.tell(forward(id="new"))
    told.tell(forward(A, id="new", affinity_s=5))


def test_a_new_network_moves_targets_inside():
    told = Told()
    told.tell(forward(AWAY), forward(A, id="other", port=81))
    assert any(name == "away" for name, _key in told.kernel)
    told.tell(forward(AWAY), forward(A, id="other", port=81), subnets=(*PODS, IPv4Network("192.0.2.0/24")))
    assert not any(name == "away" for name, _key in told.kernel)


@pytest.mark.parametrize(
    ("more", "sets"),
    [
        pytest.param({}, ["bridges", "same", "masqueraded"], id="a network"),
        pytest.param({"isolated": False}, ["bridges", "same", "open", "masqueraded"], id="one open to others"),
        pytest.param({"icc": False}, ["bridges", "parted", "masqueraded"], id="one whose plugs are apart"),
        pytest.param({"internal": True}, ["bridges", "same", "internal"], id="an internal one"),
        pytest.param({"internal": True, "isolated": False}, ["bridges", "same", "internal"], id="is never open"),
        pytest.param({"masquerade": False}, ["bridges", "same"], id="one with addresses of its own right"),
    ],
)
def test_networks(more, sets):
    network = Network("pods", "cor0", PODS[0], PODS[0][1], **more)
    assert [one.set for one in elements.memberships(network)] == sets
    assert elements.memberships(network, V6) == []


def test_a_network_as_elements_byte_by_byte():
    subnet6 = IPv6Network("fd00:1::/64")
    network = Network("pods", "cor0", PODS[0], PODS[0][1], subnet6=subnet6, gateway6=subnet6[1])
    bridge = b"cor0" + bytes(12)
    assert elements.memberships(network) == [
        ("bridges", bridge, b""),
        ("same", bridge + bridge, b""),
        ("masqueraded", bytes([10, 32, 0, 0]), bytes([10, 33, 0, 0])),
    ]
    assert elements.memberships(network, V6)[2] == (
        "masqueraded",
        subnet6[0].packed,
        IPv6Network("fd00:1:0:1::/64")[0].packed,
    )


def test_a_forward_by_ipv6_has_wider_keys():
    target = Target(IPv6Address("fd00::2"), 8080)
    asked = Forward("x", "TCP", IPv6Address("2001:db8::2"), 80, (target,))
    found = {element.set: element.key for element in elements.elements(asked, [IPv6Network("fd00::/64")])}
    assert found == {
        "services": asked.address.packed + TCP_80,
        "targets": asked.address.packed + TCP_80 + bytes(4),
        "hairpin": target.address.packed * 2,
    }


def test_a_pin_is_read_back():
    key = bytes([10, 32, 0, 9]) + IP.packed + TCP_80
    assert elements.pinned_target(key, A.address.packed + b"\x1f\x90\0\0") == (IP.packed + TCP_80, A.address, 8080)
