"""Load balancers: each Service of that type has an address of this machine at once.

    the node's own address   where nobody else has a port of the service there; to be had from outside, and as localhost
    one of its own           else: out of the services' range, from its end; to be had on this machine and by its pods
    spec.loadBalancerIP      one of these two, as asked; where that cannot be, an event says why

A Service with a `loadBalancerClass` is somebody else's.  Ours are held by a finalizer until their balancer is gone.

Decide: choose(), pure.  Act: Balancers.reconcile().
Source: Kubernetes documentation, "Service", type: LoadBalancer, garbage collecting load balancers; the events of the
service controller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from coracle.core.collection import Collection
from coracle.core.errors import CloudError, Exhausted, Forbidden
from coracle.core.informer import Index, Informer
from coracle.core.loop import Again, ToKeys, itself
from coracle.core.object import Json, Key, Object
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.proxy.endpoints import SERVICE, Place, ports_of
from coracle.net.api import Transport
from coracle.net.forwards import ANY, Forwards
from coracle.net.holds import HostPort

CLEANUP = "service.kubernetes.io/load-balancer-cleanup"
RETRY_S = 60.0  # for an address that cannot be had

TryPort = Callable[[HostPort], None]  # raises where it is somebody's


@dataclass(frozen=True, slots=True)
class Ground:
    """Where balancers stand: the node, the range of the services, and the ports of this host."""

    place: Place
    services: IPv4Network
    forwards: Forwards
    try_port: TryPort


@dataclass(frozen=True, slots=True)
class Choice:
    """What an address is chosen from.  `free`: whether the node's own can be had; `taken`: whether one of the range
    is somebody else's, or the service's cluster IP."""

    place: Place
    services: IPv4Network
    free: bool
    taken: Callable[[str], bool]


def choose(service: Object, choice: Choice) -> str:
    """The address for a balancer: the present one, while that can be.  Raises Forbidden, Exhausted."""
    node, present = str(choice.place.address), _present(service)
    asked = str(service.spec.get("loadBalancerIP") or "")
    if asked:
        return _as_asked(asked, node, choice)
    if present and present != node and _within(present, choice.services):
        return present
    if choice.free:
        return node
    first, last = int(choice.services.network_address) + 1, int(choice.services.broadcast_address) - 1
    for number in range(last, first, -1):
        address = str(IPv4Address(number))
        if not choice.taken(address):
            return address
    raise Exhausted("no address is left for a load balancer", kind="Service")


def _as_asked(asked: str, node: str, choice: Choice) -> str:
    if asked == node:
        if not choice.free:
            raise Forbidden(f"somebody else has a port of the service at {asked}")
    elif choice.taken(asked):
        raise Forbidden(f"{asked} is already allocated")
    elif not _within(asked, choice.services):
        raise Forbidden(f"{asked} is neither this node's address ({node}) nor in the range {choice.services}")
    return asked


def _within(address: str, range: IPv4Network) -> bool:
    try:
        return IPv4Address(address) in range
    except ValueError:
        return False


def _present(service: Object) -> str:
    ingress = (service.status.get("loadBalancer") or {}).get("ingress") or ()
    return str(ingress[0].get("ip") or "") if ingress else ""


def wanted(service: Object) -> bool:
    """Whether it has a balancer of ours."""
    ours = service.spec.get("type") == "LoadBalancer" and not service.spec.get("loadBalancerClass")
    return ours and not service.meta.deleting


def _held(service: Object, holds: bool) -> Object:
    return service.with_finalizer(CLEANUP) if holds else service.without_finalizer(CLEANUP)


def held(service: Object) -> Iterable[str]:
    """What nobody else can have: its cluster IP, and as a balancer `192.0.2.2` and `192.0.2.2/TCP:80`."""
    yield str(service.spec.get("clusterIP") or "")
    balancer = _present(service)
    if balancer:
        yield balancer
        yield from (_at(balancer, *port) for port in _ports(service))


def _at(address: str, transport: Transport, number: int) -> str:
    return f"{address}/{transport}:{number}"


INDEXES: Mapping[str, Mapping[str, Index]] = {SERVICE: {"held": held}}


class Balancers:
    """Writes `status.loadBalancer` of the Services of that type."""

    name = "balancers"
    watches: Mapping[str, ToKeys] = {SERVICE: itself}

    def __init__(self, services: Informer, writer: Collection, recorder: EventRecorder, ground: Ground) -> None:
        self._services, self._writer, self._recorder, self._ground = services, writer, recorder, ground

    async def reconcile(self, key: Key) -> Again | None:
        """Again after a while where no address can be had as asked."""
        service = self._services.find(key)
        if service is None or not wanted(service):
            await self._let_go(service)
            return None
        if CLEANUP not in service.meta.finalizers:
            await self._writer.change(key, lambda now: _held(now, wanted(now)))
        free = all(self._is_free(service, *port) for port in _ports(service))

        def taken(address: str) -> bool:
            return address == service.spec.get("clusterIP") or self._is_anothers(address, key)

        try:
            chosen = choose(service, Choice(self._ground.place, self._ground.services, free, taken))
        except (Forbidden, Exhausted) as error:
            said = f"Error syncing load balancer: failed to ensure load balancer: {error}"
            self._recorder.emit(service, "Warning", "SyncLoadBalancerFailed", said)
            await self._write(service, {})
            return Again(RETRY_S)
        if chosen != _present(service):
            self._recorder.emit(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
            await self._write(service, {"ingress": [{"ip": chosen, "ipMode": "VIP"}]})
            self._recorder.emit(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")
        return None

    async def _let_go(self, service: Object | None) -> None:
        if service is not None and CLEANUP in service.meta.finalizers:
            self._recorder.emit(service, "Normal", "DeletingLoadBalancer", "Deleting load balancer")
            await self._writer.change(service.key, lambda now: _held(now, wanted(now)))
            self._recorder.emit(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer")

    async def _write(self, service: Object, balancer: Json) -> None:
        """Nothing where the service has changed since it was seen: it comes again."""

        def written(now: Object) -> Object:
            return now.with_status(loadBalancer=balancer) if now.spec == service.spec else now

        await self._writer.change(service.key, written, part="status")

    def _is_anothers(self, held: str, key: Key) -> bool:
        return any(other != key for other in self._services.keys_by("held", held))

    def _is_free(self, service: Object, transport: Transport, number: int) -> bool:
        """Whether a port of the node is nobody's, or the service's already."""
        if self._is_anothers(_at(str(self._ground.place.address), transport, number), service.key):
            return False
        holder = self._ground.forwards.holder(transport, number)
        if holder:
            return holder == f"Service {service.key}"
        try:
            self._ground.try_port(HostPort(transport, ANY, number))
        except CloudError:
            return False
        return True


def _ports(service: Object) -> list[tuple[Transport, int]]:
    return [(port.get("protocol") or "TCP", port["port"]) for port in ports_of(service)]
