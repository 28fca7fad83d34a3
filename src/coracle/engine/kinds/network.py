"""Network: what sandboxes are plugged into.

Two are there from the beginning and cannot be removed: "pods" (Kubernetes') and "bridge" (Docker's default).

Spec
    name        what users call it; a claim, so that it means one network
    id          64 hex digits, also the record's name ("pods" and "bridge" have ids too)
    subnet      "10.33.0.0/24"       gateway   "10.33.0.1"      range  "" or the part of the subnet that is given out
    ipv6        whether it has IPv6 too: subnet6, gateway6, range6, likewise
    reserved    more addresses that nobody is given: gateways of the user's own, say
    bridge      name of its link; a claim            mtu
    internal    no way out                           isolated  packets from other networks of ours do not get in
    masquerade  leave in the host's name             icc       its members may talk to each other
    made_by     "docker", "kube"
    details     what the API that it belongs to keeps with it (driver, options, IPAM); opaque here

Status
    state       "making", "ready", "removing"
    floats      its subnets were ours to choose, so they may be others another time
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from coracle.core.kind import Kind
from coracle.core.object import Key, Meta, Object
from coracle.net.addresses import Subnet
from coracle.net.api import Network

TYPE = "Network.engine"
API = "engine/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """What to make.  `subnet` "" takes the next free one; `gateway` "" the first address of its range."""

    name: str
    subnet: str = ""
    gateway: str = ""
    range: str = ""
    ipv6: bool = False
    subnet6: str = ""
    gateway6: str = ""
    range6: str = ""
    reserved: tuple[str, ...] = ()
    bridge: str = ""
    mtu: int = 1500
    internal: bool = False
    isolated: bool = True
    masquerade: bool = True
    icc: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    made_by: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def to_record(id: str, spec: NetworkSpec) -> Object:
    """The record as it is first committed."""
    body = asdict(spec)
    del body["labels"]
    return Object(KIND.name, Meta(name=id, labels=dict(spec.labels)), {"spec": {**body, "id": id}}, API)


def spec_of(record: Object) -> NetworkSpec:
    """The spec that `to_record` was given."""
    body: dict[str, Any] = {name: value for name, value in record.spec.items() if name != "id"}
    return NetworkSpec(**{**body, "reserved": tuple(body["reserved"]), "labels": record.meta.labels})


def network_of(record: Object) -> Network:
    """What the driver is told of a network."""
    spec = record.spec
    return Network(
        name=spec["name"],
        bridge=spec["bridge"],
        subnet=IPv4Network(spec["subnet"]),
        gateway=IPv4Address(spec["gateway"]),
        mtu=spec["mtu"],
        internal=spec["internal"],
        masquerade=spec["masquerade"],
        isolated=spec["isolated"],
        icc=spec["icc"],
        pool=IPv4Network(spec["range"]) if spec["range"] else None,
        subnet6=IPv6Network(spec["subnet6"]) if spec["subnet6"] else None,
        gateway6=IPv6Address(spec["gateway6"]) if spec["gateway6"] else None,
        pool6=IPv6Network(spec["range6"]) if spec["range6"] else None,
        reserved=tuple(ip_address(address) for address in spec["reserved"]),
    )


def subnets_of(record: Object) -> Sequence[Subnet]:
    """One, or two with IPv6."""
    return [ip_network(record.spec[name]) for name in ("subnet", "subnet6") if record.spec[name]]


def key(id: str) -> Key:
    return Key("", id)


def name_claim(name: str) -> str:
    """The name under which a network's name is held (core.claims)."""
    return f"network-name/{name}"


def link_claim(bridge: str) -> str:
    """The name under which a bridge's name is held."""
    return f"network-link/{bridge}"


def claims(network: Object) -> Iterable[str]:
    return (name_claim(network.spec["name"]), link_claim(network.spec["bridge"]))


KIND = Kind(
    name="Network",
    plural="networks",
    api=API,
    namespaced=False,
    name_rule="record",
    counts_generations=False,
    claims=claims,
)
