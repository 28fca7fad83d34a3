"""Where the volume of a claim is on this machine.  Pure.

Source: Kubernetes documentation, "Persistent Volumes"; the kubelet's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.errors import CloudError
from coracle.core.kind import Reader
from coracle.core.object import Key, Object
from coracle.kube.kinds import persistentvolume, persistentvolumeclaim
from coracle.kube.kinds.storagerules import PROVISIONED_BY, claims_of

_CLAIM, _VOLUME = persistentvolumeclaim.KIND.type, persistentvolume.KIND.type


class ClaimUnusable(CloudError):
    """The claim has no volume for this pod (yet)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path of the host, what must be there, and whether the pod's group may be given it."""

    path: str
    type: str = ""
    ours: bool = False


def locate(pod: Object, volume: Mapping[str, Any], reader: Reader) -> Place:
    """Where to find what `volume`, a claim, is bound to.  Raises ClaimUnusable."""
    name = claims_of(pod)[volume["name"]]
    about = f"error processing PVC {pod.meta.namespace}/{name}"
    entry = reader.find(_CLAIM, Key(pod.meta.namespace, name))
    if entry is None:
        missing = f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
        raise ClaimUnusable(_unmounted(volume, f"{about}: {missing}"))
    claim = entry.object()
    if volume.get("ephemeral") and not any(owner.uid == pod.meta.uid for owner in claim.meta.owners):
        said = f"PVC {claim.key} was not created for pod {pod.key} (pod is not owner)"
        raise ClaimUnusable(_unmounted(volume, said))
    if claim.meta.deleting:
        raise ClaimUnusable(_unmounted(volume, f"{about}: PVC is being deleted"))
    found = reader.find(_VOLUME, Key("", claim.spec.get("volumeName") or ""))
    if not persistentvolumeclaim.is_bound(claim) or found is None:
        raise ClaimUnusable(_unmounted(volume, f"{about}: PVC is not bound"))
    return _place(volume, found.object())


def _unmounted(volume: Mapping[str, Any], why: str) -> str:
    name = volume["name"]
    return (
        f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], "
        f"failed to process volumes=[{name}]: {why}"
    )


def _place(volume: Mapping[str, Any], persistent: Object) -> Place:
    spec = persistent.spec
    if spec.get("volumeMode") == "Block":
        said = f'volume "{persistent.meta.name}" has volumeMode Block, which is not supported'
        raise ClaimUnusable(_unmounted(volume, said))
    if spec.get("hostPath"):
        ours = PROVISIONED_BY in persistent.meta.annotations
        return Place(spec["hostPath"]["path"], spec["hostPath"].get("type") or "", ours)
    if spec.get("local"):
        return Place(spec["local"]["path"], "Directory", ours=True)
    sort = next(iter(persistentvolume.sources(spec)), "none")
    raise ClaimUnusable(f'MountVolume.SetUp failed for volume "{volume["name"]}" : no volume plugin matched: {sort}')
