"""Keep Endpoints and EndpointSlices equal to the pods behind each Service; slices first, as packets follow them.

Decide: addresses.py, pure.  Act: EndpointsSync.reconcile().  A Service without a selector is its owner's business, and
so is `default/kubernetes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from coracle.core.collection import Collection
from coracle.core.informer import Index, Informer
from coracle.core.loop import itself
from coracle.core.object import Json, Key, Meta, Object
from coracle.core.selectors import matches
from coracle.core.store import Entry, Event
from coracle.kube.controllers import addresses
from coracle.kube.kinds import endpoints, endpointslice, service
from coracle.kube.kinds import pod as pods

SERVICE, POD = service.KIND.type, pods.KIND.type
ENDPOINTS, SLICE = endpoints.KIND.type, endpointslice.KIND.type
NODE, ZONE = "Node", "topology.kubernetes.io/zone"
OURS = "endpointslice-controller.k8s.io"
_ENDPOINTS_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


def _selecting(service: Object) -> Iterable[str]:
    return (service.meta.namespace,) if service.spec.get("selector") else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {
    SERVICE: {"selecting": _selecting},
    SLICE: {"managed": partial(endpointslice.service_of, manager=OURS)},
    POD: {"label": lambda pod: [f"{pod.meta.namespace}/{key}={value}" for key, value in pod.meta.labels.items()]},
}


class EndpointsSync:
    name = "endpoints"

    def __init__(self, caches: Mapping[str, Informer], endpoints_writer: Collection, slice_writer: Collection) -> None:
        self._services, self._pods = caches[SERVICE], caches[POD]
        self._endpoints, self._slices = caches[ENDPOINTS], caches[SLICE]
        self._endpoints_writer, self._slice_writer = endpoints_writer, slice_writer
        self._ended: set[Key] = set()  # services that we saw go: their Endpoints go with them, whoever wrote them
        self._nodes, self._rooms = caches[NODE], caches["Namespace"]
        self.watches = {
            SERVICE: self._itself,
            POD: self._concerned,
            ENDPOINTS: itself,
            SLICE: named_service,
            NODE: self._moved,
        }

    async def reconcile(self, key: Key) -> None:
        found = self._services.find(key)
        if found is None:
            await self._drop(key)
        elif found.spec.get("selector") and found.spec.get("type") != "ExternalName":
            behind = addresses.groups(found, self._behind(found), self._zone)
            await self._write_slices(found, addresses.contents(behind, found.spec.get("trafficDistribution") or ""))
            await self._write_endpoints(found, addresses.subsets(found, behind), addresses.notes(behind))

    def _behind(self, service: Object) -> list[Object]:
        """The pods that the selector means, found by its rarest label."""
        selector, namespace = service.spec["selector"], service.meta.namespace
        keys = min((self._pods.keys_by("label", f"{namespace}/{k}={v}") for k, v in selector.items()), key=len)
        entries = [entry for key in keys if (entry := self._pods.entry(key)) is not None]
        return [entry.object() for entry in entries if matches(selector, entry.labels)]

    def _is_ending(self, namespace: str) -> bool:
        """Nothing new is made there; what is there goes on being true."""
        room = self._rooms.find(Key("", namespace))
        return room is not None and bool(room.meta.deleting)

    def _zone(self, node: str) -> str:
        entry = self._nodes.entry(Key("", node))
        return entry.labels.get(ZONE, "") if entry is not None else ""

    def _moved(self, event: Event) -> Iterable[Key]:
        """All services that have pods, where a node is in another zone than before."""
        before = event.before.labels.get(ZONE) if event.before is not None else None
        moved = before != event.entry.labels.get(ZONE)
        return [entry.key for entry in self._services.entries()] if moved else ()

    def _itself(self, event: Event) -> Iterable[Key]:
        if event.type == "DELETED":
            self._ended.add(event.entry.key)
        else:
            self._ended.discard(event.entry.key)
        return (event.entry.key,)

    def _concerned(self, event: Event) -> Iterable[Key]:
        """The services that select the pod, or selected it before."""
        states: list[Entry] = [entry for entry in (event.entry, event.before) if entry is not None]
        services = self._services.by("selecting", event.entry.key.namespace)
        return [one.key for one in services if any(matches(one.spec["selector"], state.labels) for state in states)]

    # -- Endpoints -----------------------------------------------------------------------------------------------

    async def _write_endpoints(self, service: Object, subsets: list[Json], notes: Mapping[str, str]) -> None:
        labels = {**addresses.labels(service), **_ENDPOINTS_BY}
        wanted = {"subsets": subsets} if subsets else {}
        if self._endpoints.find(service.key) is None:
            if self._is_ending(service.meta.namespace):
                return
            meta = Meta(name=service.meta.name, namespace=service.meta.namespace, labels=labels, annotations=notes)
            await self._endpoints_writer.create(Object("Endpoints", meta, wanted))
            return

        def written(old: Object) -> Object:
            others = {name: value for name, value in old.meta.annotations.items() if name != addresses.OVER_CAPACITY}
            return _with(old.with_meta(labels=labels, annotations={**others, **notes}), wanted)

        await self._endpoints_writer.change(service.key, written)

    async def _drop(self, key: Key) -> None:
        """There is no such service: so are the objects that were made for it; and what users wrote, if it has gone."""
        present = self._endpoints.find(key)
        if present is not None and (key in self._ended or matches(_ENDPOINTS_BY, present.meta.labels)):
            await self._endpoints_writer.delete(key, missing_ok=True)
        self._ended.discard(key)
        for slice in self._slices.by("managed", str(key)):
            await self._slice_writer.delete(slice.key, missing_ok=True)

    # -- EndpointSlices ------------------------------------------------------------------------------------------

    async def _write_slices(self, service: Object, wanted: list[Json]) -> None:
        present = [slice for slice in self._slices.by("managed", str(service.key)) if not slice.meta.deleting]
        todo = addresses.match(wanted, present)
        labels = {
            **addresses.labels(service),
            endpointslice.SERVICE_LABEL: service.meta.name,
            endpointslice.MANAGED_BY: OURS,
        }
        for slice, content in todo.change:
            body = {"addressType": "IPv4", **content}
            if dict(slice.body) != body or slice.meta.labels != labels:
                await self._change_slice(slice.key, labels, body)
        for content in () if self._is_ending(service.meta.namespace) else todo.make:
            await self._make_slice(service, labels, content)
        for slice in todo.remove:
            await self._slice_writer.delete(slice.key, missing_ok=True)

    async def _change_slice(self, key: Key, labels: Mapping[str, str], body: Json) -> None:
        await self._slice_writer.change(key, lambda old: _with(old.with_meta(labels=labels), body))

    async def _make_slice(self, service: Object, labels: Mapping[str, str], content: Json) -> None:
        meta = Meta(
            generate_name=f"{service.meta.name}-",
            namespace=service.meta.namespace,
            labels=labels,
            owners=(service.as_owner(),),
        )
        body = {"addressType": "IPv4", **content}
        await self._slice_writer.create(Object("EndpointSlice", meta, body, endpointslice.API))


def _with(obj: Object, body: Json) -> Object:
    return Object(obj.kind, obj.meta, body, obj.api)


def named_service(event: Event) -> Iterable[Key]:
    label = endpointslice.SERVICE_LABEL
    entries = [entry for entry in (event.entry, event.before) if entry is not None]
    return {Key(entry.key.namespace, entry.labels[label]) for entry in entries if label in entry.labels}
