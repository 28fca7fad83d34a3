"""Isolation as text for the kernel."""

import pytest

from coracle.net.nft.policing import rendered
from coracle.net.policing import Allowance, Isolation, Span

ONE, TWO, NET = "10.0.0.1", "10.0.0.2", "10.0.0.0/24"


def chain(text, name):
    _, _, rest = text.partition(f"chain {name} {{\n")
    return [line.strip() for line in rest.partition("  }")[0].splitlines()]


@pytest.mark.parametrize(
    ("allowances", "rules"),
    [
        ((), []),
        ((Allowance(),), ["accept"]),
        ((Allowance(()),), []),
        ((Allowance(("0.0.0.0/0",)),), ["accept"]),
        ((Allowance((NET, "10.0.0.7")),), ["ip saddr { 10.0.0.0/24 } accept"]),
        ((Allowance((ONE, TWO)),), ["ip saddr { 10.0.0.1, 10.0.0.2 } accept"]),
        ((Allowance((NET,), (ONE,)),), ["ip saddr { 10.0.0.0/24 } ip saddr != { 10.0.0.1 } accept"]),
        (
            (Allowance(None, (), (Span("TCP", 80, 80), Span("TCP", 70, 79), Span("TCP", 443, 443), Span("UDP"))),),
            ["meta l4proto tcp th dport { 70-80, 443 } accept", "meta l4proto udp accept"],
        ),
    ],
)
def test_what_is_allowed(allowances, rules):
    assert chain(rendered("t", [Isolation(ONE, allowances)]), "in-0") == [*rules, "drop"]


def test_equal_allowances_share_a_chain_and_each_way_has_its_map():
    text = rendered("t", [Isolation(TWO, (Allowance(),)), Isolation(ONE, (Allowance(),), ())])
    assert (
        "map ingress { type ipv4_addr : verdict; elements = { 10.0.0.1 : goto in-1, 10.0.0.2 : goto in-1 }; }" in text
    )
    assert "map egress { type ipv4_addr : verdict; elements = { 10.0.0.1 : goto out-0 }; }" in text
    assert "10.0.0.1 . 10.0.0.1, 10.0.0.2 . 10.0.0.2" in text
    assert chain(text, "out-0") == ["drop"]
