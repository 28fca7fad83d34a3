"""Make the claims that pods bring along: one for each volume with a template, owned by the pod and gone with it.

Source: Kubernetes documentation, "Ephemeral Volumes: Generic ephemeral volumes".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists, CloudError
from coracle.core.informer import Informer
from coracle.core.object import Key, Meta, Object
from coracle.core.store import Event
from coracle.kube.controllers.storage.claims import CLAIM
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.storagerules import claims_of

POD = pods.KIND.type


def _with_templates(event: Event) -> Iterable[Key]:
    return (event.entry.key,) if event.type == "ADDED" and b'"volumeClaimTemplate"' in event.entry.raw else ()


def _owner(event: Event) -> Iterable[Key]:
    """A claim that went leaves its pod without."""
    if event.type != "DELETED" or not event.entry.owner_uids:
        return ()
    return [Key(event.entry.key.namespace, ref.name) for ref in event.entry.object().meta.owners if ref.kind == POD]


def wanted(pod: Object) -> list[Object]:
    """The claims of a pod's own volumes; pure."""
    names = claims_of(pod)
    return [
        _claim(pod, names[volume["name"]], volume["ephemeral"]["volumeClaimTemplate"])
        for volume in pod.spec.get("volumes") or ()
        if volume.get("ephemeral")
    ]


def _claim(pod: Object, name: str, template: Mapping[str, Any]) -> Object:
    said = template.get("metadata") or {}
    meta = Meta(
        name=name,
        namespace=pod.meta.namespace,
        labels=said.get("labels") or {},
        annotations=said.get("annotations") or {},
        owners=(pod.as_owner(),),
    )
    return Object("PersistentVolumeClaim", meta, {"spec": template.get("spec") or {}})


class EphemeralClaims:
    name = "ephemeral-volumes"
    watches = {POD: _with_templates, CLAIM: _owner}

    def __init__(self, caches: Mapping[str, Informer], writer: Collection, recorder: EventRecorder) -> None:
        self._pods, self._claims = caches[POD], caches[CLAIM]
        self._writer, self._recorder = writer, recorder

    async def reconcile(self, key: Key) -> None:
        pod = self._pods.find(key)
        if pod is None or pod.meta.deleting or pods.ended(pod):
            return
        for claim in wanted(pod):
            present = self._claims.find(claim.key)
            if present is None:
                await self._create(pod, claim)
            elif not any(owner.uid == pod.meta.uid for owner in present.meta.owners):
                said = f"PVC {claim.key} was not created for pod {pod.key} (pod is not owner)"
                self._recorder.emit(pod, "Warning", "EphemeralVolumeCreate", said)

    async def _create(self, pod: Object, claim: Object) -> None:
        try:
            await self._writer.create(claim)
        except AlreadyExists:
            return
        except CloudError as error:
            said = f"ephemeral volume claim {claim.meta.name}: {error}"
            self._recorder.emit(pod, "Warning", "EphemeralVolumeCreateFailed", said)
            raise
