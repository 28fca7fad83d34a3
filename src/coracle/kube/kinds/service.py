"""Service: one address and name for the pods that match a selector.

Its cluster IP and node ports are claims: no two services, and nothing else that claims ports, ever hold the same one.

Source: Kubernetes v1 API, Service; printed columns as `kubectl get services`.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core import claims
from coracle.core.errors import Exhausted, Invalid, Problem, invalid
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.object import Json, Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent, blank, each
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.servicerules import externally_open, headless, opens_node_ports, problems

AFFINITY_S = 10800  # three hours: how long a client stays with its pod
_GUESSES = 64  # before looking at every one
_TAKEN = "provided port is already allocated"


def default(service: Object) -> Object:
    spec = blank(service.body.get("spec"), type="ClusterIP", sessionAffinity="None")
    spec = each(spec, "ports", lambda port: blank(port, protocol="TCP", targetPort=port.get("port")))
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        given = (spec.get("sessionAffinityConfig") or {}).get("clientIP")
        spec["sessionAffinityConfig"] = {"clientIP": absent(given, timeoutSeconds=AFFINITY_S)}
    if externally_open(spec):
        spec = blank(spec, externalTrafficPolicy="Cluster")
    if spec["type"] != "ExternalName":
        spec = absent(spec, internalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        spec = absent(spec, allocateLoadBalancerNodePorts=True)
    if not spec.get("clusterIP") and spec.get("clusterIPs"):
        spec["clusterIP"] = spec["clusterIPs"][0]
    return service.with_body(spec=spec, status={"loadBalancer": {}, **service.status})


@dataclass(frozen=True, slots=True)
class Ranges:
    """Where addresses and ports are taken from.  `node_ports` holds the first and the last."""

    addresses: ipaddress.IPv4Network
    node_ports: tuple[int, int]

    def assign(self, service: Object, old: Object | None, reader: Reader) -> Object:
        """Give the service what it needs and does not say.  Raises Invalid for what it says and cannot have."""
        before = old.spec if old is not None else {}
        spec = _let_go(dict(service.spec), before)
        spec = self._address(spec, before, reader, service.meta.uid)
        spec = self._node_ports(spec, before, reader, service)
        return service.with_body(spec=spec)

    # -- cluster IP ----------------------------------------------------------------------------------------------

    def _address(self, spec: Json, before: Mapping[str, Any], reader: Reader, uid: str) -> Json:
        if spec.get("type") == "ExternalName":
            return spec
        chosen = spec.get("clusterIP") or before.get("clusterIP") or self._free_address(reader)
        if chosen != "None" and chosen != before.get("clusterIP"):
            self._check_address(chosen, reader, uid)
        return {**spec, "clusterIP": chosen, "clusterIPs": spec.get("clusterIPs") or [chosen], **_family(spec)}

    def _check_address(self, chosen: str, reader: Reader, uid: str) -> None:
        try:
            asked = ipaddress.ip_address(chosen)
        except ValueError:
            return  # `validate` says so
        if asked not in self.addresses:
            said = f"the provided IP ({chosen}) is not in the valid range. The range of valid IPs is {self.addresses}"
        elif claims.holder(reader, _address_claim(chosen)) and not claims.held_by(reader, _address_claim(chosen), uid):
            said = "provided IP is already allocated"
        else:
            return
        raise Invalid([invalid("spec.clusterIPs", [chosen], f"failed to allocate IP {chosen}: {said}")], kind="Service")

    def _free_address(self, reader: Reader) -> str:
        first, last = int(self.addresses.network_address) + 1, int(self.addresses.broadcast_address) - 1
        for number in _random_first(first + 1, last):  # the first is the `kubernetes` service's own
            text = str(ipaddress.IPv4Address(number))
            if not claims.holder(reader, _address_claim(text)):
                return text
        raise Exhausted("range is full: no cluster IP is left", kind="Service")

    # -- node ports ----------------------------------------------------------------------------------------------

    def _node_ports(self, spec: Json, before: Mapping[str, Any], reader: Reader, service: Object) -> Json:
        if not opens_node_ports(spec):
            return spec
        kept = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in before.get("ports") or ()}
        held = {(port.get("protocol"), port.get("nodePort")) for port in before.get("ports") or ()}
        given: set[int] = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
        ports = []
        for index, port in enumerate(spec.get("ports") or ()):
            number = port.get("nodePort")
            if not number:
                last = kept.get((port.get("protocol"), port.get("port")))
                number = last if last and last not in given else self._free_port(port["protocol"], given, reader)
                given.add(number)
            elif (port.get("protocol"), number) not in held:
                self._check_port(f"spec.ports[{index}].nodePort", port, reader, service)
            ports.append({**port, "nodePort": number})
        return {**spec, "ports": ports} if ports else spec

    def _check_port(self, at: str, port: Json, reader: Reader, service: Object) -> None:
        number, (first, last) = port["nodePort"], self.node_ports
        problem: Problem | None = None
        if not first <= number <= last:
            said = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
            problem = invalid(at, number, said)
        elif claims.holder(reader, _port_claim(port)):
            problem = invalid(at, number, _TAKEN)
        if problem is not None:
            raise Invalid([problem], kind="Service", name=service.meta.name)

    def _free_port(self, protocol: str, given: set[int], reader: Reader) -> int:
        for number in _random_first(*self.node_ports):
            taken = claims.holder(reader, _port_claim({"protocol": protocol, "nodePort": number}))
            if number not in given and not taken:
                return number
        raise Exhausted("range is full: no node port is left", kind="Service")


def _let_go(spec: Json, before: Mapping[str, Any]) -> Json:
    """Drop what was given for a type that the service no longer has, unless it was said anew."""
    if spec.get("type") == "ExternalName" and spec.get("clusterIP") == before.get("clusterIP"):
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            spec.pop(name, None)
    if before and not opens_node_ports(spec) and opens_node_ports(before):
        held = {port.get("nodePort") for port in before.get("ports") or ()}
        spec = each(spec, "ports", lambda port: _without_node_port(port, held))
        spec.pop("allocateLoadBalancerNodePorts", None) if spec.get("type") != "LoadBalancer" else None
    if not externally_open(spec) and spec.get("externalTrafficPolicy") == before.get("externalTrafficPolicy"):
        spec.pop("externalTrafficPolicy", None)
    return spec


def _without_node_port(port: Json, held: set[Any]) -> Json:
    return {name: value for name, value in port.items() if name != "nodePort" or value not in held}


def _family(spec: Mapping[str, Any]) -> Json:
    return {
        "ipFamilies": spec.get("ipFamilies") or ["IPv4"],
        "ipFamilyPolicy": spec.get("ipFamilyPolicy") or "SingleStack",
    }


def _random_first(first: int, last: int) -> Iterator[int]:
    """Some numbers by chance, then all in order: quick while the range is wide, complete when it is nearly full."""
    for _ in range(_GUESSES):
        yield random.randint(first, last)  # noqa: S311 - spread, not secrecy
    yield from range(first, last + 1)


def _address_claim(address: str) -> str:
    return f"cluster-ip/{address}"


def _port_claim(port: Mapping[str, Any]) -> str:
    return f"node-port/{port.get('protocol')}/{port['nodePort']}"


def claim(service: Object) -> Iterable[str]:
    """`cluster-ip/100.64.12.7`, `node-port/TCP/30080`."""
    address = service.spec.get("clusterIP")
    held = [_address_claim(address)] if address and address != "None" else []
    return [*held, *(_port_claim(port) for port in service.spec.get("ports") or () if port.get("nodePort"))]


def validate_change(new: Object, old: Object, part: str) -> Problems:
    """A cluster IP stays what it is until the service becomes an ExternalName."""
    before, after = old.spec.get("clusterIP"), new.spec.get("clusterIP")
    if part == "status" or "ExternalName" in (old.spec.get("type"), new.spec.get("type")) or before == after:
        return []
    return [invalid("spec.clusterIPs[0]", new.spec.get("clusterIPs") or [after], "may not change once set")]


def _external(service: Object) -> str:
    spec, addresses = service.spec, list(service.spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName"))
    if spec.get("type") == "LoadBalancer":
        given = (service.status.get("loadBalancer") or {}).get("ingress") or ()
        addresses = [*sorted(entry.get("ip") or entry.get("hostname") for entry in given), *addresses]
        return ",".join(addresses) or "<pending>"
    return ",".join(addresses) or printing.NONE


def _ports(service: Object) -> str:
    pieces = []
    for port in service.spec.get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        pieces.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(pieces) or printing.NONE


def is_headless(service: Object) -> bool:
    return headless(service.spec)


def kind(addresses: str = "100.64.0.0/16", node_ports: tuple[int, int] = (30000, 32767)) -> Kind:
    """The kind Service of a cluster that takes cluster IPs from `addresses` and node ports from that range."""
    ranges = Ranges(ipaddress.IPv4Network(addresses), node_ports)
    return Kind(
        name="Service",
        plural="services",
        singular="service",
        short=("svc",),
        categories=("all",),
        schema=schema("v1", "Service"),
        default=default,
        assign=ranges.assign,
        validate=problems,
        validate_change=validate_change,
        claims=claim,
        fields={
            "spec.clusterIP": lambda service: str(service.spec.get("clusterIP") or ""),
            "spec.type": lambda service: str(service.spec.get("type") or ""),
        },
        columns=(
            printing.NAME,
            printing.text("Type", lambda service: service.spec.get("type", ""), "How the service is to be had."),
            printing.text("Cluster-IP", lambda service: service.spec.get("clusterIP") or printing.NONE),
            printing.text("External-IP", _external),
            printing.text("Port(s)", _ports),
            printing.AGE,
            printing.wide("Selector", lambda service: printing.labels(service.spec.get("selector"))),
        ),
        subresources=frozenset(("status",)),
        name_rule="label-1035",
        counts_generations=False,
        loop="coracle.kube.controllers.endpoints:EndpointsSync",
    )


KIND = kind()
