"""The packing; that the kernel understands it is shown in tests/contract/test_net_*."""

import struct

import pytest

from coracle.linux import conntrack, expressions, nftables
from coracle.linux.netlink import Netlink, attribute, attributes, nest, number, text
from coracle.net.nft import picks


def test_attributes_are_padded_and_read_back():
    packed = text(3, "eth0") + number(4, 1500) + nest(18, attribute(1, b"abc"))
    assert len(packed) % 4 == 0
    found = dict(attributes(packed))
    assert found[3] == b"eth0\0"
    assert found[4] == struct.pack("=I", 1500)
    assert dict(attributes(found[18])) == {1: b"abc"}


def test_flags_of_attributes_are_not_part_of_their_type():
    assert list(attributes(attribute(5 | 0x8000, b"x"))) == [(5, b"x")]


@pytest.mark.parametrize("cut", range(1, 12))
def test_cut_off_attributes_do_no_harm(cut):
    list(attributes((number(1, 1) + number(2, 2))[:-cut]))


def test_an_attribute_without_length_ends_the_reading():
    assert list(attributes(b"\0\0\1\0" * 3)) == []


def names(rules):
    """The names of the expressions of rules."""
    return [[dict(attributes(e[4:]))[1].rstrip(b"\0").decode() for e in rule] for rule in rules]


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ("pick-3", [["payload", "meta", "payload", "numgen", "lookup", "nat"]]),
        ("node-pick-3", [["meta", "payload", "numgen", "lookup", "nat"]]),
        ("pick-3-sticky", [["payload", "payload", "meta", "payload", "lookup", "nat"], ["immediate"]]),
    ],
)
def test_choosing_chains(chain, expected):
    assert names(picks.rules(chain)) == expected


def test_a_sticky_chain_of_the_node_leads_to_its_plain_one():
    go = picks.rules("node-pick-12-sticky")[1][0]
    assert go == expressions.go("node-pick-12")
    assert b"node-pick-12\0" in go


def test_large_batches_are_divided_where_an_attribute_would_overflow():
    batch = nftables.Batch("x")
    batch.add("targets", ((number.to_bytes(16), nftables.value(bytes(8))) for number in range(5000)))
    assert len(batch._messages) > 3
    assert all(len(message) < 65_536 for message in batch._messages)


def test_a_remembered_datagram_is_read():
    def direction(source, destination, ports):
        ip = nest(1, attribute(1, bytes(source)), attribute(2, bytes(destination)))
        proto = [attribute(n, port.to_bytes(2)) for n, port in zip((2, 3), ports, strict=True)]
        return ip + nest(2, attribute(1, bytes([17])), *proto)

    client, service, pod = (10, 32, 0, 9), (100, 64, 0, 5), (10, 32, 0, 2)
    payload = bytes(4)
    payload += attribute(1, direction(client, service, (40000, 53)))
    payload += attribute(2, direction(pod, client, (5353, 40000)))
    flow = conntrack._read(payload)
    assert [(str(a), p) for a, p in (flow.source, flow.asked, flow.answering)] == [
        ("10.32.0.9", 40000),
        ("100.64.0.5", 53),
        ("10.32.0.2", 5353),
    ]


def test_nothing_to_say_is_not_said():
    with Netlink() as kernel:
        kernel.send()
