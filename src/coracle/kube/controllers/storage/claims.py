"""Bind claims to volumes: to what was kept for them, to what is free, or to what a provisioner makes for them.

Decide: plans.plan(), pure.  Act: ClaimBinder.reconcile().  A volume and a claim are bound when each names the other;
the volume is written first, so that no two claims can have one.

Source: Kubernetes documentation, "Persistent Volumes"; the words of the persistent volume binder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection
from coracle.core.errors import Conflict, NotFound
from coracle.core.informer import Index, Informer
from coracle.core.loop import itself
from coracle.core.object import Key, Object
from coracle.core.sameness import change_same
from coracle.core.store import Event
from coracle.kube.controllers.storage.phases import in_phase
from coracle.kube.controllers.storage.plans import Around, Plan, plan
from coracle.kube.kinds import node as nodes
from coracle.kube.kinds import persistentvolume as volumes
from coracle.kube.kinds import persistentvolumeclaim as claims
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import storageclass as classes
from coracle.kube.kinds.nodeterms import Place
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.storagematching import for_whom, is_for
from coracle.kube.kinds.storagerules import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    OLD_PROVISIONER,
    PROVISIONER,
    SELECTED_NODE,
    claims_of,
    class_of,
    default_class,
)

CLAIM, VOLUME, CLASS, NODE, POD = (module.KIND.type for module in (claims, volumes, classes, nodes, pods))
PENDING = "pending"


def _unbound(claim: Object) -> Iterable[str]:
    return () if claim.status.get("phase") in ("Bound", "Lost") else (PENDING,)


def _of_volume(claim: Object) -> Iterable[str]:
    return (claim.spec["volumeName"],) if claim.spec.get("volumeName") else ()


def _homeless(pod: Object) -> Iterable[str]:
    """The claims of a pod that has no node yet."""
    if pod.spec.get("nodeName") or pods.ended(pod):
        return ()
    return [f"{pod.meta.namespace}/{name}" for name in claims_of(pod).values()]


def _of_pod(event: Event) -> Iterable[Key]:
    if event.type == "DELETED" or b'"nodeName"' in event.entry.raw or b'"volumes"' not in event.entry.raw:
        return ()
    return [Key(event.entry.key.namespace, name) for name in claims_of(event.entry.object()).values()]


INDEXES: Mapping[str, Mapping[str, Index]] = {
    POD: {"homeless-claims": _homeless},
    CLAIM: {"unbound": _unbound, "volume": _of_volume},
    VOLUME: {"for": for_whom},
}


class ClaimBinder:
    """The loop over claims.  One worker: two claims must not choose at once."""

    name = "persistentvolume-binder"

    def __init__(
        self,
        caches: Mapping[str, Informer],
        claims: Collection,
        volumes: Collection,
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._claims, self._volumes = caches[CLAIM], caches[VOLUME]
        self._classes, self._nodes, self._pods = caches[CLASS], caches[NODE], caches[POD]
        self._claim_writer, self._volume_writer, self._recorder, self._clock = claims, volumes, recorder, clock
        self.watches = {CLAIM: itself, VOLUME: self._concerned, CLASS: self._all_waiting, POD: _of_pod}

    async def reconcile(self, key: Key) -> None:
        claim = self._claims.find(key)
        if claim is None or (claim.meta.deleting and claim.status.get("phase") != "Bound"):
            return
        todo = plan(claim, self._around(claim))
        if todo.bind is not None:
            await self._bind(claim, todo.bind)
            return
        if todo.say is not None:
            self._recorder.emit(claim, todo.say.type, todo.say.reason, todo.say.message)
        if todo.cls or todo.provisioner:
            await self._change(claim, lambda now: _asking(now, todo))
        await self._change(claim, lambda now: now.with_status(phase=todo.phase), "status")

    def _around(self, claim: Object) -> Around:
        name, node = claim.spec.get("volumeName"), claim.meta.annotations.get(SELECTED_NODE)
        wanted = class_of(claim)
        texts = (str(claim.key), f"/{wanted}")
        return Around(
            volume=self._volumes.find(Key("", name)) if name else None,
            candidates=() if name else tuple(one for text in texts for one in self._volumes.by("for", text)),
            cls=self._classes.find(Key("", wanted)) if wanted else None,
            node=self._place(node) if node else None,
            fallback=default_class(self._classes.list()) if not wanted else None,
            pods=tuple(sorted(one.name for one in self._pods.keys_by("homeless-claims", str(claim.key)))),
        )

    def _place(self, name: str) -> Place | None:
        node = self._nodes.find(Key("", name))
        return Place(name, node.meta.labels) if node is not None else None

    # -- who is concerned ----------------------------------------------------------------------------------------

    def _concerned(self, event: Event) -> Iterable[Key]:
        """Those that have the volume, for whom it is kept, or who may take it."""
        volume = event.entry.object()
        ref = volumes.claim_of(volume)
        has = self._claims.keys_by("volume", volume.meta.name)
        kept = (Key(str(ref.get("namespace")), str(ref.get("name"))),) if ref else self._all_waiting(event)
        return {*has, *kept}

    def _all_waiting(self, _event: Event) -> Iterable[Key]:
        return self._claims.keys_by("unbound", PENDING)

    # -- acting --------------------------------------------------------------------------------------------------

    async def _bind(self, claim: Object, volume: Object) -> None:
        try:
            volume = await self._volume_writer.change(volume.key, lambda now: _given(now, claim))
            moment = rfc3339(self._clock.now_s())
            await self._volume_writer.change(volume.key, lambda now: in_phase(now, "Bound", moment), "status")
        except NotFound:
            return  # gone meanwhile; its event brings the claim back
        await self._change(claim, lambda now: _taken(now, volume))
        await self._change(claim, lambda now: _bound(now, volume), "status")

    async def _change(self, claim: Object, how: Callable[[Object], Object], part: str = "main") -> None:
        await change_same(self._claim_writer, claim, how, part)


def _given(volume: Object, claim: Object) -> Object:
    """The volume, bound to the claim.  Raises Conflict where another has it."""
    ref = volumes.claim_of(volume)
    if ref and not is_for(volume, claim):
        raise Conflict(f"volume {volume.meta.name} is for another claim", kind=VOLUME, name=volume.meta.name)
    if ref.get("uid") == claim.meta.uid:
        return volume
    told = {} if ref else {BOUND_BY_CONTROLLER: "yes"}
    now = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": claim.meta.name,
        "namespace": claim.meta.namespace,
        "uid": claim.meta.uid,
    }
    return volume.with_spec(claimRef={**ref, **now}).with_meta(annotations={**volume.meta.annotations, **told})


def _taken(claim: Object, volume: Object) -> Object:
    ours = {} if claim.spec.get("volumeName") else {BOUND_BY_CONTROLLER: "yes"}
    annotations = {**claim.meta.annotations, **ours, BIND_COMPLETED: "yes"}
    return claim.with_spec(volumeName=volume.meta.name).with_meta(annotations=annotations)


def _bound(claim: Object, volume: Object) -> Object:
    """How much it has is said once; later on it is for those who let it grow."""
    capacity = claim.status.get("capacity") or volume.spec.get("capacity")
    return claim.with_status(phase="Bound", accessModes=volume.spec.get("accessModes"), capacity=capacity)


def _asking(claim: Object, todo: Plan) -> Object:
    if todo.cls:
        return claim.with_spec(storageClassName=todo.cls)
    told = dict.fromkeys((OLD_PROVISIONER, PROVISIONER), todo.provisioner)
    return claim.with_meta(annotations={**claim.meta.annotations, **told})
