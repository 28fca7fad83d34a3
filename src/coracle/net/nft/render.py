"""A table's rules: a fixed skeleton as text; Forwards and networks are elements of its maps (elements.py).  Pure.

A new connection is looked up twice, whatever the number of services and targets:

    ip daddr . proto . port  --services-->  goto pick-3          (how many targets there are)
    ... . random of 3        --targets--->  10.32.0.5 . 80       (which one)

`node` and `node_targets` are the same for the node's own addresses, where only protocol and port are looked up.
A change of targets is a change of elements; rules are added once for each number of targets ever seen.

    pick-3          three targets, chosen at random
    pick-3-sticky   first ask `pins`, where this client went before
    fence-0123...   nobody else but these may come
    pin-10800       remember for three hours where this connection went (runs right after the choice has been made)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network

from coracle.net.addresses import Subnet
from coracle.net.nft.family import V4, Family

# IP stands for the family's word, ADDR for its type.
_SETS = """
  map services { type ADDR . inet_proto . inet_service : verdict; }
  map targets { typeof IP daddr . meta l4proto . tcp dport . numgen random mod 65535 : IP daddr . tcp dport; }
  map pinned_by { type ADDR . inet_proto . inet_service : verdict; }
  set refused { type ADDR . inet_proto . inet_service; }
  map fenced { type ADDR . inet_proto . inet_service : verdict; }
  map node { type inet_proto . inet_service : verdict; }
  map node_targets { typeof meta l4proto . tcp dport . numgen random mod 65535 : IP daddr . tcp dport; }
  map node_pinned_by { type inet_proto . inet_service : verdict; }
  set node_refused { type inet_proto . inet_service; }
  map node_fenced { type inet_proto . inet_service : verdict; }
  set hairpin { type ADDR . ADDR; }
  set away { type ADDR . inet_proto . inet_service; }
  map pins {
    typeof IP saddr . IP daddr . meta l4proto . tcp dport : IP daddr . tcp dport
    size 262144
    flags dynamic,timeout
  }
  set bridges { type ifname; }
  set same { type ifname . ifname; }
  set parted { type ifname . ifname; }
  set open { type ifname; }
  set internal { type ifname; }
  set masqueraded { type ADDR; flags interval; }
