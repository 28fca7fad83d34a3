from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import islice

import pytest

from coracle.core.errors import Exhausted, Forbidden, Malformed
from coracle.engine import subnets


def nets(*texts):
    return [(ip_network(text), f"network of {text}") for text in texts]


def test_pools_come_in_dockers_order_and_then_some():
    found = [str(subnet) for subnet in subnets.pools()]
    assert found[0] == "172.17.0.0/16"
    assert found[14:17] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]
    assert found[31] == "10.128.0.0/20"
    assert len(found) == 15 + 16 + 1024
    assert all(
        not one.overlaps(other) for one, other in zip(subnets.pools(), islice(subnets.pools(), 1, None), strict=False)
    )


def test_pools_of_ipv6_are_the_clouds_own():
    ours, others = next(subnets.pools6("coracle")), next(subnets.pools6("cor1a2b"))
    assert ours.prefixlen == 64
    assert ours.subnet_of(IPv6Network("fd00::/8"))
    assert ours != others
    assert ours == next(subnets.pools6("coracle"))


def test_the_first_free_one_is_taken():
    assert subnets.settle("", subnets.pools(), nets("172.17.0.0/16", "172.18.4.0/24")) == IPv4Network("172.19.0.0/16")
    with pytest.raises(Exhausted, match="all predefined address pools have been fully subnetted"):
        subnets.settle("", subnets.pools(), nets("0.0.0.0/0"))


def test_what_is_asked_for_must_be_free():
    assert subnets.settle("10.1.0.0/24", (), nets("10.2.0.0/16")) == IPv4Network("10.1.0.0/24")
    with pytest.raises(Forbidden, match=r"Pool overlaps with other one .*\(10.1.0.0/16 of network of 10.1.0.0/16\)"):
        subnets.settle("10.1.4.0/24", (), nets("10.1.0.0/16"))
    assert subnets.settle("fd00::/64", (), nets("10.1.0.0/16")) == IPv6Network("fd00::/64")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "invalid CIDR block notation"),
        ("10.1.0.0/33", "invalid CIDR block notation"),
        ("ten/8", "invalid CIDR block notation"),
        ("10.1.0.1/24", "it should be 10.1.0.0/24"),
        ("10.1.0.0/255.255.255.0", "it should be 10.1.0.0/24"),
        ("10.1.0.0", "it should be 10.1.0.0/32"),
        ("10.1.0.0/31", "no room"),
        ("fd00::1/64", "it should be fd00::/64"),
    ],
)
def test_what_is_no_subnet(text, said):
    with pytest.raises(Malformed, match=said):
        subnets.read_subnet(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.1.0.0/33", "invalid CIDR block notation"),
        ("10.0.0.0/8", "bigger than its parent subnet 10.1.0.0/16"),
        ("10.1.4.1/24", "it should be 10.1.4.0/24"),
        ("10.2.0.0/24", "doesn't contain ip-range"),
        ("fd00::/64", "parent subnet is an IPv4 block"),
    ],
)
def test_what_is_no_range(text, said):
    with pytest.raises(Malformed, match=said):
        subnets.read_range(text, IPv4Network("10.1.0.0/16"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ten", "invalid gateway: invalid address"),
        ("fd00::1", "parent subnet is an IPv4 block"),
        ("10.2.0.1", "doesn't contain this address"),
    ],
)
def test_what_is_no_member(text, said):
    with pytest.raises(Malformed, match=said):
        subnets.read_member(text, IPv4Network("10.1.0.0/16"), "gateway")


def test_gateways():
    subnet = IPv4Network("10.1.0.0/16")
    assert str(subnets.gateway("", subnet, "")) == "10.1.0.1"
    assert str(subnets.gateway("", subnet, "10.1.0.0/24")) == "10.1.0.1"
    assert str(subnets.gateway("", subnet, "10.1.5.0/24")) == "10.1.5.0"
    assert str(subnets.gateway("10.1.9.9", subnet, "10.1.5.0/24")) == "10.1.9.9"


def test_the_subnet_of_an_address_is_of_its_family():
    assert subnets.home_of("10.1.0.9", "10.1.0.0/16", "fd00::/64") == IPv4Network("10.1.0.0/16")
    assert subnets.home_of("fd00::9", "10.1.0.0/16", "fd00::/64") == IPv6Network("fd00::/64")
    assert subnets.home_of("fd00::9", "10.1.0.0/16", "") == IPv4Network("10.1.0.0/16")
