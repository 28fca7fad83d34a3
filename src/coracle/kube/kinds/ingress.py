"""Ingress: which requests from outside go to which Services.  A controller that somebody runs makes it true.

Source: Kubernetes networking.k8s.io/v1 API, Ingress; its admission plugin DefaultIngressClass; printed columns as
`kubectl get ingresses`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Forbidden, Invalid, invalid, required
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.names import name_faults
from coracle.core.object import Object
from coracle.kube.kinds import ingressclass, printing
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import address, named, one_of, optional_name, port_name_faults, port_number

API = "networking.k8s.io/v1"
CLASS_NOTE = "kubernetes.io/ingress.class"
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_PARTS, _BAD_ENDS = ("//", "/./", "/../", "%2f", "%2F"), ("/..", "/.")
_WILDCARD = r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_WILDCARD_SAID = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', "
    f"regex used for validation is '{_WILDCARD}')"
)
_SHOWN = 3


def default(ingress: Object) -> Object:
    return ingress.with_body(status={"loadBalancer": {}, **ingress.status})


def assign(ingress: Object, old: Object | None, reader: Reader) -> Object:
    """A new one without a class has the default one.  Raises Forbidden where several are, Invalid."""
    if old is not None:
        return ingress
    ingress = ingress.with_body(status={"loadBalancer": {}})
    named, noted = ingress.spec.get("ingressClassName"), ingress.meta.annotations.get(CLASS_NOTE)
    if named and noted is not None and noted != named:
        problem = invalid(f"annotations.{CLASS_NOTE}", noted, "must match `ingressClassName` when both are specified")
        raise Invalid([problem], kind=KIND.type, name=ingress.meta.name)
    if ingress.spec.get("ingressClassName") or CLASS_NOTE in ingress.meta.annotations:
        return ingress
    classes = [entry.object() for entry in reader.entries(ingressclass.KIND.type)]
    defaults = [one.meta.name for one in classes if one.meta.annotations.get(ingressclass.DEFAULT) == "true"]
    if len(defaults) > 1:
        said = f"Internal error occurred: {len(defaults)} default IngressClasses were found, only 1 allowed"
        raise Forbidden(said, kind=KIND.type, name=ingress.meta.name)
    return ingress.with_spec(ingressClassName=defaults[0]) if defaults else ingress


def validate(ingress: Object) -> Problems:
    spec = ingress.spec
    rules = spec.get("rules") or []
    found: Problems = []
    if not rules and not spec.get("defaultBackend"):
        found.append(invalid("spec", rules, "either `defaultBackend` or `rules` must be specified"))
    if spec.get("defaultBackend"):
        found += _backend("spec.defaultBackend", spec["defaultBackend"])
    for index, rule in enumerate(rules):
        found += _rule(f"spec.rules[{index}]", rule)
    for index, tls in enumerate(spec.get("tls") or ()):
        at = f"spec.tls[{index}]"
        for number, host in enumerate(tls.get("hosts") or ()):
            found += _host(f"{at}.hosts[{number}]", host)
        found += optional_name("subdomain", f"{at}.secretName", tls.get("secretName"))
    return found + optional_name("subdomain", "spec.ingressClassName", spec.get("ingressClassName"))


def validate_change(new: Object, old: Object, part: str) -> Problems:
    if part != "status":
        return []
    at, found = "status.loadBalancer.ingress", list[Any]()
    for index, one in enumerate((new.status.get("loadBalancer") or {}).get("ingress") or ()):
        if one.get("ip"):
            found += address(f"{at}[{index}].ip", one["ip"])
        if one.get("hostname"):
            found += named("subdomain", f"{at}[{index}].hostname", one["hostname"])
            found += _no_address(f"{at}[{index}].hostname", one["hostname"])
    return found


def _rule(at: str, rule: Mapping[str, Any]) -> Problems:
    found: Problems = []
    host = rule.get("host") or ""
    if host:
        found += _no_address(f"{at}.host", host) + _host(f"{at}.host", host)
    if rule.get("http") is None:
        return found
    paths = rule["http"].get("paths") or ()
    if not paths:
        found.append(required(f"{at}.http.paths"))
    for index, path in enumerate(paths):
        found += _path(f"{at}.http.paths[{index}]", path)
    return found


def _host(at: str, host: str) -> Problems:
    if "*" in host:
        return [] if re.fullmatch(_WILDCARD, host) else [invalid(at, host, _WILDCARD_SAID)]
    return [invalid(at, host, fault) for fault in name_faults("subdomain", host)]


def _no_address(at: str, host: str) -> Problems:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return []
    return [invalid(at, host, "must be a DNS name, not an IP address")]


def _path(at: str, path: Mapping[str, Any]) -> Problems:
    sort, text = path.get("pathType"), path.get("path") or ""
    if sort is None:
        return [required(f"{at}.pathType", "pathType must be specified")]
    found = one_of(f"{at}.pathType", sort, PATH_TYPES)
    if not found and not text.startswith("/") and (text or sort != "ImplementationSpecific"):
        found.append(invalid(f"{at}.path", text, "must be an absolute path"))
    if sort in ("Exact", "Prefix"):
        found += [invalid(f"{at}.path", text, f"must not contain '{bad}'") for bad in _BAD_PARTS if bad in text]
        found += [invalid(f"{at}.path", text, f"cannot end with '{bad}'") for bad in _BAD_ENDS if text.endswith(bad)]
    return found + _backend(f"{at}.backend", path.get("backend") or {})


def _backend(at: str, backend: Mapping[str, Any]) -> Problems:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        return [invalid(at, "", "cannot set both resource and service backends")]
    if resource is not None:
        return ingressclass.reference(f"{at}.resource", resource)
    if service is None:
        return [invalid(at, "", "resource or service backend is required")]
    found = named("label", f"{at}.service.name", service.get("name"))
    port = service.get("port") or {}
    name, number = port.get("name"), port.get("number")
    if name and number:
        return [*found, invalid(at, "", "cannot set both port name & port number")]
    if name:
        return found + [invalid(f"{at}.service.port.name", name, fault) for fault in port_name_faults(name)]
    if number:
        return found + port_number(f"{at}.service.port.number", number)
    return [*found, required(at, "port name or number is required")]


def _hosts(ingress: Object) -> str:
    rules = ingress.spec.get("rules") or ()
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    if not hosts:
        return "*"
    more = f" + {len(rules) - _SHOWN} more..." if len(rules) > _SHOWN else ""
    return ",".join(hosts[:_SHOWN]) + more


def _address(ingress: Object) -> str:
    given = (ingress.status.get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(sorted({one.get("ip") or one.get("hostname") or "" for one in given} - {""}))


KIND = Kind(
    name="Ingress",
    plural="ingresses",
    singular="ingress",
    short=("ing",),
    api=API,
    schema=schema(API, "Ingress"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("Class", lambda one: one.spec.get("ingressClassName") or printing.NONE, "Its IngressClass."),
        printing.text("Hosts", _hosts, "Hosts that requests are for."),
        printing.text("Address", _address, "Where it is to be had."),
        printing.text("Ports", lambda one: "80, 443" if one.spec.get("tls") else "80", "At which ports."),
        printing.AGE,
    ),
    subresources=frozenset(("status",)),
)
