"""The cluster's DNS: names of Services, of what stands behind them, and of pods.

    web.default.svc.cluster.local                       the cluster IP; of a headless Service its ready addresses
    db-0.db.default.svc.cluster.local                   one address of a headless Service, by its hostname
    10-32-0-5.db.default.svc.cluster.local              the same where it has no hostname
    _http._tcp.web.default.svc.cluster.local            SRV: port, and the name of where
    web.default.svc.cluster.local                       SRV: all its ports, also those without a name, as CoreDNS
    10-32-0-5.default.pod.cluster.local                 a pod, by its address
    5.0.32.10.in-addr.arpa                              PTR, the way back
    dns-version.cluster.local                           TXT: the version of the specification

Decide: of_service(), of_pod(), pure.  Act: ServiceNames and PodNames, which publish the records of one thing at a time.
Source: Kubernetes DNS-Based Service Discovery, specification 1.1.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from coracle.core.informer import Informer
from coracle.core.loop import ToKeys, itself
from coracle.core.object import Key, Object
from coracle.kube.proxy.endpoints import SERVICE, SLICE, Backends, Endpoint, headless, ports_of, to_service
from coracle.net.names import Names
from coracle.net.zones import Alias, Entry, Pointer, Text
from coracle.net.zones import Service as Srv
from coracle.wire.dns import reverse_name

Records = dict[str, list[Entry]]

SPECIFICATION = "1.1.0"


def of_service(service: Object, behind: Sequence[Endpoint], domain: str) -> Records:
    """Everything that is asked about `service` in the cluster's `domain`."""
    name = f"{service.meta.name}.{service.meta.namespace}.svc.{domain}"
    if service.spec.get("type") == "ExternalName":
        target = str(service.spec.get("externalName") or "").rstrip(".")
        return {name: [Alias(target)]} if target else {}
    if headless(service):
        return _headless(service, name, behind)
    ip = service.spec.get("clusterIP")
    if not ip or ":" in ip:
        return {}
    address = IPv4Address(ip)
    records: Records = {name: [address], reverse_name(address): [Pointer(name)]}
    for port in ports_of(service):
        for asked in _srv_names(port, name):
            records.setdefault(asked, []).append(Srv(name, port["port"]))
    return {name: _shared(entries) for name, entries in records.items()}


def _headless(service: Object, name: str, behind: Sequence[Endpoint]) -> Records:
    records: Records = {}
    published = bool(service.spec.get("publishNotReadyAddresses"))
    for one in behind:
        if not (one.ready or published) or ":" in one.address:
            continue
        address = IPv4Address(one.address)
        own = f"{one.hostname or dashed(one.address)}.{name}"
        for named in (name, own):
            records.setdefault(named, []).append(address)
        records.setdefault(reverse_name(address), []).append(Pointer(own))
        offered = [port for port in ports_of(service) if (port.get("name") or "") in one.ports]
        for port in offered:
            for asked in _srv_names(port, name):
                records.setdefault(asked, []).append(Srv(own, one.ports[port.get("name") or ""]))
    return {name: _shared(entries) for name, entries in records.items()}


def _srv_names(port: Mapping[str, Any], name: str) -> list[str]:
    """By which names somebody asks where `port` is."""
    own = [f"_{port['name']}._{port.get('protocol', 'TCP').lower()}.{name}"] if port.get("name") else []
    return [name, *own]


def _shared(entries: Iterable[Entry]) -> list[Entry]:
    """Each once; places of the same port share a weight of 100."""
    once = list(dict.fromkeys(entries))
    weight = max(1, 100 // max(1, sum(isinstance(entry, Srv) for entry in once)))
    return [replace(entry, weight=weight) if isinstance(entry, Srv) else entry for entry in once]


def dashed(address: str) -> str:
    return address.replace(".", "-")


def of_pod(pod: Object, domain: str) -> Records:
    """The name that a pod has by its address, while it has one."""
    ip = str(pod.status.get("podIP") or "")
    if not ip or ":" in ip or pod.spec.get("hostNetwork") or pod.status.get("phase") in ("Succeeded", "Failed"):
        return {}
    return {f"{dashed(ip)}.{pod.meta.namespace}.pod.{domain}": [IPv4Address(ip)]}


class ServiceNames:
    """Publishes the names of Services, one Service at a time."""

    name = "service-names"
    watches: Mapping[str, ToKeys] = {SERVICE: itself, SLICE: to_service}

    def __init__(self, services: Informer, backends: Backends, names: Names, domain: str) -> None:
        self._services, self._backends = services, backends
        self._names, self._domain = names, domain
        names.publish("kube", {f"dns-version.{domain}": [Text(SPECIFICATION)]})

    async def reconcile(self, key: Key) -> None:
        service = self._services.find(key)
        records = of_service(service, self._backends.of(key), self._domain) if service is not None else {}
        self._names.publish(f"kube/service/{key}", records)


class PodNames:
    """Publishes the names of pods, one pod at a time."""

    name = "pod-names"
    watches: Mapping[str, ToKeys] = {"Pod": itself}

    def __init__(self, pods: Informer, names: Names, domain: str) -> None:
        self._pods, self._names, self._domain = pods, names, domain
        self._published: dict[Key, Records] = {}

    async def reconcile(self, key: Key) -> None:
        pod = self._pods.find(key)
        records = of_pod(pod, self._domain) if pod is not None else {}
        if records == self._published.get(key, {}):
            return  # most changes of a pod are not about its address
        self._names.publish(f"kube/pod/{key}", records)
        self._published[key] = records
        if not records:
            del self._published[key]
