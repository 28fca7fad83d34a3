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
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from coracle.core.kind import Kind
from coracle.core.object import Key, Meta, Object

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
