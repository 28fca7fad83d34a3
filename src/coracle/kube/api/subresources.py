"""What lies under an object: status and finalize (parts of it), scale, binding.

Source: autoscaling/v1 Scale, v1 Binding.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection
from coracle.core.errors import Conflict, Invalid, Malformed, NotFound, Unsupported, invalid, required
from coracle.core.kind import Kind
from coracle.core.object import Object
from coracle.core.selectors import selector_text
from coracle.core.store import to_entry
from coracle.kube.api.codec import read_document
from coracle.kube.api.deletions import read_dry_run
from coracle.kube.api.errors import success
from coracle.kube.api.patching import read_patch
from coracle.kube.api.resources import Resources
from coracle.kube.api.served import Place, Target
from coracle.kube.api.tables import read_view
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema
from coracle.web.messages import Answer, Request, Response

# Subresources that are the whole object with other rules for what may change: Kind.validate_change is told which.
PARTS = frozenset(("status", "finalize", "approval", "resize", "ephemeralcontainers"))
_BINDING = ("v1", "Binding")
BINDING = Kind(name="Binding", plural="bindings", singular="binding", schema=schema(*_BINDING))
SCALE = Kind(
    name="Scale",
    plural="scales",
    api="autoscaling/v1",
    columns=(
        printing.NAME,
        printing.number("Desired", lambda scale: scale.spec.get("replicas") or 0),
        printing.number("Available", lambda scale: scale.status.get("replicas") or 0),
        printing.AGE,
    ),
)
POD = "Pod"
Verb = Callable[[Request, Target], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Subresources:
    resources: Resources
    clock: Clock
    streams: Mapping[str, Verb]

    async def handle(self, request: Request, target: Target) -> Answer:
        """Raises Unsupported (405, 501)."""
        name = target.subresource
        if name in self.streams:
            return await self.streams[name](request, target)
        if name in PARTS:
            return await self._part(request, target)
        verbs: dict[tuple[str, str], Verb] = {
            ("scale", "GET"): self._get_scale,
            ("scale", "PUT"): self._put_scale,
            ("scale", "PATCH"): self._patch_scale,
            ("binding", "POST"): self._bind,
        }
        verb = verbs.get((name, request.method))
        if verb is None:
            raise Unsupported("the server does not allow this method on the requested resource")
        return await verb(request, target)

    async def _part(self, request: Request, target: Target) -> Answer:
        match request.method:
            case "GET" | "HEAD":
                return await self.resources.get(request, target)
            case "PUT":
                return await self.resources.update(request, target, target.subresource)
            case "PATCH" if target.subresource != "finalize":
                return await self.resources.patch(request, target, target.subresource)
        raise Unsupported("the server does not allow this method on the requested resource")

    # -- scale ---------------------------------------------------------------------------------------------------

    async def _get_scale(self, request: Request, target: Target) -> Response:
        return self._shown(request, scale_of(target.collection.get(target.key)))

    def _shown(self, request: Request, scale: dict[str, Any]) -> Response:
        """The Scale in the form that is asked for."""
        return Response(200, read_view(request, SCALE, self.clock).one(to_entry(Object.from_json(scale))))

    async def _put_scale(self, request: Request, target: Target) -> Response:
        dry_run = read_dry_run(request, "UpdateOptions")
        doc = read_document(request)
        return await self._rescale(request, target, lambda _scale: doc, dry_run)

    async def _patch_scale(self, request: Request, target: Target) -> Response:
        dry_run = read_dry_run(request, "PatchOptions")
        patch = read_patch(request, target.kind)
        return await self._rescale(request, target, patch.apply, dry_run)

    async def _rescale(self, request: Request, target: Target, change: Callable[[Any], Any], dry_run: bool) -> Response:
        def scaled(old: Object) -> Object:
            return _scaled(old, change(scale_of(old)), target)

        stored = await target.collection.change(target.key, scaled, "scale", dry_run=dry_run)
        return self._shown(request, scale_of(stored))

    # -- pods ----------------------------------------------------------------------------------------------------

    async def bind(self, request: Request, pods: Collection, place: Place) -> Response:
        """POST .../namespaces/{namespace}/bindings -> 201: the older way to say the same, which names the pod inside.

        Raises: Unsupported (405), NotFound and what a binding of a pod raises.
        """
        if place.name or place.namespace is None:
            raise NotFound
        if request.method != "POST":
            raise Unsupported("the server does not allow this method on the requested resource")
        name = (checked(read_document(request), *_BINDING).get("metadata") or {}).get("name") or ""
        return await self._bind(request, Target(pods, place.namespace, name))

    async def _bind(self, request: Request, target: Target) -> Response:
        doc = checked(read_document(request), *_BINDING)
        node = (doc.get("target") or {}).get("name") or ""
        if not node:
            raise Invalid((required("target.name"),), kind="Binding", name=target.name)
        now = rfc3339(self.clock.now_s())
        await target.collection.change(target.key, lambda pod: bound(pod, node, now, target), "binding")
        return success({}, 201)


def scale_of(obj: Object) -> dict[str, Any]:
    """The Scale of anything with spec.replicas."""
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    meta = {name: value for name, value in obj.meta.to_json().items() if name in kept}
    status: dict[str, Any] = {"replicas": obj.status.get("replicas", 0)}
    selector = selector_text(obj.spec.get("selector") or {})
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        "spec": {"replicas": obj.spec["replicas"]} if obj.spec.get("replicas") else {},
        "status": {**status, "selector": selector} if selector else status,
    }


def _scaled(old: Object, doc: Any, target: Target) -> Object:
    doc = checked(doc, "autoscaling/v1", "Scale")
    meta, replicas = doc.get("metadata") or {}, (doc.get("spec") or {}).get("replicas", 0)
    if meta.get("name", target.name) != target.name:
        said = f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})"
        raise Malformed(said)
    if meta.get("resourceVersion") not in (None, "", str(old.meta.revision)):
        raise Conflict(kind=target.kind.type, name=target.name)
    if replicas < 0:
        problem = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise Invalid((problem,), kind="Scale.autoscaling", name=target.name)
    return old.with_spec(replicas=replicas)


def bound(pod: Object, node: str, now: str, target: Target) -> Object:
    """`pod` on `node`.  Raises Conflict where it is on another, or is being deleted."""
    if pod.meta.deleting:
        raise Conflict(
            f"pod {pod.meta.name} is being deleted, cannot be assigned to a host",
            kind=target.kind.type,
            name=pod.meta.name,
        )
    if pod.spec.get("nodeName"):
        said = f'pod {pod.meta.name} is already assigned to node "{pod.spec["nodeName"]}"'
        raise Conflict(said, kind=target.kind.type, name=pod.meta.name)
    others = [c for c in pod.status.get("conditions") or () if c["type"] != "PodScheduled"]
    times = {"lastProbeTime": None, "lastTransitionTime": now}
    scheduled = {"type": "PodScheduled", "status": "True", "observedGeneration": pod.meta.generation, **times}
    return pod.with_spec(nodeName=node).with_status(conditions=[*others, scheduled])


def checked(doc: Any, api: str, kind: str) -> dict[str, Any]:
    """`doc` if it has the shape of that kind.  Raises Malformed."""
    problems = schema(api, kind).check(doc)
    if problems or not isinstance(doc, dict):
        said = problems[0].text if problems else "not an object"
        raise Malformed(f'{kind} in version "{api.rpartition("/")[2]}" cannot be handled as a {kind}: {said}')
    return doc
