"""Records that an earlier version of ours has left, brought up to what this version reads.

Called once at every start, when the networks are known and before anybody else looks at the engine's records.  Each
rule is pure: it takes a record as an earlier version wrote it and gives it as this one would have; what needs
nothing comes back as it is, and is not written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from ipaddress import IPv4Address
from typing import Any, Protocol

from coracle.core.object import Object
from coracle.core.store import Put, Store
from coracle.engine.kinds import container as containers
from coracle.engine.kinds import image as images
from coracle.engine.kinds import sandbox as sandboxes
from coracle.engine.kinds.container import ContainerSpec
from coracle.engine.kinds.sandbox import Endpoint, SandboxSpec
from coracle.image.manifest import host_platform
from coracle.net.addresses import mac_of
from coracle.net.api import Network


class Lookup(Protocol):
    """The networks there are."""

    def find(self, name: str) -> Network:
        """Raises NotFound."""
        ...


async def upgrade(store: Store, networks: Lookup) -> None:
    """Rewrite what is of an earlier form, in one commit."""
    rules: dict[str, Callable[[Object], Object]] = {
        sandboxes.TYPE: lambda record: sandbox(record, networks),
        containers.TYPE: container,
        images.TYPE: image,
    }
    changes = []
    for type, rule in rules.items():
        for entry in store.entries(type):
            record = entry.object()
            upgraded = rule(record)
            if upgraded is not record:
                changes.append(Put(upgraded, entry.revision))
    if changes:
        await store.commit(*changes)


def container(record: Object) -> Object:
    """Fields that came later have their defaults."""
    return _with_defaults(record, asdict(ContainerSpec(name="", image="")))


def sandbox(record: Object, networks: Lookup) -> Object:
    """Once a sandbox was in one network, by name, and its address was all there was to say."""
    defaults = asdict(SandboxSpec(name=""))
    del defaults["endpoints"]
    record = _with_defaults(record, defaults)
    if record.spec["dns"].keys() != defaults["dns"].keys():
        record = record.with_spec(dns={**defaults["dns"], **record.spec["dns"]})
    if "endpoints" in record.spec:
        return record
    name, address = record.spec["network"], record.status.get("address", "")
    if record.spec["host_network"] or not address:
        return record.with_spec(endpoints=[]).with_status(endpoints=[], primary="")
    network = networks.find(name)
    plugged = {
        "network": name,
        "address": address,
        "prefix": network.subnet.prefixlen,
        "gateway": str(network.gateway),
        "address6": "",
        "prefix6": 0,
        "gateway6": "",
        "mac": mac_of(IPv4Address(address)),
        "interface": "eth0",
        "state": "ready",
    }
    return record.with_spec(endpoints=[sandboxes.wish(Endpoint(network=name))]).with_status(
        endpoints=[plugged], primary=name
    )


def image(record: Object) -> Object:
    """Sizes by layer, the platform and the parent came later."""
    if "platform" in record.spec:
        return record
    layers, total = len(record.spec["chain_ids"]), int(record.spec["size_bytes"])
    return record.with_spec(
        layer_bytes=[total, *[0] * (layers - 1)] if layers else [],
        parent="",
        platform=str(host_platform()),
        named=record.spec["created"],
    )


def _with_defaults(record: Object, defaults: dict[str, Any]) -> Object:
    for derived in ("name", "labels"):
        if derived not in record.spec:
            defaults.pop(derived, None)
    missing = {name: value for name, value in defaults.items() if name not in record.spec}
    return record.with_spec(**missing) if missing else record
