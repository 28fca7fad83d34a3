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
from typing import Protocol

import orjson

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import CloudError, Forbidden, Malformed, NotFound
from coracle.core.kind import Reader
from coracle.core.object import Object
from coracle.core.store import Entry, Store
from coracle.engine import subnets
from coracle.engine.kinds import network as networks
from coracle.engine.kinds import sandbox as sandboxes
from coracle.engine.kinds.network import NetworkSpec, network_of, spec_of, subnets_of
from coracle.net.addresses import Subnet
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
        self._by_id: dict[str, Object] = {}
        self._by_name: dict[str, Object] = {}
        self._lost: dict[str, CloudError] = {}  # those that could not be brought up, and why

    # -- reading -------------------------------------------------------------------------------------------------

    def list(self) -> Sequence[Object]:
        """Those that are whole, predefined ones first, then in order of name."""
        return sorted(
            self._by_id.values(), key=lambda record: (record.spec["name"] not in PREDEFINED, record.spec["name"])
        )

    def get(self, text: str) -> Object:
        """By id, name or the only id that begins so, in this order.  Raises NotFound, Malformed (several)."""
        found = self._by_id.get(text) or self._by_name.get(text)
        if found is not None:
            return found
        begin = [record for id, record in self._by_id.items() if text and id.startswith(text)]
        if len(begin) > 1:
            raise Malformed(f"network {text} is ambiguous ({len(begin)} matches found based on ID prefix)")
        if not begin:
            raise NotFound(f"network {text} not found", kind="Network", name=text)
        return begin[0]

    def find(self, name: str) -> Network:
        """What the driver knows as the network of that name.  Raises NotFound, or why it is not there (see adopt)."""
        network = self._whole.get(name)
        if network is None:
            if name in self._lost:
                raise self._lost[name]
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
            whole = self._completed(spec, [*others, *self._taken()])
            return await self._make(_id(), whole, floats=not spec.subnet and not spec.subnet6)

    async def remove(self, id: str) -> None:
        """Take it out of the kernel and forget it.

        Raises: NotFound; Forbidden where it is predefined, or somebody is plugged in.
        """
        record = self._records.get(networks.key(id))
        name = record.spec["name"]
        if name in PREDEFINED:
            raise Forbidden(f"{name} is a pre-defined network and cannot be removed", kind="Network", name=name)
        network = self._whole.pop(name, None)  # from here on nobody else is plugged in
        try:
            await self._records.change(record.key, lambda now: now.with_status(state="removing"))
            if self.members(name):  # somebody whose commit was under way
                await self._records.change(record.key, lambda now: now.with_status(state="ready"))
                raise _in_use(name)
        except CloudError:
            if network is not None:
                self._whole[name] = network
            raise
        await self._clear(id)
        self._forget(name)

    async def adopt(self) -> None:
        """At start: the predefined networks are there, all others as they were, and nothing is half made.

        Where a subnet is somebody else's now, was ours to choose and has nobody in it, the network gets another.  One
        that the driver refuses is listed, and cannot be plugged into.
        """
        for record in self._records.list():
            if record.status["state"] == "ready":
                self._know(record)
            elif self.members(record.spec["name"]):  # somebody came in while it was about to go
                self._know(await self._records.change(record.key, lambda now: now.with_status(state="ready")))
            else:
                log.info("network %s was half made or half gone: removed", record.spec["name"])
                await self._clear(record.meta.name)
        if PODS not in self._by_name:
            await self._make(_id(), self._pods_spec(), floats=False)
        async with self._ground.alone() as others:
            for record in self.list():
                await self._readopt(record, others)
            if BRIDGE not in self._by_name:
                spec = NetworkSpec(name=BRIDGE, isolated=False, made_by="docker")
                await self._make(_id(), self._completed(spec, [*others, *self._taken()]), floats=True)

    # -- how -----------------------------------------------------------------------------------------------------

    async def _make(self, id: str, spec: NetworkSpec, *, floats: bool) -> Object:
        spec = replace(spec, bridge=spec.bridge or f"{self._tag}{id[:8]}")
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self._clear, id)
            new = networks.to_record(id, spec).with_status(state="making", floats=floats)
            record = await self._records.create(new)
            await self._raise(record)
            record = await self._records.change(record.key, lambda now: now.with_status(state="ready"))
            undo.pop_all()
        self._remember(record)
        return record

    async def _readopt(self, record: Object, others: Sequence[tuple[Subnet, str]]) -> None:
        """Bring up a network that there was, on other subnets where its own are taken and it can have others."""
        name, spec = record.spec["name"], spec_of(record)
        taken = [other for other, whose in others if whose != f"link {spec.bridge}"]
        lost = [one for one in subnets_of(record) if any(subnets.overlaps(one, other) for other in taken)]
        if lost and record.status.get("floats") and not self.members(name):
            log.warning("network %s gets another subnet: %s is somebody else's now", name, lost[0])
            self._forget(name)
            await self._clear(record.meta.name)
            bare = replace(spec, subnet="", gateway="", subnet6="", gateway6="")
            whole = self._completed(bare, [*others, *self._taken()])
            await self._make(record.meta.name, whole, floats=True)
            return
        try:
            await self._raise(record)
            self._remember(record)
        except CloudError as error:
            if name in PREDEFINED:
                raise
            log.error("network %s is not there: %s", name, error)
            self._lost[name] = error

    def _remember(self, record: Object) -> None:
        self._whole[record.spec["name"]] = network_of(record)
        self._know(record)

    def _know(self, record: Object) -> None:
        self._by_id[record.meta.name] = self._by_name[record.spec["name"]] = record

    def _forget(self, name: str) -> None:
        record = self._by_name.pop(name, None)
        if record is not None:
            del self._by_id[record.meta.name]
        self._whole.pop(name, None)
        self._lost.pop(name, None)

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

    def _pods_spec(self) -> NetworkSpec:
        """Kubernetes' network has the subnet of the cloud."""
        pods = self._pods
        return NetworkSpec(
            name=PODS,
            subnet=str(pods.subnet),
            gateway=str(pods.gateway),
            bridge=pods.bridge,
            mtu=pods.mtu,
            isolated=False,
            made_by="kube",
        )

    def _taken(self) -> Sequence[tuple[Subnet, str]]:
        """What our own networks have, the half made among them."""
        return [
            (subnet, f"network {record.spec['name']}")
            for record in self._records.list()
            for subnet in subnets_of(record)
        ]

    def _completed(self, spec: NetworkSpec, taken: Sequence[tuple[Subnet, str]]) -> NetworkSpec:
        """`spec` with its subnets and gateways."""
        subnet = subnets.settle(spec.subnet, subnets.pools(), taken)
        gateway = subnets.gateway(spec.gateway, subnet, spec.range)
        whole = replace(spec, subnet=str(subnet), gateway=str(gateway))
        if spec.ipv6:
            subnet = subnets.settle(spec.subnet6, subnets.pools6(self._tag), taken)
            gateway = subnets.gateway(spec.gateway6, subnet, spec.range6)
            whole = replace(whole, subnet6=str(subnet), gateway6=str(gateway))
        for address in spec.reserved:
            subnets.read_member(address, subnets.home_of(address, whole.subnet, whole.subnet6), "auxiliary address")
        return whole

    def _keep_used(self, verb: str, new: Object, _old: Object | None, reader: Reader) -> Object:
        """A guard: a network that somebody is plugged into does not begin to go."""
        if verb == "update" and new.status["state"] == "removing" and members(reader, new.spec["name"]):
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


def _in_use(name: str) -> Forbidden:
    return Forbidden(f"network {name} has active endpoints", kind="Network", name=name)


def _id() -> str:
    return secrets.token_hex(32)
