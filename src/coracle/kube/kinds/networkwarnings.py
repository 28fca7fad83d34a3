"""What is accepted of services and ingresses and has no effect, or another way by now: told to the client.  Pure.

Source: Kubernetes API, "Warnings"; the messages of the service's and the ingress' warnings.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from coracle.core.object import Object
from coracle.kube.kinds.ingress import CLASS_NOTE, KIND
from coracle.kube.kinds.servicetypes import headless

_OLD_HINTS, _HINTS = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"


def of_network(obj: Object) -> Iterator[str]:
    """Nothing of other kinds."""
    if obj.type == "Service":
        if _OLD_HINTS in obj.meta.annotations:
            yield f"annotation {_OLD_HINTS} is deprecated, please use {_HINTS} instead"
        yield from _of_service(obj.spec)
    elif obj.type == KIND.type and CLASS_NOTE in obj.meta.annotations:
        yield f"annotation \"{CLASS_NOTE}\" is deprecated, please use 'spec.ingressClassName' instead"


def _of_service(spec: Mapping[str, Any]) -> Iterator[str]:
    named = spec.get("type") == "ExternalName"
    ignored = (
        (headless(spec) and spec.get("loadBalancerIP"), "spec.loadBalancerIP is ignored for headless services"),
        (headless(spec) and spec.get("externalIPs"), "spec.externalIPs is ignored for headless services"),
        (
            headless(spec) and spec.get("sessionAffinity") != "None",
            "spec.SessionAffinity is ignored for headless services",
        ),
        (named and spec.get("externalIPs"), 'spec.externalIPs is ignored when spec.type is "ExternalName"'),
        (
            not named and spec.get("externalName"),
            'spec.externalName is ignored when spec.type is not "ExternalName"',
        ),
        (
            spec.get("trafficDistribution") == "PreferClose",
            'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
        ),
    )
    yield from (said for found, said in ignored if found)
    for index, text in enumerate(spec.get("externalIPs") or ()):
        yield from _canonical(f"spec.externalIPs[{index}]", text)


def _canonical(at: str, text: str) -> Iterator[str]:
    shown = str(ipaddress.ip_address(text))
    if ":" in text and shown != text:
        said = f'is not in RFC 5952 canonical format ("{shown}"), which may cause controller apply-loops'
        yield f'{at}: IPv6 address "{text}" {said}'
