"""Where a Service's addresses and ports are taken from, and who has them: each is a claim.

Source: Kubernetes documentation, "Service", "Service ClusterIP allocation", "Extend Service IP Ranges", "IPv4/IPv6
dual-stack".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coracle.core import claims
from coracle.core.errors import Exhausted, Invalid, Problem, invalid
from coracle.core.kind import Reader
from coracle.core.object import Json, Key, Object
from coracle.kube.kinds import bands, servicecidr
from coracle.kube.kinds import ipaddress as ipaddresses
from coracle.kube.kinds.servicetypes import (
    answers_health_checks,
    balances,
    has_address,
    headless,
    let_go,
    may_have_node_ports,
    opens_node_ports,
)

_TAKEN = "provided port is already allocated"
_ONE_FAMILY = "this cluster is not configured for dual-stack services"


@dataclass(frozen=True, slots=True)
class Ranges:
    """`addresses`: cluster IPs, and those of balancers that have one of their own.  `node_ports`: first and last."""

    addresses: ipaddress.IPv4Network
    node_ports: tuple[int, int]

    def assign(self, service: Object, old: Object | None, reader: Reader) -> Object:
        """Give the service what it needs and does not say.  Raises Invalid for what it says and cannot have."""
        before = old.spec if old is not None else {}
        spec = let_go(dict(service.spec), before)
        if has_address(spec):
            spec = _families(spec, before, service.meta.name)
            spec = self._address(spec, before, reader, service)
        self._check_external(spec, reader, service)
        spec = self._node_ports(spec, before, reader, service)
        spec = self._health_port(spec, before, reader, service)
        return service.with_body(spec=spec, status=_status(service, old, spec))

    def claims(self, service: Object) -> Iterable[str]:
        """`cluster-ip/100.64.12.7`, `node-port/TCP/30080`."""
        spec = service.spec
        ingress = (service.status.get("loadBalancer") or {}).get("ingress") or ()
        own = spec.get("clusterIP") or "None"
        if own != "None":
            yield cluster_ip_claim(own)
        for address in {*(spec.get("externalIPs") or ()), *(one.get("ip") for one in ingress)} - {own}:
            if address and self._is_ours(address):
                yield cluster_ip_claim(address)
        for port in spec.get("ports") or ():
            if port.get("nodePort"):
                yield _port_claim(port.get("protocol"), port["nodePort"])
        if spec.get("healthCheckNodePort"):
            yield _port_claim("TCP", spec["healthCheckNodePort"])

    def _is_ours(self, address: str) -> bool:
        try:
            return ipaddress.ip_address(address) in self.addresses
        except ValueError:
            return False

    # -- cluster IP ----------------------------------------------------------------------------------------------

    def _address(self, spec: Json, before: Mapping[str, Any], reader: Reader, service: Object) -> Json:
        chosen = spec.get("clusterIP") or before.get("clusterIP") or self._free_address(reader)
        if chosen != "None" and chosen != before.get("clusterIP"):
            self._check_address(chosen, reader, service)
        return {**spec, "clusterIP": chosen, "clusterIPs": spec.get("clusterIPs") or [chosen]}

    def _check_address(self, chosen: str, reader: Reader, service: Object) -> None:
        try:
            asked = ipaddress.ip_address(chosen)
        except ValueError:
            return  # `validate` says so
        name, uid = service.meta.name, service.meta.uid
        if asked.version == 6:
            problem = invalid("spec.clusterIPs[0]", [chosen], "IPv6 is not configured on this cluster")
            raise Invalid([problem], kind="Service", name=name)
        if not any(asked in one and asked not in bands.ends(one) for one in self._all(reader)):
            said = "the provided network does not match the current range"
        elif _is_taken(chosen, reader) and not claims.held_by(reader, cluster_ip_claim(chosen), uid):
            said = "provided IP is already allocated"
        else:
            return
        problem = invalid("spec.clusterIPs", [chosen], f"failed to allocate IP {chosen}: {said}")
        raise Invalid([problem], kind="Service", name=name)

    def _check_external(self, spec: Json, reader: Reader, service: Object) -> None:
        """Nobody takes another's cluster IP by calling it external."""
        for index, address in enumerate(spec.get("externalIPs") or ()):
            name = cluster_ip_claim(address)
            taken = self._is_ours(address) and claims.holder(reader, name)
            if taken and not claims.held_by(reader, name, service.meta.uid):
                problem = invalid(f"spec.externalIPs[{index}]", address, "provided IP is already allocated")
                raise Invalid([problem], kind="Service", name=service.meta.name)

    def _free_address(self, reader: Reader) -> str:
        for range in self._all(reader):
            for number in bands.addresses(
                range, skip=1 if range == self.addresses else 0
            ):  # the first is `kubernetes`' own
                text = str(ipaddress.IPv4Address(number))
                if not _is_taken(text, reader):
                    return text
        raise Exhausted("range is full: no cluster IP is left", kind="Service")

    def _all(self, reader: Reader) -> list[ipaddress.IPv4Network]:
        return [self.addresses, *servicecidr.others(reader)]

    # -- node ports ----------------------------------------------------------------------------------------------

    def _node_ports(self, spec: Json, before: Mapping[str, Any], reader: Reader, service: Object) -> Json:
        if not may_have_node_ports(spec):
            return spec
        kept = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in before.get("ports") or ()}
        held = {(port.get("protocol"), port.get("nodePort")) for port in before.get("ports") or ()}
        asked = spec.get("ports") or ()
        given = {(port.get("protocol"), port["nodePort"]) for port in asked if port.get("nodePort")}
        ports: list[Json] = []
        for index, port in enumerate(asked):
            protocol, number = port.get("protocol"), port.get("nodePort")
            if number and (protocol, number) not in held:
                self._check_port(f"spec.ports[{index}].nodePort", (protocol, number), reader, service)
            elif not number and opens_node_ports(spec):
                last = kept.get((protocol, port.get("port")))
                number = last if last and (protocol, last) not in given else None
                number = number or self._port_beside(port, (*asked, *ports), given, reader)
                number = number or self._free_port(protocol, given, reader)
                given.add((protocol, number))
            ports.append({**port, "nodePort": number} if number else port)
        return {**spec, "ports": ports} if ports else spec

    def _port_beside(self, port: Json, others: Sequence[Json], given: set[Any], reader: Reader) -> int | None:
        """The node port that the same port has for another protocol (53 by TCP and by UDP), where it is free here."""
        for other in others:
            number = other.get("nodePort")
            if (
                number
                and other.get("port") == port.get("port")
                and self._free((port["protocol"], number), given, reader)
            ):
                return int(number)
        return None

    def _check_port(self, at: str, wanted: tuple[str, int], reader: Reader, service: Object) -> None:
        first, last = self.node_ports
        problem: Problem | None = None
        if not first <= wanted[1] <= last:
            said = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
            problem = invalid(at, wanted[1], said)
        elif claims.holder(reader, _port_claim(*wanted)):
            problem = invalid(at, wanted[1], _TAKEN)
        if problem is not None:
            raise Invalid([problem], kind="Service", name=service.meta.name)

    def _free_port(self, protocol: str, given: set[Any], reader: Reader) -> int:
        for number in bands.ports(*self.node_ports):
            if self._free((protocol, number), given, reader):
                return number
        raise Exhausted("range is full: no node port is left", kind="Service")

    @staticmethod
    def _free(wanted: tuple[str, int], given: set[Any], reader: Reader) -> bool:
        return wanted not in given and not claims.holder(reader, _port_claim(*wanted))

    def _health_port(self, spec: Json, before: Mapping[str, Any], reader: Reader, service: Object) -> Json:
        if not answers_health_checks(spec):
            return spec
        number, last = spec.get("healthCheckNodePort"), before.get("healthCheckNodePort")
        if not number:
            given = {(port.get("protocol"), port.get("nodePort")) for port in spec.get("ports") or ()}
            number = last or self._free_port("TCP", given, reader)
        elif not last:
            self._check_port("spec.healthCheckNodePort", ("TCP", number), reader, service)
        return {**spec, "healthCheckNodePort": number}


