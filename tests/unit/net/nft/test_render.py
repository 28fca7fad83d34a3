import re
from ipaddress import IPv4Network

import pytest

from coracle.net.nft import render
from coracle.net.nft.family import V4, V6


@pytest.mark.parametrize("family", [V4, V6])
def test_the_words_of_a_skeleton_are_of_its_family_only(family):
    words = set(
        re.findall(r"\b(?:ip|ip6|ipv4_addr|ipv6_addr|icmp|icmpv6|IP|ADDR)\b", render.skeleton("x", None, family))
    )
    assert words == ({"ip", "ipv4_addr", "icmp"} if family == V4 else {"ip6", "ipv6_addr", "icmpv6"})


def test_every_chain_that_is_led_to_is_in_the_skeleton():
    text = render.skeleton("coracle-x", IPv4Network("100.64.0.0/16"))
    for name in ("refuse", "find_refused", "find_pin"):
        assert f"chain {name} {{" in text
        assert f"flush chain ip coracle-x {name}\n" in text
    assert text.count("ip daddr 100.64.0.0/16 goto refuse") == 2  # from plugs, and from the host
