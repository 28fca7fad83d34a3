"""Networks: what sandboxes are plugged into.  The only writer of Network records.

Called by Docker's API and at start; calls the NetDriver.  The record is committed before anything is in the kernel, and
goes after everything of it has gone: whatever moment the daemon dies at, `adopt` makes true what the records say.

    commit "making" -> bridge, rules, names -> commit "ready"
    commit "removing" (refused while somebody is plugged in) -> out of the kernel -> delete

Two networks are predefined: "pods" (Kubernetes'), with the subnet that the cloud was given, and "bridge" (Docker's
default), whose subnet is chosen once and kept.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

import orjson

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import Conflict, Forbidden, Malformed, NotFound
from coracle.core.kind import Reader
from coracle.core.object import Object
from coracle.core.store import Entry, Store
from coracle.engine import subnets
from coracle.engine.kinds import network as networks
from coracle.engine.kinds import sandbox as sandboxes
from coracle.engine.kinds.network import NetworkSpec
from coracle.engine.subnets import Subnet
from coracle.net.api import NetDriver, Network
from coracle.net.names import Names, scope_of

__all__ = ["BRIDGE", "PODS", "Ground", "NetworkSpec", "Networks", "network_of"]

log = logging.getLogger(__name__)

PODS, BRIDGE = "pods", "bridge"
PREDEFINED = (PODS, BRIDGE)


class Ground(Protocol):
    """The host's addresses, which we share with others: its own routes, other clouds."""

    def alone(self) -> AbstractAsyncContextManager[Sequence[tuple[Subnet, str]]]:
        """Nobody else of ours on this host chooses meanwhile.  Gives what others have, and who they are."""
        ...


