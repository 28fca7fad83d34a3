"""ServiceCIDR: a range that cluster IPs are taken from.  `kubernetes` is the cluster's own; others widen it.

Source: Kubernetes networking.k8s.io/v1 API, ServiceCIDR; documentation, "Extend Service IP Ranges"; printed columns as
`kubectl get servicecidrs`.
"""

from __future__ import annotations

from ipaddress import IPv4Network, ip_network

from coracle.core.errors import invalid, required
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.addressrules import cidr
from coracle.kube.kinds.definitions import schema

API = "networking.k8s.io/v1"
TYPE = "ServiceCIDR.networking.k8s.io"
OWN = "kubernetes"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"


def validate(range: Object) -> Problems:
    given = range.spec.get("cidrs") or []
    if not given:
        return [required("spec.cidrs", "at least one CIDR required")]
    if len(given) > 2:
        return [invalid("spec.cidrs", given, "may only hold up to 2 values")]
    found = [problem for index, text in enumerate(given) for problem in _canonical(f"spec.cidrs[{index}]", text)]
    if not found and len(given) == 2 and ip_network(given[0]).version == ip_network(given[1]).version:
        said = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        found.append(invalid("spec.cidrs", given, said))
    return found


def _canonical(at: str, text: str) -> Problems:
    found = cidr(at, text)
    if not found:
        network = str(ip_network(text, strict=False))
        if network != text:
            found.append(invalid(at, text, f'must be in canonical form ("{network}")'))
    return found


def validate_change(new: Object, old: Object, part: str) -> Problems:
    """The second family may come later; nothing else changes."""
    before, after = old.spec.get("cidrs") or [], new.spec.get("cidrs") or []
    if len(before) not in (len(after), len(after) - 1) or not after:
        return [invalid("spec.cidrs", after, "field is immutable")]
    changed = [index for index, text in enumerate(before) if text != after[index]]
    return [invalid(f"spec.cidrs[{index}]", after[index], "field is immutable") for index in changed]


def networks(range: Object) -> list[IPv4Network]:
    """Those of IPv4, the family of this cluster's services."""
    found = (ip_network(text) for text in range.spec.get("cidrs") or ())
    return [one for one in found if isinstance(one, IPv4Network)]


def others(reader: Reader) -> list[IPv4Network]:
    """The ranges beside the cluster's own that addresses may be taken from, in order of their names."""
    ranges = (entry.object() for entry in reader.entries(TYPE) if entry.key.name != OWN)
    return [one for range in ranges if not range.meta.deleting for one in networks(range)]


KIND = Kind(
    name="ServiceCIDR",
    plural="servicecidrs",
    singular="servicecidr",
    api=API,
    namespaced=False,
    schema=schema(API, "ServiceCIDR"),
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("CIDRs", lambda one: ",".join(one.spec.get("cidrs") or ()), "Its addresses."),
        printing.AGE,
    ),
    subresources=frozenset(("status",)),
    counts_generations=False,
    loop="coracle.kube.controllers.clusterips:ServiceRanges",
)
