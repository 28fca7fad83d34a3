"""Cluster IPs as objects: an IPAddress for each that a Service has, and the ranges (ServiceCIDR) they are taken from.

    Service web 100.64.12.7     ->    IPAddress 100.64.12.7, parentRef services/default/web
    ServiceCIDR more            ->    Ready; while it goes, Terminating until no address of it is left

That no two Services have one address is not held here but by their claims (`kinds.serviceranges`).

Decide: plan(), stays(), pure.  Act: ClusterIps, ServiceRanges.
Source: Kubernetes documentation, "Extend Service IP Ranges", "Service ClusterIP allocation"; servicecidrs controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection
from coracle.core.informer import Index, Informer
from coracle.core.loop import ToKeys, itself
from coracle.core.object import Json, Key, Meta, Object
from coracle.core.sameness import delete_same
from coracle.core.store import Event
from coracle.kube.kinds import ipaddress, servicecidr
from coracle.kube.kinds.conditions import condition

SERVICE, ADDRESS, RANGE = "Service", ipaddress.KIND.type, servicecidr.KIND.type
_LEFT = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
_LABELS = {ipaddress.MANAGED_BY: ipaddress.OURS, ipaddress.FAMILY: "IPv4"}


def _parent(address: Object) -> Iterable[str]:
    parent = address.spec.get("parentRef") or {}
    ours = address.meta.labels.get(ipaddress.MANAGED_BY) == ipaddress.OURS
    return (f"{parent.get('namespace')}/{parent.get('name')}",) if ours else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {ADDRESS: {"parent": _parent}}


@dataclass(frozen=True, slots=True)
class Plan:
    """Objects to make and to remove."""

    make: tuple[Object, ...] = ()
    remove: tuple[Object, ...] = ()


def plan(service: Object | None, present: Sequence[Object]) -> Plan:
    """What a Service's addresses want, of which `present` are there."""
    address = str(service.spec.get("clusterIP") or "None") if service is not None else "None"
    wanted = () if address == "None" or ":" in address else (address,)
    make = [_address_of(service, one) for one in wanted if service and one not in {old.meta.name for old in present}]
    return Plan(tuple(make), tuple(old for old in present if old.meta.name not in wanted))


def _address_of(service: Object, address: str) -> Object:
    parent = {"group": "", "resource": "services", "namespace": service.meta.namespace, "name": service.meta.name}
    return Object("IPAddress", Meta(name=address, labels=_LABELS), {"spec": {"parentRef": parent}}, ipaddress.API)


class ClusterIps:
    """Keeps the IPAddresses of Services."""

    name = "cluster-ips"

    def __init__(self, caches: Mapping[str, Informer], writer: Collection) -> None:
        """`writer`: of IPAddresses."""
        self._services, self._addresses, self._writer = caches[SERVICE], caches[ADDRESS], writer
        self.watches: Mapping[str, ToKeys] = {SERVICE: itself, ADDRESS: _to_service}

    async def reconcile(self, key: Key) -> None:
        todo = plan(self._services.find(key), list(self._addresses.by("parent", str(key))))
        for old in todo.remove:
            await self._remove(old)
        for new in todo.make:
            before = self._addresses.find(new.key)
            if before is not None and any(_parent(before)):
                await self._remove(before)  # of a Service that had the address before
            await self._writer.create(new)

    async def _remove(self, old: Object) -> None:
        await delete_same(self._writer, old)


def _to_service(event: Event) -> Iterable[Key]:
    parent = event.entry.object().spec.get("parentRef") or {}
    return (Key(parent["namespace"], parent["name"]),) if parent.get("namespace") else ()


# -- ranges ------------------------------------------------------------------------------------------------------------


def stays(range: Object, others: Iterable[Object], addresses: Iterable[Object]) -> bool:
    """Whether a range that is being deleted is needed still: an address is in it, and in no other."""
    mine = servicecidr.networks(range)
    rest = [one for other in others if not other.meta.deleting for one in servicecidr.networks(other)]
    used = [IPv4Address(one.meta.name) for one in addresses if ":" not in one.meta.name]
    return any(any(one in net for net in mine) and not any(one in net for net in rest) for one in used)


class ServiceRanges:
    """Says of ranges that they are ready, and holds those that go until they are not needed any more."""

    name = "service-cidrs"

    def __init__(self, caches: Mapping[str, Informer], writer: Collection, clock: Clock) -> None:
        """`writer`: of ServiceCIDRs."""
        self._ranges, self._addresses, self._writer, self._clock = caches[RANGE], caches[ADDRESS], writer, clock
        self.watches: Mapping[str, ToKeys] = {RANGE: self._all, ADDRESS: self._going}

    async def reconcile(self, key: Key) -> None:
        range = self._ranges.find(key)
        if range is None:
            return
        if not range.meta.deleting:
            await self._writer.change(key, _held)
            await self._say(key, "True", "", "Kubernetes Service CIDR is ready")
            return
        others = [entry.object() for entry in self._ranges.entries() if entry.key != key]
        if stays(range, others, [entry.object() for entry in self._addresses.entries()]):
            await self._say(key, "False", "Terminating", _LEFT)
        else:
            await self._writer.change(key, _released)

    async def _say(self, key: Key, status: str, reason: str, message: str) -> None:
        now = rfc3339(self._clock.now_s())

        def said(old: Object) -> Object:
            if condition(old, "Ready").get("status") == status:
                return old
            return old.with_status(conditions=[_condition(status, reason, message, now)])

        await self._writer.change(key, said, part="status")

    def _all(self, event: Event) -> Iterable[Key]:
        """One more range may set free another that goes."""
        return {event.entry.key, *self._going(event)}

    def _going(self, _event: Event) -> Iterable[Key]:
        return [entry.key for entry in self._ranges.entries() if entry.object().meta.deleting]


def _condition(status: str, reason: str, message: str, now: str) -> Json:
    told: dict[str, Any] = {"type": "Ready", "status": status, "lastTransitionTime": now}
    return {**told, "reason": reason, "message": message}


def _held(range: Object) -> Object:
    return range.with_finalizer(servicecidr.FINALIZER)


def _released(range: Object) -> Object:
    return range.without_finalizer(servicecidr.FINALIZER)
