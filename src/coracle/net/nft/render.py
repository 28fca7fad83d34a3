"""Forwards and networks as nftables rules: a fixed skeleton as text, everything else as elements of its maps.  Pure.

A new connection is looked up twice, whatever the number of services and targets:

    ip daddr . proto . port  --services-->  goto pick-3          (how many targets there are)
    ... . random of 3        --targets--->  10.32.0.5 . 80       (which one)

`node` and `node_targets` are the same for the node's own addresses, where only protocol and port are looked up.
A change of targets is a change of elements; rules are added once for each number of targets ever seen.

    pick-3          three targets, chosen at random
    pick-3-sticky   first ask `pins`, where this client went before
    pin-10800       remember for three hours where this connection went (runs right after the choice has been made)

Keys are packed as the kernel compares them: see linux/nftables.py.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from coracle.net.api import Forward, Network

PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}
LOOPBACK = IPv4Address("127.0.0.1")

# Maps and sets whose elements come from Forwards; all of them are refilled together after a restart.
FILLED = (
    "services", "targets", "pinned_by", "refused",
    "node", "node_targets", "node_pinned_by", "node_refused",
    "hairpin", "away",
)  # fmt: skip
_SHARED = ("hairpin", "away")  # several Forwards may ask for the same element

_SETS = """
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map targets { typeof ip daddr . meta l4proto . tcp dport . numgen random mod 65535 : ip daddr . tcp dport; }
  map pinned_by { type ipv4_addr . inet_proto . inet_service : verdict; }
  set refused { type ipv4_addr . inet_proto . inet_service; }
  map node { type inet_proto . inet_service : verdict; }
  map node_targets { typeof meta l4proto . tcp dport . numgen random mod 65535 : ip daddr . tcp dport; }
  map node_pinned_by { type inet_proto . inet_service : verdict; }
  set node_refused { type inet_proto . inet_service; }
  set hairpin { type ipv4_addr . ipv4_addr; }
  set away { type ipv4_addr . inet_proto . inet_service; }
  map pins {
    typeof ip saddr . ip daddr . meta l4proto . tcp dport : ip daddr . tcp dport
    size 262144
    flags dynamic,timeout
  }
  set bridges { type ifname; }
  set same { type ifname . ifname; }
  set internal { type ifname; }
  set masqueraded { type ipv4_addr; flags interval; }
