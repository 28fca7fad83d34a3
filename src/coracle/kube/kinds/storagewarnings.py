"""What is accepted of volumes, claims and classes and has another way by now: told to the client, which goes on.  Pure.

Source: Kubernetes API, "Warnings"; the messages of the storage kinds' warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from coracle.core.object import Object
from coracle.kube.kinds import persistentvolume
from coracle.kube.kinds.podspec import outdated
from coracle.kube.kinds.podspec.warnings import fractions
from coracle.kube.kinds.storagerules import OLD_CLASS

_OLD_CLASS = 'deprecated since v1.8; use "storageClassName" attribute instead'
_OLD_OPTIONS = 'deprecated since v1.31; use "mountOptions" attribute instead'
_RECYCLE = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"


def of_storage(obj: Object) -> Iterator[str]:
    """Nothing of other kinds."""
    found = _BY_TYPE.get(obj.type)
    return found(obj) if found is not None else iter(())


def _of_volume(volume: Object) -> Iterator[str]:
    yield from _annotated(volume, OLD_CLASS, _OLD_CLASS)
    yield from _annotated(volume, _MOUNT_OPTIONS, _OLD_OPTIONS)
    if volume.spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield f"spec.persistentVolumeReclaimPolicy: {_RECYCLE}"
    needed = (volume.spec.get("nodeAffinity") or {}).get("required") or {}
    for index, term in enumerate(needed.get("nodeSelectorTerms") or ()):
        yield from outdated.of_term(f"spec.nodeAffinity.required.nodeSelectorTerms[{index}]", term)
    for name in persistentvolume.sources(volume.spec):
        if name in outdated.VOLUMES:
            yield f"spec.{name}: {outdated.VOLUMES[name]}"


def _of_claim(claim: Object) -> Iterator[str]:
    yield from _annotated(claim, OLD_CLASS, _OLD_CLASS)
    for which in ("requests", "limits"):
        amounts = (claim.spec.get("resources") or {}).get(which) or {}
        yield from fractions(f"spec.resources.{which}", amounts, ("storage",))


def _annotated(obj: Object, name: str, said: str) -> Iterator[str]:
    if name in obj.meta.annotations:
        yield f"metadata.annotations[{name}]: {said}"


def _of_class(cls: Object) -> Iterator[str]:
    for index, term in enumerate(cls.body.get("allowedTopologies") or ()):
        for number, need in enumerate(term.get("matchLabelExpressions") or ()):
            at = f"allowedTopologies[{index}].matchLabelExpressions[{number}].key"
            yield from outdated.of_key(at, need.get("key"))


def _of_capacity(capacity: Object) -> Iterator[str]:
    yield from outdated.of_term("nodeTopology", capacity.body.get("nodeTopology") or {})


_BY_TYPE: Mapping[str, Callable[[Object], Iterator[str]]] = {
    "PersistentVolume": _of_volume,
    "PersistentVolumeClaim": _of_claim,
    "StorageClass.storage.k8s.io": _of_class,
    "CSIStorageCapacity.storage.k8s.io": _of_capacity,
}
