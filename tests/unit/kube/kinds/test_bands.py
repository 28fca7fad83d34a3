"""Numbers that nobody asked for come from the upper part of a range, while it has some."""

from ipaddress import IPv4Address, IPv4Network
from itertools import islice

import pytest

from coracle.kube.kinds import bands


@pytest.mark.parametrize(
    ("band", "size", "expected"),
    [
        (bands.ADDRESSES, 65534, 256),
        (bands.ADDRESSES, 254, 16),
        (bands.ADDRESSES, 14, 0),
        (bands.PORTS, 2768, 86),
        (bands.PORTS, 2, 0),
    ],
)
def test_how_much_is_kept(band, size, expected):
    assert band.of(size) == expected


def test_the_upper_part_comes_first_and_everything_comes():
    found = list(bands.ports(30000, 32767))
    assert min(found[: 64 + 2768 - 86]) == 30086
    assert set(found) == set(range(30000, 32768))
    network = IPv4Network("10.0.0.0/24")
    assert {IPv4Address(number) for number in bands.addresses(network, skip=1)} == set(network.hosts()) - {network[1]}
    assert min(islice(bands.addresses(network, skip=1), 64 + 254 - 16)) == int(network[17])


def test_a_small_range_is_given_out_whole():
    assert set(bands.addresses(IPv4Network("10.0.0.0/29"), skip=1)) == {
        int(IPv4Address("10.0.0.0")) + n for n in range(2, 7)
    }