"""

_SERVICE = "IP daddr . meta l4proto . th dport"
_NODE = "meta l4proto . th dport"
_ASKED = "ct original IP daddr . meta l4proto . ct original proto-dst"
_ASKED_NODE = "meta l4proto . ct original proto-dst"

# Base chains: (name, hook and priority).  docs/network.md says why each is where it is.
_BASES = (
    ("guard", "type filter hook prerouting priority raw"),
    ("refuse_in", "type filter hook prerouting priority -101"),
    ("refuse_out", "type filter hook output priority -101"),
    ("steer_in", "type nat hook prerouting priority dstnat"),
    ("steer_out", "type nat hook output priority -100"),
    ("pin_in", "type filter hook prerouting priority -99"),
    ("pin_out", "type filter hook output priority -99"),
    ("leave", "type nat hook postrouting priority srcnat"),
    ("pass", "type filter hook forward priority filter"),
    ("own", "type filter hook output priority filter"),
)
_PLAIN = ("refuse", "find_fence", "find_refused", "find_pin")


def _rules(family: Family, service_range: IPv4Network | None) -> Mapping[str, Sequence[str]]:
    """The rules of every fixed chain."""
    here = family.loopback
    unanswered = [f"IP daddr {service_range} goto refuse"] if service_range is not None else []
    return {
        "guard": [
            # 127.0.0.1 is the node's own, though its bridges may carry packets for it (route_localnet).
            f"iifname @bridges IP daddr {here} drop",
            f"iifname @bridges IP saddr {here} drop",
            # Who is inside speaks in its own name only, and of the host to the gateway only: names are asked there.
            *(["icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"] if family.version == 6 else []),
            "iifname @internal fib saddr . iif oif missing drop",
            "iifname @internal fib daddr type local fib daddr . iif type != local drop",
        ],
        "refuse": ["meta l4proto tcp reject with tcp reset", f"reject with {family.unreachable}"],
        "find_fence": [f"{_SERVICE} vmap @fenced", f"fib daddr type local {_NODE} vmap @node_fenced"],
        "find_refused": [f"{_SERVICE} @refused goto refuse", f"fib daddr type local {_NODE} @node_refused goto refuse"],
        "refuse_in": ["ct state new jump find_fence", "ct state new jump find_refused"],
        "refuse_out": ["ct state new jump find_refused"],
        "steer_in": [f"IP daddr {here} return", *_steering()],
        # There is no way for ::1 out of the loopback; left alone, it is refused at once.
        "steer_out": [*([f"IP daddr {here} return"] if family.version == 6 else []), *_steering()],
        # Before the packet is routed: back out of the bridge it came from would first cost its sender a redirect, and
        # with it the right to be told more (the kernel counts these messages together).
        "pin_in": ["ct state new ct status dnat jump find_pin", *unanswered],
        "pin_out": ["ct state new ct status dnat jump find_pin"],
        "find_pin": [
            f"meta l4proto {protocol} {key} vmap @{map}"
            for protocol in ("tcp", "udp")
            for key, map in ((_ASKED, "pinned_by"), (_ASKED_NODE, "node_pinned_by"))
        ],
        "leave": [
            f"oifname @bridges IP saddr {here} masquerade",
            'oifname != "lo" ct status dnat IP saddr . IP daddr @hairpin masquerade fully-random',
            'oifname != @bridges oifname != "lo" IP saddr @masqueraded masquerade fully-random',
            f'ct status dnat oifname != @bridges oifname != "lo" {_SERVICE} @away masquerade fully-random',
        ],
        "pass": [
            "iifname != @bridges oifname != @bridges accept",
            "ct state established,related accept",
            "iifname . oifname @parted drop",
            "iifname . oifname @same accept",
            "iifname @internal drop",
            "oifname @internal drop",
            "iifname @open oifname @open accept",
            "oifname @bridges ct status dnat accept",
            "oifname @bridges drop",
        ],
        # Who sends through us what could go straight is not told so: it goes through us on purpose.
        "own": [f"oifname @bridges {family.redirect} drop", *unanswered],
    }


def _steering() -> list[str]:
    return [f"{_SERVICE} vmap @services", f"fib daddr type local {_NODE} vmap @node"]


def skeleton(table: str, service_range: IPv4Network | None, family: Family = V4) -> str:
    """Commands that make the table, or bring its fixed rules to this state and leave its elements alone."""
    bases = "".join(f"  chain {name} {{ {place}; policy accept; }}\n" for name, place in _BASES)
    plain = "".join(f"  chain {name} {{ }}\n" for name in _PLAIN)
    names = [*(name for name, _place in _BASES), *_PLAIN]
    flushes = "".join(f"flush chain {family.word} {table} {name}\n" for name in names)
    rules = _rules(family, service_range if family.version == 4 else None)
    filled = "".join(_chain(name, rules[name], family) for name in names)
    sets = _in(family, _SETS)
    head = f"table {family.word} {table}"
    return f"{head} {{{sets}{plain}{bases}}}\n{flushes}{head} {{\n{filled}}}\n"


def _chain(name: str, rules: Sequence[str], family: Family) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {_in(family, rule)}\n" for rule in rules) + "  }\n"


def _in(family: Family, text: str) -> str:
    return re.sub(r"\bIP\b", family.word, text).replace("ADDR", family.type)


def remade(table: str, service_range: IPv4Network | None, family: Family = V4) -> str:
    """As `skeleton`, from nothing: for a table that another version made with other sets."""
    return removed(table, family) + skeleton(table, service_range, family)


def removed(table: str, family: Family = V4) -> str:
    """Commands that take the table away, where there is one."""
    return f"table {family.word} {table} {{ }}\ndelete table {family.word} {table}\n"


# -- chains made when they are first needed --------------------------------------------------------------------------


def pin_chains(table: str, names: Iterable[str], family: Family = V4) -> str:
    """Commands that make `pin-` chains, or make them anew: remember where this connection went, for so many seconds."""
    at = f"{family.word} {table}"
    emptied = "".join(f"add chain {at} {name}\nflush chain {at} {name}\n" for name in sorted(names))
    made = (_chain(name, _pinning(name.removeprefix("pin-")), family) for name in sorted(names))
    return f"{emptied}table {at} {{\n" + "".join(made) + "}\n"


def _pinning(seconds: str) -> list[str]:
    update = f"update @pins {{ IP saddr . {_ASKED} timeout {seconds}s : IP daddr . th dport }}"
    return [f"meta l4proto {protocol} {update}" for protocol in ("tcp", "udp")]


def fence_chains(table: str, fences: Mapping[str, Iterable[Subnet]], family: Family = V4) -> str:
    """Commands that make `fence-` chains, or make them anew: only these sources go on."""
    at = f"{family.word} {table}"
    emptied = "".join(f"add chain {at} {name}\nflush chain {at} {name}\n" for name in sorted(fences))
    made = (_chain(name, [*(f"IP saddr {s} return" for s in fences[name]), "drop"], family) for name in sorted(fences))
    return f"{emptied}table {at} {{\n" + "".join(made) + "}\n"