"""

_SERVICE = "ip daddr . meta l4proto . th dport"
_NODE = "meta l4proto . th dport"
_ASKED = "ct original ip daddr . meta l4proto . ct original proto-dst"
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
_PLAIN = ("refuse", "find_refused", "find_pin")


def _rules(service_range: IPv4Network | None) -> Mapping[str, Sequence[str]]:
    """The rules of every fixed chain."""
    unanswered = [f"ip daddr {service_range} goto refuse"] if service_range is not None else []
    return {
        # 127.0.0.1 is the node's own, though its bridges may carry packets for it (route_localnet).
        "guard": ["iifname @bridges ip daddr 127.0.0.0/8 drop", "iifname @bridges ip saddr 127.0.0.0/8 drop"],
        "refuse": ["meta l4proto tcp reject with tcp reset", "reject with icmp type port-unreachable"],
        "find_refused": [f"{_SERVICE} @refused goto refuse", f"fib daddr type local {_NODE} @node_refused goto refuse"],
        "refuse_in": ["ct state new jump find_refused"],
        "refuse_out": ["ct state new jump find_refused"],
        "steer_in": ["ip daddr 127.0.0.0/8 return", *_steering()],
        "steer_out": _steering(),
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
            "oifname @bridges ip saddr 127.0.0.0/8 masquerade",
            "ct status dnat ip saddr . ip daddr @hairpin masquerade fully-random",
            "oifname != @bridges ip saddr @masqueraded masquerade fully-random",
            f'ct status dnat oifname != @bridges oifname != "lo" {_SERVICE} @away masquerade fully-random',
        ],
        "pass": [
            "iifname != @bridges oifname != @bridges accept",
            "ct state established,related accept",
            "iifname . oifname @same accept",
            "iifname @internal drop",
            "oifname @internal drop",
            "oifname @bridges ct status dnat accept",
            "oifname @bridges drop",
        ],
        # Who sends through us what could go straight is not told so: it goes through us on purpose.
        "own": ["oifname @bridges icmp type redirect drop", *unanswered],
    }


def _steering() -> list[str]:
    return [f"{_SERVICE} vmap @services", f"fib daddr type local {_NODE} vmap @node"]


def skeleton(table: str, service_range: IPv4Network | None) -> str:
    """Commands that make the table, or bring its fixed rules to this state and leave its elements alone."""
    bases = "".join(f"  chain {name} {{ {place}; policy accept; }}\n" for name, place in _BASES)
    plain = "".join(f"  chain {name} {{ }}\n" for name in _PLAIN)
    names = [*(name for name, _place in _BASES), *_PLAIN]
    flushes = "".join(f"flush chain ip {table} {name}\n" for name in names)
    rules = _rules(service_range)
    filled = "".join(_chain(name, rules[name]) for name in names)
    return f"table ip {table} {{{_SETS}{plain}{bases}}}\n{flushes}table ip {table} {{\n{filled}}}\n"


def _chain(name: str, rules: Sequence[str]) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {rule}\n" for rule in rules) + "  }\n"


def remade(table: str, service_range: IPv4Network | None) -> str:
    """As `skeleton`, from nothing: for a table that another version made with other sets."""
    return f"table ip {table} {{ }}\ndelete table ip {table}\n" + skeleton(table, service_range)


# -- chains made when they are first needed --------------------------------------------------------------------------


def pin_chains(table: str, names: Iterable[str]) -> str:
    """Commands that make `pin-` chains, or make them anew: remember where this connection went, for so many seconds."""
    emptied = "".join(f"add chain ip {table} {name}\nflush chain ip {table} {name}\n" for name in sorted(names))
    made = (_chain(name, _pinning(name.removeprefix("pin-"))) for name in sorted(names))
    return f"{emptied}table ip {table} {{\n" + "".join(made) + "}\n"


def _pinning(seconds: str) -> list[str]:
    update = f"update @pins {{ ip saddr . {_ASKED} timeout {seconds}s : ip daddr . th dport }}"
    return [f"meta l4proto {protocol} {update}" for protocol in ("tcp", "udp")]


def with_parts(names: Iterable[str]) -> set[str]:
    """The chains named, and those they lead to."""
    return {part for name in names for part in (name, name.removesuffix("-sticky"))}


# -- elements --------------------------------------------------------------------------------------------------------


class Element(NamedTuple):
    """An element of a map or set.  `chain`: where a verdict map leads; `data`: what a map of data holds."""

    set: str
    key: bytes
    chain: str = ""
    data: bytes = b""


def elements(forward: Forward, subnets: Sequence[IPv4Network] = ()) -> Iterator[Element]:
    """What `forward` is in the maps.  Targets outside `subnets` are reached in the node's own name."""
    address = LOOPBACK if forward.loopback_only and forward.address is None else forward.address
    prefix, node = ("", address.packed) if address is not None else ("node_", b"")
    key = node + _port_key(forward.transport, forward.port)
    if not forward.targets:
        yield Element(f"{prefix}refused", key)
        return
    sticky = "-sticky" if forward.affinity_s is not None else ""
    pick = f"{'node-' if prefix else ''}pick-{len(forward.targets)}{sticky}"
    yield Element("node" if prefix else "services", key, chain=pick)
    if forward.affinity_s is not None:
        yield Element(f"{prefix}pinned_by", key, chain=f"pin-{forward.affinity_s}")
    for number, target in enumerate(forward.targets):
        data = target.address.packed + struct.pack(">Hxx", target.port)
        yield Element(f"{prefix}targets", key + struct.pack("=I", number), data=data)
        yield Element("hairpin", target.address.packed * 2)
        if not any(target.address in subnet for subnet in subnets):
            yield Element("away", target.address.packed + _port_key(forward.transport, target.port))