class Networks:
    """`tag` begins the names of the cloud's links; `pods` is Kubernetes' network."""

    def __init__(
        self, store: Store, clock: Clock, net: NetDriver, names: Names, ground: Ground, *, tag: str, pods: Network
    ) -> None:
        self._store, self._net, self._names, self._ground = store, net, names, ground
        self._tag, self._pods = tag, pods
        self._records = Collection(networks.KIND, store, clock, [self._keep_used])
        self._whole: dict[str, Network] = {}  # those that can be plugged into, by name
        self._ids: dict[str, str] = {}

    # -- reading -------------------------------------------------------------------------------------------------

    def list(self) -> Sequence[Object]:
        """Those that are whole, predefined ones first, then in order of name."""
        ready = (self._records.find(networks.key(id)) for id in self._ids.values())
        found = [record for record in ready if record is not None]
        return sorted(found, key=lambda record: (record.spec["name"] not in PREDEFINED, record.spec["name"]))

    def get(self, text: str) -> Object:
        """By id, name or the only id that begins so, in this order.  Raises NotFound, Malformed (several)."""
        id = text if text in self._ids.values() else self._ids.get(text)
        if id is None:
            begin = [one for one in self._ids.values() if text and one.startswith(text)]
            if len(begin) > 1:
                raise Malformed(f"network {text} is ambiguous ({len(begin)} matches found based on ID prefix)")
            if not begin:
                raise NotFound(f"network {text} not found", kind="Network", name=text)
            id = begin[0]
        return self._records.get(networks.key(id))

    def find(self, name: str) -> Network:
        """What the driver knows as the network of that name.  Raises NotFound."""
        network = self._whole.get(name)
        if network is None:
            raise NotFound(f"network {name} not found", kind="Network", name=name)
        return network

    def members(self, name: str) -> Sequence[Object]:
        """The sandboxes that are plugged into the network of that name."""
        return members(self._store, name)

    # -- making and removing -------------------------------------------------------------------------------------

    async def create(self, spec: NetworkSpec) -> Object:
        """Make a network; what `spec` leaves open (subnets, gateways, the link's name) is chosen.

        Raises: Malformed (subnet, gateway, range), Forbidden (subnet overlaps), AlreadyExists (name), Exhausted,
                Broken.  Nothing is left after a failure.
        """
        async with self._ground.alone() as others:
            whole = self._completed(_id(), spec, [*others, *self._taken()])
            return await self._make(*whole)

    async def remove(self, id: str) -> None:
        """Take it out of the kernel and forget it.

        Raises: NotFound; Forbidden (predefined), Conflict (somebody is plugged in).
        """
        record = self._records.get(networks.key(id))
        name = record.spec["name"]
        if name in PREDEFINED:
            raise Forbidden(f"{name} is a pre-defined network and cannot be removed", kind="Network", name=name)
        await self._records.change(record.key, lambda now: now.with_status(state="removing"))
        self._forget(name)
        if self.members(name):  # a newcomer whose commit was under way
            self._remember(await self._records.change(record.key, lambda now: now.with_status(state="ready")))
            raise _in_use(name)
        await self._clear(id)

    async def adopt(self) -> None:
        """At start: the predefined networks are there, all others as they were, and nothing is half made."""
        for record in self._records.list():
            if record.status["state"] != "ready":
                log.info("network %s was half made or half gone: removed", record.spec["name"])
                await self._clear(record.meta.name)
        for record in self._records.list():
            self._remember(record)
        await self._ensure_pods()
        await self._ensure_bridge()
        for record in self.list():
            await self._raise(record)

    # -- how -----------------------------------------------------------------------------------------------------

    async def _make(self, id: str, spec: NetworkSpec) -> Object:
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self._clear, id)
            record = await self._records.create(networks.to_record(id, spec).with_status(state="making"))
            await self._raise(record)
            record = await self._records.change(record.key, lambda now: now.with_status(state="ready"))
            undo.pop_all()
        self._remember(record)
        return record

    def _remember(self, record: Object) -> None:
        self._whole[record.spec["name"]] = network_of(record)
        self._ids[record.spec["name"]] = record.meta.name

    def _forget(self, name: str) -> None:
        self._whole.pop(name, None)
        self._ids.pop(name, None)

    async def _raise(self, record: Object) -> None:
        network = network_of(record)
        await self._net.ensure_network(network)
        await self._names.listen(scope_of(network))

    async def _clear(self, id: str) -> None:
        record = self._records.find(networks.key(id))
        if record is None:
            return
        network = network_of(record)
        self._names.unlisten(network.name)
        await self._net.remove_network(network)
        await self._records.delete(record.key, missing_ok=True)

    async def _ensure_pods(self) -> None:
        """Kubernetes' network has the subnet of the cloud."""
        pods = self._pods
        spec = NetworkSpec(
            name=PODS,
            subnet=str(pods.subnet),
            gateway=str(pods.gateway),
            bridge=pods.bridge,
            mtu=pods.mtu,
            isolated=False,
            made_by="kube",
        )
        if PODS not in self._whole:
            await self._make(_id(), spec)

    async def _ensure_bridge(self) -> None:
        """Docker's default network keeps its subnet, unless somebody else took it while the cloud was down."""
        async with self._ground.alone() as others:
            id, present = self._ids.get(BRIDGE, _id()), self._whole.get(BRIDGE)
            if present is not None:
                if not any(subnets.overlaps(present.subnet, other) for other, _ in others):
                    return
                if self.members(BRIDGE):
                    log.warning("network bridge has a subnet that others have too: %s", present.subnet)
                    return
                self._forget(BRIDGE)
                await self._clear(id)
            spec = NetworkSpec(name=BRIDGE, isolated=False, made_by="docker")
            await self._make(*self._completed(id, spec, [*others, *self._taken()]))

    def _taken(self) -> Sequence[tuple[Subnet, str]]:
        """What our own networks have, the half made among them."""
        return [
            (subnet, f"network {record.spec['name']}") for record in self._records.list() for subnet in _subnets(record)
        ]

    def _completed(self, id: str, spec: NetworkSpec, taken: Sequence[tuple[Subnet, str]]) -> tuple[str, NetworkSpec]:
        """The id, and the spec with nothing left open."""
        subnet = subnets.settle(spec.subnet, subnets.pools(), taken)
        gateway = subnets.gateway(spec.gateway, subnet, spec.range)
        whole = replace(spec, subnet=str(subnet), gateway=str(gateway), bridge=spec.bridge or f"{self._tag}{id[:8]}")
        if spec.ipv6:
            subnet = subnets.settle(spec.subnet6, subnets.pools6(self._tag), taken)
            gateway = subnets.gateway(spec.gateway6, subnet, spec.range6)
            whole = replace(whole, subnet6=str(subnet), gateway6=str(gateway))
        for address in spec.reserved:
            subnets.read_member(address, subnets.home_of(address, whole.subnet, whole.subnet6), "auxiliary address")
        return id, whole

    def _keep_used(self, _verb: str, new: Object, _old: Object | None, reader: Reader) -> Object:
        """A guard: a network that somebody is plugged into does not go."""
        if new.status.get("state") == "removing" and members(reader, new.spec["name"]):
            raise _in_use(new.spec["name"])
        return new


class Entries(Protocol):
    def entries(self, type: str, namespace: str | None = None) -> Iterable[Entry]: ...


def members(reader: Entries, network: str) -> list[Object]:
    """The sandboxes that are plugged into the network of that name."""
    name = orjson.dumps(network)
    return [
        sandbox
        for entry in reader.entries(sandboxes.TYPE)
        if name in entry.raw
        for sandbox in (entry.object(),)
        if any(endpoint["network"] == network for endpoint in sandbox.status.get("endpoints") or ())
    ]


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


def _subnets(record: Object) -> Iterable[Subnet]:
    return (ip_network(record.spec[name]) for name in ("subnet", "subnet6") if record.spec[name])


def _in_use(name: str) -> Conflict:
    return Conflict(f"network {name} has active endpoints", kind="Network", name=name)


def _id() -> str:
    return secrets.token_hex(32)
