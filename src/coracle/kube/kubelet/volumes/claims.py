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
from coracle.kube.kinds import node as nodes
from coracle.kube.kinds import persistentvolume, persistentvolumeclaim
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.nodeterms import Place as NodePlace
from coracle.kube.kinds.storagematching import node_fits
from coracle.kube.kinds.storagerules import BIND_OPTIONS, PROVISIONED_BY, claims_of
from coracle.kube.kubelet.records import containers_of, init_containers_of

_CLAIM, _VOLUME, _NODE = persistentvolumeclaim.KIND.type, persistentvolume.KIND.type, nodes.KIND.type


class ClaimUnusable(CloudError):
    """The claim has no volume for this pod (yet)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path of the host, what must be there, and whether the pod's group may be given it.

    `block`: containers get the device, not files; `ours`, too: a file of ours that is shown as one.  `file_system`: of
    a local volume, the kind that is made where the path is a device; None: of no local volume.  `options`: of mounting.
    """

    path: str
    type: str = ""
    ours: bool = False
    block: bool = False
    file_system: str | None = None
    options: tuple[str, ...] = ()


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
    if _taken(pod, claim, reader):
        raise ClaimUnusable("volume uses the ReadWriteOncePod access mode and is already in use by another pod")
    found = reader.find(_VOLUME, Key("", claim.spec.get("volumeName") or ""))
    if not persistentvolumeclaim.is_bound(claim) or found is None:
        raise ClaimUnusable(_unmounted(volume, f"{about}: PVC is not bound"))
    persistent = found.object()
    node = reader.find(_NODE, Key("", pod.spec.get("nodeName") or ""))
    if node is not None and not node_fits(persistent, NodePlace(node.key.name, node.labels)):
        said = (
            f'MountVolume.NodeAffinity check failed for volume "{persistent.meta.name}" : no matching NodeSelectorTerms'
        )
        raise ClaimUnusable(said)
    wrong = _wrong_mode(pod, volume["name"], persistent)
    if wrong:
        raise ClaimUnusable(_unmounted(volume, wrong))
    return _place(volume, persistent)


def _taken(pod: Object, claim: Object, reader: Reader) -> bool:
    """Whether another pod has come before to a claim that is for one pod only."""
    if "ReadWriteOncePod" not in (claim.spec.get("accessModes") or ()):
        return False
    others = (entry.object() for entry in reader.entries(pods.KIND.type, pod.meta.namespace))
    users = [
        other
        for other in others
        if claim.meta.name in claims_of(other).values() and other.spec.get("nodeName") and not pods.ended(other)
    ]
    return any(_order(other) < _order(pod) for other in users)


def _order(pod: Object) -> tuple[bool, str, str]:
    """Whoever has started comes first; of those that have not, the oldest."""
    return not pod.status.get("podIP"), pod.meta.created, pod.meta.uid


def _wrong_mode(pod: Object, name: str, persistent: Object) -> str:
    """A volume is mounted, or it is a device; containers must ask for what it is."""
    block = persistent.spec.get("volumeMode") == "Block"
    field = "volumeMounts" if block else "volumeDevices"
    everyone = (*containers_of(pod), *init_containers_of(pod))
    if not any(asked["name"] == name for one in everyone for asked in one.get(field) or ()):
        return ""
    mode = "Block" if block else "Filesystem"
    return f"volume {name} has volumeMode {mode}, but is specified in {field}"


def _unmounted(volume: Mapping[str, Any], why: str) -> str:
    name = volume["name"]
    return (
        f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], "
        f"failed to process volumes=[{name}]: {why}"
    )


def _place(volume: Mapping[str, Any], persistent: Object) -> Place:
    spec, block = persistent.spec, persistent.spec.get("volumeMode") == "Block"
    ours, options = PROVISIONED_BY in persistent.meta.annotations, tuple(spec.get("mountOptions") or ())
    mounted = ours or spec.get("local")
    wrong = [one for one in options if one not in BIND_OPTIONS] if mounted else options
    if wrong:
        said = "unknown mount options" if mounted else "Mount options are not supported for this volume type"
        raise ClaimUnusable(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {said}: {",".join(wrong)}')
    if spec.get("hostPath") and (ours or not block):
        return Place(spec["hostPath"]["path"], spec["hostPath"].get("type") or "", ours, block, options=options)
    if spec.get("local"):
        given = spec["local"]
        if block:
            return Place(given["path"], "BlockDevice", ours=True, block=True)
        return Place(given["path"], ours=True, file_system=given.get("fsType") or "", options=options)
    sort = next(iter(persistentvolume.sources(spec)), "none")
    raise ClaimUnusable(nobody_mounts(volume["name"], sort, spec[sort], block=block))


def nobody_mounts(name: str, sort: str, source: Mapping[str, Any], *, block: bool = False) -> str:
    """What is said of a volume that no plugin of this kubelet can mount."""
    deed = "MapVolume.SetUpDevice" if block else "MountVolume.SetUp"
    if sort == "csi":
        why = f"driver name {source.get('driver')} not found in the list of registered CSI drivers"
        return f'{deed} failed for volume "{name}" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: {why}'
    kind = "block volume" if block else "volume"
    return f'{deed} failed for volume "{name}" : no {kind} plugin matched: {sort}'
