"""Rules for addresses at which something is to be had, in Kubernetes' words.

Source: Kubernetes v1 API, Service and Endpoints; discovery.k8s.io/v1 API; the messages of their validation.
"""

from __future__ import annotations

import ipaddress

from coracle.core.errors import Problem, invalid
from coracle.core.names import qualified_faults
from coracle.kube.kinds.rules import address, named

_FAMILIES = {"IPv4": 4, "IPv6": 6}


def reachable(field: str, given: str) -> list[Problem]:
    """An address that is somebody's in particular."""
    return address(field, given) or [invalid(field, given, fault) for fault in _faults(given)]


def of_type(field: str, given: str, kind: str) -> list[Problem]:
    """An address of an EndpointSlice: `kind` is IPv4, IPv6 or FQDN."""
    if kind == "FQDN":
        return named("subdomain", field, given)
    problems = address(field, given)
    if not problems and ipaddress.ip_address(given).version != _FAMILIES.get(kind):
        problems = [invalid(field, given, f"must be an {kind} address")]
    return problems or reachable(field, given)


def cidr(field: str, given: str) -> list[Problem]:
    """A range of addresses."""
    try:
        ipaddress.ip_network(given if "/" in given else "", strict=False)
    except ValueError:
        return [invalid(field, given, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")]
    return []


def qualified(field: str, given: str | None) -> list[Problem]:
    """An optional qualified name, such as a port's `appProtocol`."""
    return [invalid(field, given, fault) for fault in qualified_faults(given)] if given else []


def _faults(given: str) -> list[str]:
    asked = ipaddress.ip_address(given)
    ipv4 = asked.version == 4
    faults = (
        (asked.is_unspecified, f"may not be unspecified ({asked})"),
        (asked.is_loopback, f"may not be in the loopback range ({'127.0.0.0/8' if ipv4 else '::1/128'})"),
        (asked.is_link_local, f"may not be in the link-local range ({'169.254.0.0/16' if ipv4 else 'fe80::/10'})"),
        (asked.is_multicast, f"may not be in the multicast range ({'224.0.0.0/4' if ipv4 else 'ff00::/8'})"),
    )
    return [said for broken, said in faults if broken]
