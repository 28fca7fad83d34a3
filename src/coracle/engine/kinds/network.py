"""Network: what sandboxes are plugged into.

Two are there from the beginning and cannot be removed: "pods" (Kubernetes') and "bridge" (Docker's default).

Spec
    name        what users call it; a claim, so that it means one network
    id          64 hex digits, also the record's name ("pods" and "bridge" have ids too)
    subnet      "10.33.0.0/24"       gateway   "10.33.0.1"      range  "" or the part of the subnet that is given out
    subnet6, gateway6   "" or IPv6, likewise
    bridge      name of its link     mtu
    internal    no way out           isolated  packets from other networks of ours do not get in
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
    """What to make.  `subnet` "" takes the next free one; `gateway` "" its first address."""

    name: str
    subnet: str = ""
    gateway: str = ""
    range: str = ""
    subnet6: str = ""
    gateway6: str = ""
    bridge: str = ""
    mtu: int = 1500
    internal: bool = False
    isolated: bool = True
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


def claims(network: Object) -> Iterable[str]:
    return (name_claim(network.spec["name"]),)


KIND = Kind(
    name="Network",
    plural="networks",
    api=API,
    namespaced=False,
    name_rule="record",
    counts_generations=False,
    claims=claims,
)