def _port_key(transport: str, port: int) -> bytes:
    return struct.pack(">BxxxHxx", PROTOCOLS[transport], port)


@dataclass(slots=True)
class Difference:
    """What to tell the kernel: in one transaction, deletions first.  `chains` have to be there before.

    `gone` and `come` are the Forwards it stands for (a changed one is in both); `shared` changes of use, see Present.
    """

    gone: list[Forward]
    come: list[Forward]
    subnets: tuple[IPv4Network, ...]
    delete: list[Element] = field(default_factory=list)
    add: list[Element] = field(default_factory=list)
    shared: Counter[tuple[str, bytes]] = field(default_factory=Counter)

    @property
    def chains(self) -> set[str]:
        return with_parts({element.chain for element in self.add if element.chain})


class Present:
    """What the kernel has been told, so that the next telling is a difference.

    Several Forwards may ask for one element of `hairpin` and `away`; `_uses` counts them.
    """

    def __init__(self) -> None:
        self.forwards: dict[str, Forward] = {}
        self._subnets: tuple[IPv4Network, ...] = ()
        self._uses: Counter[tuple[str, bytes]] = Counter()

    def difference(self, forwards: Iterable[Forward], subnets: tuple[IPv4Network, ...]) -> Difference:
        """What to change so that exactly `forwards` are there.  Call `accept` once the kernel has it."""
        asked = {forward.id: forward for forward in forwards}
        all = subnets != self._subnets
        gone = [old for id, old in self.forwards.items() if all or asked.get(id) != old]
        come = [new for id, new in asked.items() if all or self.forwards.get(id) != new]
        result = Difference(gone, come, subnets)
        old, new = self._sorted(gone, self._subnets, -1, result), self._sorted(come, subnets, 1, result)
        result.delete += [element for place, element in old.items() if new.get(place) != element]
        result.add += [element for place, element in new.items() if old.get(place) != element]
        for place, change in result.shared.items():
            had, has = self._uses[place] > 0, self._uses[place] + change > 0
            if had != has:
                (result.add if has else result.delete).append(Element(*place))
        return result

    def accept(self, difference: Difference) -> None:
        for place, change in difference.shared.items():
            self._uses[place] += change
            if self._uses[place] <= 0:
                del self._uses[place]
        for forward in difference.gone:
            del self.forwards[forward.id]
        self.forwards.update((forward.id, forward) for forward in difference.come)
        self._subnets = difference.subnets

    def _sorted(
        self, forwards: Iterable[Forward], subnets: tuple[IPv4Network, ...], sign: int, result: Difference
    ) -> dict[tuple[str, bytes], Element]:
        """The elements of `forwards` by place; those that may be shared are counted in `result` instead."""
        own = {}
        for forward in forwards:
            for element in elements(forward, subnets):
                if element.set in _SHARED:
                    result.shared[element.set, element.key] += sign
                else:
                    own[element.set, element.key] = element
        return own


# -- networks --------------------------------------------------------------------------------------------------------


def network_elements(network: Network) -> list[tuple[str, str]]:
    """The sets a network is in, with its element as text."""
    bridge = f'"{network.bridge}"'
    found = [("bridges", bridge), ("same", f"{bridge} . {bridge}")]
    if network.internal:
        found.append(("internal", bridge))
    elif network.masquerade:
        found.append(("masqueraded", str(network.subnet)))
    return found


def add_network(table: str, network: Network) -> str:
    return "".join(f"add element ip {table} {set} {{ {item} }}\n" for set, item in network_elements(network))


# -- what the kernel tells -------------------------------------------------------------------------------------------


def pinned_target(key: bytes, data: bytes) -> tuple[bytes, IPv4Address, int]:
    """A pin: the key of the service that was asked (as in `services`), and the target it is pinned to."""
    return key[4:16], IPv4Address(data[:4]), int.from_bytes(data[4:6])
