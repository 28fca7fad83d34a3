"""The verbs of every kind: one handler per verb, whatever the kind.

A handler finds its kind, decodes, calls one Collection verb, encodes.  It has no rules of its own (they are in
kube/kinds/), no `try` (web.edge words errors) and no state.  Reading sends the store's bytes as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coracle.core.clock import Clock
from coracle.core.errors import Malformed, NotFound, Unsupported
from coracle.core.object import Object
from coracle.core.store import Store, to_entry
from coracle.kube.api import sockets, watch
from coracle.kube.api.codec import decode, warning_headers
from coracle.kube.api.deletions import read_deletion, read_dry_run
from coracle.kube.api.discovery import verbs_of
from coracle.kube.api.errors import success
from coracle.kube.api.lists import Page, read_page, read_revision, read_selection
from coracle.kube.api.patching import patched, read_patch
from coracle.kube.api.served import Target
from coracle.kube.api.tables import read_view
from coracle.kube.kinds.podsecurity import admission as security
from coracle.kube.kinds.warnings import warnings
from coracle.web.messages import Answer, Request, Response, Stream

# Kinds that a PUT creates where there is none, and those whose DELETE answers with the object itself.
_CREATED_BY_PUT = {"Service", "Endpoints", "Event", "Lease.coordination.k8s.io", "LimitRange"}
_ANSWER_DELETED = {
    "Pod", "PodTemplate", "ResourceQuota", "Service", "ServiceAccount", "PersistentVolume", "PersistentVolumeClaim",
    "CSIDriver.storage.k8s.io", "CSINode.storage.k8s.io", "StorageClass.storage.k8s.io",
    "VolumeAttachment.storage.k8s.io", "VolumeAttributesClass.storage.k8s.io",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resources:
    """Handlers over the kinds being served."""

    store: Store
    clock: Clock

    async def handle(self, request: Request, target: Target) -> Answer:
        """The verb for a method on a collection or an object.  Raises Unsupported (405)."""
        match request.method, bool(target.name):
            case "GET" | "HEAD", False:
                return await (self.watch(request, target) if _watches(request) else self.list(request, target))
            case "GET" | "HEAD", True:
                return await (self.watch(request, target) if _watches(request) else self.get(request, target))
            case "POST", False if target.namespace is not None:
                return await self.create(request, target)
            case "PUT", True:
                return await self.update(request, target)
            case "PATCH", True:
                return await self.patch(request, target)
            case "DELETE", True:
                return await self.delete(request, target)
            case "DELETE", False if target.namespace is not None and "deletecollection" in verbs_of(target.kind):
                return await self.delete_collection(request, target)
        raise Unsupported("the server does not allow this method on the requested resource")

    async def get(self, request: Request, target: Target) -> Response:
        """GET .../{plural}/{name} -> 200"""
        view = read_view(request, target.kind, self.clock)
        read_revision(request, self.store)
        entry = self.store.find(target.kind.type, target.key)
        if entry is None:
            raise NotFound(kind=target.kind.type, name=target.name)
        return Response(200, view.one(entry))

    async def list(self, request: Request, target: Target) -> Response:
        """GET .../{plural}?labelSelector=&fieldSelector=&limit=&continue=&resourceVersion= -> 200"""
        view = read_view(request, target.kind, self.clock)
        page = await self._page(request, target)
        return Response(200, view.many(page.entries, page.meta))

    async def watch(self, request: Request, target: Target) -> Answer:
        """GET .../{plural}?watch=true -> 200, a line of JSON per event; or as messages of a WebSocket"""
        view = read_view(request, target.kind, self.clock)
        selection = read_selection(request, target.kind, target.namespace, target.name)
        options = watch.read_options(request)
        chunks = watch.watch(self.store, watch.Lines(selection, view), options)
        return sockets.watch(request, chunks) if request.upgrade == "websocket" else Stream(200, chunks)

    async def create(self, request: Request, target: Target) -> Response:
        """POST .../{plural} -> 201"""
        dry_run = read_dry_run(request, "CreateOptions")
        decoded = decode(request, target.kind)
        obj = _placed(decoded.obj, target)
        if obj.meta.revision:
            raise Malformed("resourceVersion should not be set on objects to be created")
        stored = await target.collection.create(obj, dry_run=dry_run)
        return self._answer(request, target, stored, 201, warning_headers([*decoded.warnings, *self._doubts(stored)]))

    async def update(self, request: Request, target: Target, part: str = "main") -> Response:
        """PUT .../{plural}/{name}[/{part}] -> 200"""
        dry_run = read_dry_run(request, "UpdateOptions")
        decoded = decode(request, target.kind, "UpdateOptions")
        obj = _placed(decoded.obj, target)
        if obj.meta.name != target.name:
            said = f"the name of the object ({obj.meta.name}) does not match the name on the URL ({target.name})"
            raise Malformed(said)
        if part == "finalize":
            obj = obj.with_spec(**{"finalizers": [], **obj.spec})  # who names none lets go: Go's clients leave out `[]`
        created = target.kind.type in _CREATED_BY_PUT and part == "main" and target.collection.find(target.key) is None
        if created and not obj.meta.revision:
            stored = await target.collection.create(obj, dry_run=dry_run)
            return self._answer(request, target, stored, 201, decoded.headers)
        old = target.collection.find(target.key)
        stored = await target.collection.update(obj, part, dry_run=dry_run)
        return self._answer(
            request, target, stored, 200, warning_headers([*decoded.warnings, *self._doubts(stored, old)])
        )

    async def patch(self, request: Request, target: Target, part: str = "main") -> Response:
        """PATCH .../{plural}/{name}[/{part}] -> 200"""
        dry_run = read_dry_run(request, "PatchOptions")
        patch = read_patch(request, target.kind)
        said: list[str] = []
        last: Object | None = None

        def change(old: Object) -> Object:
            nonlocal last
            last = old
            found = patched(old, target.kind, patch)
            said[:] = found.warnings
            return found.obj

        stored = await target.collection.change(target.key, change, part, dry_run=dry_run)
        return self._answer(request, target, stored, 200, warning_headers([*said, *self._doubts(stored, last)]))

    async def delete(self, request: Request, target: Target) -> Response:
        """DELETE .../{plural}/{name} -> 200, the object while it goes, or Success"""
        how, dry_run, said = read_deletion(request, target.kind)
        last = await target.collection.delete(target.key, how, dry_run=dry_run)
        if last is None:
            raise NotFound(kind=target.kind.type, name=target.name)
        present = target.collection.find(target.key)
        goes_on = present is not None and present.meta.uid == last.meta.uid
        if goes_on or target.kind.type in _ANSWER_DELETED:
            return self._answer(request, target, last, 200, warning_headers(said))
        kind = target.kind
        group = {"group": kind.group} if kind.group else {}
        return success({"name": target.name, **group, "kind": kind.plural, "uid": last.meta.uid})

    async def delete_collection(self, request: Request, target: Target) -> Response:
        """DELETE .../{plural}?labelSelector= -> 200, the list of what was deleted"""
        how, dry_run, said = read_deletion(request, target.kind)
        page = await self._page(request, target)
        for entry in page.entries:
            await target.collection.delete(entry.key, how, missing_ok=True, dry_run=dry_run)
        view = read_view(request, target.kind, self.clock)
        listed = view.many(page.entries, {"resourceVersion": str(self.store.revision)})
        return Response(200, listed, warning_headers(said))

    async def _page(self, request: Request, target: Target) -> Page:
        selection = read_selection(request, target.kind, target.namespace)
        return await read_page(request, self.store, selection, self.clock.now_s())

    def _doubts(self, stored: Object, old: Object | None = None) -> Sequence[str]:
        return [*security.warnings(stored, old, self.store), *warnings(stored, old)]

    def _answer(self, request: Request, target: Target, obj: Object, code: int, headers: Mapping[str, str]) -> Response:
        view = read_view(request, target.kind, self.clock)
        return Response(code, view.one(to_entry(obj)), headers)


def _watches(request: Request) -> bool:
    return request.query.get("watch").lower() in ("true", "1")


def _placed(obj: Object, target: Target) -> Object:
    """`obj` in the namespace of the request.  Raises Malformed where it names another."""
    if not target.kind.namespaced:
        return obj
    if obj.meta.namespace not in ("", target.namespace):
        raise Malformed("the namespace of the provided object does not match the namespace sent on the request")
    return obj.with_meta(namespace=target.namespace)
