"""What a new volume is to be made from, and why it cannot be.  Pure.

Source: Kubernetes documentation, "CSI Volume Cloning", "Volume Populators"; the external provisioner's words.
"""

from __future__ import annotations

from coracle.core.object import Object
from coracle.kube.controllers.storage.contents import is_block, is_ours
from coracle.kube.kinds import persistentvolumeclaim as claims
from coracle.kube.kinds.claimsources import CLAIM, origin


class NoSource(Exception):
    """The volume cannot be made from what the claim names (yet)."""


def source_name(claim: Object) -> str:
    """The claim that a claim is to be a copy of; "": of none."""
    group, kind, name = origin(claim.spec)
    return name if (group, kind) == CLAIM else ""


def unknown_kind(claim: Object) -> bool:
    """Whether the claim's data is to come from what nobody here knows."""
    group, kind, _ = origin(claim.spec)
    return bool(kind) and (group, kind) != CLAIM


def original(claim: Object, source: Object | None, volume: Object | None) -> Object:
    """The volume to copy: that of `source`, the claim that is named.  Raises NoSource."""
    name = source_name(claim)
    about = f"error getting handle for DataSource Type PersistentVolumeClaim by Name {name}: "
    if source is None:
        where = claim.meta.namespace
        missing = f'persistentvolumeclaims "{name}" not found'
        raise NoSource(f'{about}error getting PVC {name} (namespace "{where}") from api server: {missing}')
    if source.meta.deleting:
        raise NoSource(f"{about}the PVC {name} is being deleted")
    if not claims.is_bound(source) or volume is None:
        phase = source.status.get("phase")
        raise NoSource(f"{about}the PVC {name} is not in Bound state (current phase: {phase})")
    if not is_ours(volume):
        raise NoSource(f"{about}the PV {volume.meta.name} was not made by this provisioner")
    if is_block(source) != is_block(claim):
        raise NoSource(f"{about}the source PVC and destination PVCs must have the same volume mode for cloning")
    asked, there = claims.requested(claim), claims.requested(source)
    if asked < there:
        said = "new PVC request must be greater than or equal in size to the specified PVC data source"
        raise NoSource(f"{about}{said}, requested {asked} but source is {there}")
    return volume
