"""The rules for a Service.

Source: Kubernetes v1 API, ServiceSpec and ServicePort.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Problem, duplicate, forbidden, invalid, required
from coracle.core.names import label_problems
from coracle.core.object import Json, Object
from coracle.kube.kinds.addressrules import cidr, qualified, reachable
from coracle.kube.kinds.rules import address, named, one_of, optional_name, port, port_number, unique, unsupported
from coracle.kube.kinds.servicetypes import answers_health_checks, balances, externally_open, has_address, headless

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
IP_MODES = ("Proxy", "VIP")
LONGEST_AFFINITY_S = 86400


def problems(service: Object) -> list[Problem]:
    """Every rule that a service, filled in and with its addresses, breaks."""
    spec = service.spec
    found: list[Problem] = []
    if not spec.get("ports") and not headless(spec) and spec.get("type") != "ExternalName":
        found.append(required("spec.ports"))
    found += _type(spec)
    for index, entry in enumerate(spec.get("ports") or ()):
        found += _port(f"spec.ports[{index}]", entry, several=len(spec["ports"]) > 1)
    found += _ports_together(spec) + label_problems(spec.get("selector"), "spec.selector")
    found += one_of("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    return found + _affinity_seconds(spec) + _addresses(spec) + _policies(spec) + _balancing(spec)


def changed(spec: Mapping[str, Any], before: Mapping[str, Any]) -> list[Problem]:
    """What may not change: a cluster IP, until the service becomes a name; a balancer's class and health port."""
    found: list[Problem] = []
    was, now = before.get("clusterIP"), spec.get("clusterIP")
    if was != now and has_address(before) and has_address(spec):
        found.append(invalid("spec.clusterIPs[0]", spec.get("clusterIPs") or [now], "may not change once set"))
    was, now = before.get("loadBalancerClass"), spec.get("loadBalancerClass")
    if was != now and balances(before) and balances(spec):
        found.append(invalid("spec.loadBalancerClass", now, "may not change once set"))
    was, now = before.get("healthCheckNodePort"), spec.get("healthCheckNodePort")
    if was and was != now and answers_health_checks(before) and answers_health_checks(spec):
        found.append(invalid("spec.healthCheckNodePort", now, "field is immutable"))
    return found


def status_problems(service: Object) -> list[Problem]:
    """What is wrong with the addresses of a load balancer."""
    at, found = "status.loadBalancer.ingress", list[Problem]()
    ingress = (service.status.get("loadBalancer") or {}).get("ingress") or ()
    if ingress and not balances(service.spec):
        found.append(forbidden(at, 'may only be used when `spec.type` is "LoadBalancer"'))
    for index, one in enumerate(ingress):
        here = f"{at}[{index}]"
        if one.get("ip"):
            found += address(f"{here}.ip", one["ip"])
        if one.get("hostname"):
            found += named("subdomain", f"{here}.hostname", one["hostname"])
        mode = one.get("ipMode")
        if mode and not one.get("ip"):
            found.append(forbidden(f"{here}.ipMode", "may not be specified when `ip` is not set"))
        elif mode:
            found += one_of(f"{here}.ipMode", mode, IP_MODES)
    return found