def _families(spec: Json, before: Mapping[str, Any], name: str) -> Json:
    """The families of the service's addresses, in a cluster that has IPv4 alone.  Raises Invalid for others."""
    nobodys = headless(spec) and not spec.get("selector")
    policy = spec.get("ipFamilyPolicy") or before.get("ipFamilyPolicy")
    policy = policy or ("RequireDualStack" if nobodys else "SingleStack")
    families = list(spec.get("ipFamilies") or before.get("ipFamilies") or ["IPv4"])
    if nobodys:  # whoever fills it in may have both
        other = "IPv6" if families[0] == "IPv4" else "IPv4"
        families = families if policy == "SingleStack" or len(families) > 1 else [*families, other]
        return {**spec, "ipFamilies": families, "ipFamilyPolicy": policy}
    problems = []
    if policy == "RequireDualStack":
        problems.append(invalid("spec.ipFamilyPolicy", policy, _ONE_FAMILY))
    for index, family in enumerate(families):
        if family == "IPv6":
            problems.append(invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
    if problems:
        raise Invalid(problems, kind="Service", name=name)
    return {**spec, "ipFamilies": families, "ipFamilyPolicy": policy}


def _status(service: Object, old: Object | None, spec: Mapping[str, Any]) -> Json:
    """A new service has no status yet; one that is no load balancer any more has lost its addresses."""
    if old is None:
        return {"loadBalancer": {}}
    if balances(old.spec) and not balances(spec):
        return {**service.status, "loadBalancer": {}}
    return dict(service.status)


def _is_taken(address: str, reader: Reader) -> bool:
    """By a Service, or by an IPAddress that somebody has written."""
    written = reader.find(ipaddresses.KIND.type, Key("", address))
    return bool(claims.holder(reader, cluster_ip_claim(address))) or (
        written is not None and written.labels.get(ipaddresses.MANAGED_BY) != ipaddresses.OURS
    )


def cluster_ip_claim(address: str) -> str:
    """The name under which a Service holds its address."""
    return f"cluster-ip/{address}"


def _port_claim(protocol: str | None, number: int) -> str:
    return f"node-port/{protocol}/{number}"
