"""Endpoints that users write for Services without a selector are mirrored into EndpointSlices, which everybody reads.

Not mirrored: those with the label `endpointslice.kubernetes.io/skip-mirror: "true"`, those of a leader election, and
those whose Service is missing or has a selector.  A subset becomes one slice for IPv4 and one for IPv6; more than
1,000 addresses of a subset are not mirrored.

Decide: mirrors(), pure.  Act: Mirroring.reconcile().
Source: Kubernetes documentation, "EndpointSlices", mirroring; "Service", services without selectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from coracle.core.collection import Collection
from coracle.core.informer import Index, Informer
from coracle.core.loop import ToKeys, itself
from coracle.core.object import Json, Key, Meta, Object
from coracle.kube.controllers import addresses
from coracle.kube.controllers.endpoints import named_service
from coracle.kube.kinds import endpoints, endpointslice, service
from coracle.kube.kinds.recorder import EventRecorder

SERVICE, ENDPOINTS, SLICE = service.KIND.type, endpoints.KIND.type, endpointslice.KIND.type
SPEAKER = "endpoint-slice-mirroring-controller"
MIRROR = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
MOST_PER_SUBSET = 1000
_UNCOPIED = ("endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration")
_ELECTION = "control-plane.alpha.kubernetes.io/leader"


INDEXES: Mapping[str, Mapping[str, Index]] = {SLICE: {"mirrored": partial(endpointslice.service_of, manager=MIRROR)}}


def is_mirrored(service: Object | None, endpoints: Object | None) -> bool:
    if service is None or endpoints is None or service.spec.get("selector"):
        return False
    return endpoints.meta.labels.get(SKIP) != "true" and _ELECTION not in endpoints.meta.annotations


def mirrors(endpoints: Object) -> list[Json]:
    """What the slices hold, a dictionary each; subsets of the same ports share theirs."""
    found: dict[tuple[str, str], Json] = {}
    for subset in endpoints.body.get("subsets") or ():
        ports = [_port(port) for port in subset.get("ports") or ()]
        for address_type, endpoint in _endpoints(subset):
            content = {"addressType": address_type, "endpoints": [], "ports": ports}
            found.setdefault((address_type, repr(ports)), content)["endpoints"].append(endpoint)
    return [found[place] for place in sorted(found)]


def _port(port: Mapping[str, Any]) -> Json:
    said = {name: port[name] for name in ("port", "protocol", "appProtocol") if port.get(name) is not None}
    return {"name": port.get("name") or "", **said}


def _endpoints(subset: Mapping[str, Any]) -> Iterable[tuple[str, Json]]:
    """Ready ones first, as far as they fit."""
    ready = [(address, True) for address in subset.get("addresses") or ()]
    unready = [(address, False) for address in subset.get("notReadyAddresses") or ()]
    for address, is_ready in (*ready, *unready)[:MOST_PER_SUBSET]:
        known = {name: address[name] for name in ("hostname", "nodeName", "targetRef") if address.get(name)}
        family = "IPv6" if ":" in address["ip"] else "IPv4"
        yield family, {"addresses": [address["ip"]], "conditions": {"ready": is_ready}, **known}


def too_many(endpoints: Object) -> int:
    """How many addresses are left out."""
    sizes = (
        len(s.get("addresses") or ()) + len(s.get("notReadyAddresses") or ())
        for s in endpoints.body.get("subsets") or ()
    )
    return sum(max(0, size - MOST_PER_SUBSET) for size in sizes)


class Mirroring:
    name = "endpoint-mirroring"
    watches: Mapping[str, ToKeys] = {SERVICE: itself, ENDPOINTS: itself, SLICE: named_service}

    def __init__(self, caches: Mapping[str, Informer], writer: Collection, recorder: EventRecorder) -> None:
        """`writer`: of EndpointSlices."""
        self._services, self._endpoints, self._slices = caches[SERVICE], caches[ENDPOINTS], caches[SLICE]
        self._writer, self._recorder = writer, recorder

    async def reconcile(self, key: Key) -> None:
        asked, present = self._endpoints.find(key), list(self._slices.by("mirrored", str(key)))
        if asked is None or not is_mirrored(self._services.find(key), asked):
            for slice in present:
                await self._writer.delete(slice.key, missing_ok=True)
            return
        skipped = too_many(asked)
        if skipped:
            said = f"A max of {MOST_PER_SUBSET} addresses can be mirrored to EndpointSlices per Endpoints subset."
            self._recorder.emit(
                asked, "Warning", "TooManyAddressesToMirror", f"{said} {skipped} addresses were skipped"
            )
        meta = _meta(asked)
        for kind in ("IPv4", "IPv6"):
            wanted = [content for content in mirrors(asked) if content["addressType"] == kind]
            todo = addresses.match(wanted, [slice for slice in present if slice.body.get("addressType") == kind])
            await self._apply(todo, meta)

    async def _apply(self, todo: addresses.SlicePlan, meta: Meta) -> None:
        for slice, content in todo.change:
            await self._writer.change(slice.key, partial(_rewritten, meta, content))
        for content in todo.make:
            await self._writer.create(Object("EndpointSlice", meta, content, endpointslice.API))
        for slice in todo.remove:
            await self._writer.delete(slice.key, missing_ok=True)


def _rewritten(meta: Meta, content: Json, now: Object) -> Object:
    kept = now.with_meta(labels=meta.labels, annotations=meta.annotations)
    return Object(kept.kind, kept.meta, content, kept.api)


def _meta(asked: Object) -> Meta:
    """Of a slice that mirrors `asked`: its labels and notes, and whose it is."""
    labels = {
        **asked.meta.labels,
        endpointslice.SERVICE_LABEL: asked.meta.name,
        endpointslice.MANAGED_BY: MIRROR,
    }
    return Meta(
        generate_name=f"{asked.meta.name}-",
        namespace=asked.meta.namespace,
        labels=labels,
        annotations={name: value for name, value in asked.meta.annotations.items() if name not in _UNCOPIED},
        owners=(asked.as_owner(),),
    )
