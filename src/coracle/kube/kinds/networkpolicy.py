"""NetworkPolicy: who may speak to some pods, and to whom they may.

Source: Kubernetes networking.k8s.io/v1 API, NetworkPolicy; printed columns as `kubectl get networkpolicies`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from coracle.core.errors import forbidden, invalid, required
from coracle.core.kind import Kind, Problems
from coracle.core.object import Json, Object
from coracle.core.selectors import selector_text
from coracle.kube.kinds import printing
from coracle.kube.kinds.addressrules import cidr
from coracle.kube.kinds.blanks import absent, each
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import label_selector, port_name_faults, port_number, unsupported

API = "networking.k8s.io/v1"
TYPES = ("Egress", "Ingress")
PROTOCOLS = ("SCTP", "TCP", "UDP")
_PEERS = {"ingress": "from", "egress": "to"}


def default(policy: Object) -> Object:
    spec = absent(policy.spec, podSelector={})
    for way in _PEERS:
        spec = each(spec, way, lambda rule: each(rule, "ports", lambda port: absent(port, protocol="TCP")))
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return policy.with_body(spec=spec)


def validate(policy: Object) -> Problems:
    spec = policy.spec
    found = label_selector("spec.podSelector", spec.get("podSelector"))
    for way, peers in _PEERS.items():
        for index, rule in enumerate(spec.get(way) or ()):
            at = f"spec.{way}[{index}]"
            for number, port in enumerate(rule.get("ports") or ()):
                found += _port(f"{at}.ports[{number}]", port)
            for number, peer in enumerate(rule.get(peers) or ()):
                found += _peer(f"{at}.{peers}[{number}]", peer)
    types = spec.get("policyTypes") or []
    if len(types) > len(TYPES):
        return [*found, invalid("spec.policyTypes", types, "may not specify more than two policyTypes")]
    wrong = [(index, one) for index, one in enumerate(types) if one not in TYPES]
    return found + [unsupported(f"spec.policyTypes[{index}]", one, TYPES) for index, one in wrong]


def _port(at: str, port: Mapping[str, Any]) -> Problems:
    found: Problems = []
    number, last = port.get("port"), port.get("endPort")
    if port.get("protocol") not in (None, *PROTOCOLS):
        found.append(unsupported(f"{at}.protocol", port["protocol"], PROTOCOLS))
    if isinstance(number, str):
        if last is not None:
            found.append(invalid(f"{at}.endPort", last, "may not be specified when `port` is non-numeric"))
        return found + [invalid(f"{at}.port", number, fault) for fault in port_name_faults(number)]
    if number is None:
        said = "may not be specified when `port` is not specified"
        return [*found, invalid(f"{at}.endPort", last, said)] if last is not None else found
    found += port_number(f"{at}.port", number)
    if last is not None and last < number:
        found.append(invalid(f"{at}.endPort", last, "must be greater than or equal to `port`"))
    return found + (port_number(f"{at}.endPort", last) if last is not None else [])


def _peer(at: str, peer: Mapping[str, Any]) -> Problems:
    given = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(name) is not None]
    if not given:
        return [required(at, "must specify a peer")]
    found: Problems = []
    for name in given:
        if name != "ipBlock":
            found += label_selector(f"{at}.{name}", peer[name])
    if "ipBlock" in given:
        found += _block(f"{at}.ipBlock", peer["ipBlock"])
        if len(given) > 1:
            found.append(forbidden(at, "may not specify both ipBlock and another peer"))
    return found


def _block(at: str, block: Json) -> Problems:
    if not block.get("cidr"):
        return [required(f"{at}.cidr")]
    found = cidr(f"{at}.cidr", block["cidr"])
    for index, text in enumerate(block.get("except") or ()):
        here = f"{at}.except[{index}]"
        wrong = cidr(here, text)
        if not wrong and not found and not _inside(text, block["cidr"]):
            wrong = [invalid(here, text, "must be a strict subset of `cidr`")]
        found += wrong
    return found


def _inside(inner: str, outer: str) -> bool:
    one, other = ipaddress.ip_network(inner, strict=False), ipaddress.ip_network(outer, strict=False)
    return one.version == other.version and one.prefixlen > other.prefixlen and one.network_address in other


KIND = Kind(
    name="NetworkPolicy",
    plural="networkpolicies",
    singular="networkpolicy",
    short=("netpol",),
    api=API,
    schema=schema(API, "NetworkPolicy"),
    default=default,
    validate=validate,
    columns=(
        printing.NAME,
        printing.text(
            "Pod-Selector",
            lambda policy: selector_text(policy.spec.get("podSelector") or {}) or printing.NONE,
            "Whom it is about.",
        ),
        printing.AGE,
    ),
)
