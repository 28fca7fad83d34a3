import asyncio
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import pytest

from coracle.core import claims
from coracle.core.errors import Exhausted
from coracle.core.object import Meta, Object
from coracle.core.store import Delete, MemoryStore
from coracle.net.addresses import Addresses, claim_of, mac_of

SMALL = IPv4Network("10.9.0.0/29")  # .2 to .6 can be given


def ip(last):
    return IPv4Address(f"10.9.0.{last}")


def held(store, *lasts, network="pods"):
    holder = Object("Sandbox", Meta(name="x", uid="u"))
    names = [claim_of(network, ip(last)) for last in lasts]
    asyncio.run(store.commit(*claims.changes(store, holder, (), names)))


def freed(store, last):
    key = next(e.key for e in store.entries(claims.TYPE) if e.key.name == claim_of("pods", ip(last)))
    asyncio.run(store.commit(Delete(claims.TYPE, key)))


KEPT = {ip(0), ip(1), ip(7)}  # the network's, the gateway's, the broadcast address


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        pytest.param([], 2, id="begins after the gateway"),
        pytest.param([2, 3], 4, id="passes what is held"),
        pytest.param([6], 2, id="never gives the broadcast address and begins again"),
        pytest.param([2, 4, 5, 6], 3, id="finds the one hole"),
    ],
)
def test_choice(taken, expected):
    store = MemoryStore()
    held(store, *taken)
    assert Addresses("pods", SMALL, KEPT).choose(store) == ip(expected)


def test_a_full_network_says_so():
    store = MemoryStore()
    held(store, *range(2, 7))
    with pytest.raises(Exhausted, match="no address left in network pods"):
        Addresses("pods", SMALL, KEPT).choose(store)


def test_only_the_pool_is_given_out_and_what_is_held_beside_it_does_not_count():
    store = MemoryStore()
    held(store, 6)
    pool = IPv4Network("10.9.0.2/31")
    addresses = Addresses("pods", pool, KEPT)
    assert [addresses.choose(store) for _ in range(3)] == [ip(2), ip(3), ip(2)]


def test_addresses_of_ipv6_go_on_likewise():
    subnet = IPv6Network("fd00:1::/64")
    addresses = Addresses("pods", subnet, {subnet[0], subnet[1]})
    assert [str(addresses.choose(MemoryStore())) for _ in range(2)] == ["fd00:1::2", "fd00:1::3"]


def test_a_freed_address_is_not_given_again_at_once():
    store = MemoryStore()
    addresses = Addresses("pods", SMALL, KEPT)
    given = []
    for _ in range(5):
        address = addresses.choose(store)
        given.append(int(address) & 7)
        held(store, given[-1])
        freed(store, given[-1])
    assert given == [2, 3, 4, 5, 6]


def test_a_new_start_goes_on_after_the_highest_address_held():
    store = MemoryStore()
    held(store, 2, 4)
    held(store, 6, network="other")
    assert Addresses("pods", SMALL, KEPT).choose(store) == ip(5)


def test_a_link_address_is_made_from_the_network_address():
    assert mac_of(IPv4Address("10.32.0.5")) == "02:42:0a:20:00:05"