def _type(spec: Mapping[str, Any]) -> list[Problem]:
    kind = spec.get("type")
    found = one_of("spec.type", kind, TYPES)
    if kind == "LoadBalancer" and headless(spec):
        found.append(invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services"))
    if kind == "NodePort" and headless(spec):
        found.append(invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services"))
    if kind == "ExternalName":
        name = (spec.get("externalName") or "").rstrip(".")
        found += named("subdomain", "spec.externalName", name)
        if spec.get("clusterIP"):
            found.append(forbidden("spec.clusterIPs", "may not be set for ExternalName services"))
    return found


def _port(at: str, entry: Json, *, several: bool) -> list[Problem]:
    name = entry.get("name")
    found = [required(f"{at}.name")] if several and not name else optional_name("label", f"{at}.name", name)
    found += port_number(f"{at}.port", entry.get("port") or 0)
    found += one_of(f"{at}.protocol", entry.get("protocol"), PROTOCOLS)
    found += qualified(f"{at}.appProtocol", entry.get("appProtocol"))
    return found + port(f"{at}.targetPort", entry.get("targetPort"))


def _ports_together(spec: Mapping[str, Any]) -> list[Problem]:
    ports = spec.get("ports") or ()
    found = unique(lambda index: f"spec.ports[{index}].name", (entry.get("name") for entry in ports))
    seen: set[tuple[Any, Any]] = set()
    nodes: set[tuple[Any, Any]] = set()
    for index, entry in enumerate(ports):
        at, protocol = f"spec.ports[{index}]", entry.get("protocol")
        if (protocol, entry.get("port")) in seen:
            found.append(duplicate(at, {"port": entry.get("port"), "protocol": protocol}))
        seen.add((protocol, entry.get("port")))
        node = entry.get("nodePort")
        if not node:
            continue
        if spec.get("type") in ("ClusterIP", "ExternalName"):
            said = f"may not be used when `type` is '{spec['type']}'"
            found.append(forbidden(f"{at}.nodePort", said))
        if (protocol, node) in nodes:
            found.append(duplicate(f"{at}.nodePort", node))
        nodes.add((protocol, node))
    return found


def _affinity_seconds(spec: Mapping[str, Any]) -> list[Problem]:
    given = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
    at = "spec.sessionAffinityConfig"
    if spec.get("sessionAffinity") == "None" and spec.get("sessionAffinityConfig"):
        said = "must not be set when session affinity is None"
        return [forbidden(at, said)]
    if given is not None and not 0 < given <= LONGEST_AFFINITY_S:
        said = f"must be greater than 0 and less than {LONGEST_AFFINITY_S}"
        return [invalid(f"{at}.clientIP.timeoutSeconds", given, said)]
    return []


def _addresses(spec: Mapping[str, Any]) -> list[Problem]:
    found: list[Problem] = []
    primary, every = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if primary and primary != "None":
        said = address("spec.clusterIPs[0]", primary)
        found += [Problem(p.field, p.reason, p.text.replace(f'"{primary}"', f'["{primary}"]', 1)) for p in said]
    if primary and every and every[0] != primary:
        found.append(invalid("spec.clusterIPs", every, "first value must match `clusterIP`"))
    if len(every) > 1:
        found.append(invalid("spec.clusterIPs", every, "may only hold one address: the cluster has one IP family"))
    for index, given in enumerate(spec.get("externalIPs") or ()):
        found += reachable(f"spec.externalIPs[{index}]", given)
    return found


def _policies(spec: Mapping[str, Any]) -> list[Problem]:
    found: list[Problem] = []
    for name in ("externalTrafficPolicy", "internalTrafficPolicy"):
        if spec.get(name):
            found += one_of(f"spec.{name}", spec[name], ("Cluster", "Local"))
    if spec.get("externalTrafficPolicy") and not externally_open(spec):
        said = "may only be set for externally-accessible services"
        found.append(invalid("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], said))
    if spec.get("ipFamilyPolicy"):
        found += one_of("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], FAMILY_POLICIES)
    if spec.get("trafficDistribution") and spec["trafficDistribution"] not in DISTRIBUTIONS:
        found.append(unsupported("spec.trafficDistribution", spec["trafficDistribution"], DISTRIBUTIONS))
    return found


def _balancing(spec: Mapping[str, Any]) -> list[Problem]:
    """What only load balancers have."""
    found: list[Problem] = []
    for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass", "loadBalancerSourceRanges"):
        if spec.get(name) not in (None, []) and not balances(spec):
            found.append(forbidden(f"spec.{name}", "may only be used when `type` is 'LoadBalancer'"))
    found += qualified("spec.loadBalancerClass", spec.get("loadBalancerClass"))
    for index, given in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        found += cidr(f"spec.loadBalancerSourceRanges[{index}]", given.strip())
    if spec.get("healthCheckNodePort") and not answers_health_checks(spec):
        said = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        found.append(invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], said))
    return found
