"""Which volume answers a claim.  Pure.

Source: Kubernetes documentation, "Persistent Volumes", "Binding"; the persistent volume binder's order.
"""

from __future__ import annotations

from collections.abc import Iterable

from coracle.core.object import Object
from coracle.core.quantity import parse
from coracle.core.selectors import EVERYTHING, from_label_selector
from coracle.kube.kinds.nodeterms import Place, any_fits
from coracle.kube.kinds.persistentvolume import claim_of
from coracle.kube.kinds.persistentvolumeclaim import requested
from coracle.kube.kinds.storagerules import capacity, class_of


def for_whom(volume: Object) -> Iterable[str]:
    """An index: `ns/name` of the claim that a volume is for, or `/class` for anybody who asks for that class."""
    ref = claim_of(volume)
    return (f"{ref.get('namespace')}/{ref.get('name')}" if ref else f"/{class_of(volume)}",)


def is_for(volume: Object, claim: Object) -> bool:
    """Whether the volume is bound to this claim, or kept for one of its name."""
    ref = claim_of(volume)
    named = (ref.get("namespace"), ref.get("name")) == (claim.meta.namespace, claim.meta.name)
    return named and ref.get("uid") in (None, "", claim.meta.uid)


def mismatch(volume: Object, claim: Object) -> str:
    """Why a volume that the claim names is none for it, in Kubernetes' words; "": it is."""
    if requested(claim) > parse(capacity(volume)):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if (volume.spec.get("volumeAttributesClassName") or "") != (claim.spec.get("volumeAttributesClassName") or ""):
        return "volumeAttributesClassName does not match"
    if volume.spec.get("volumeMode") != claim.spec.get("volumeMode"):
        return "incompatible volumeMode"
    wanted = set(claim.spec.get("accessModes") or ())
    return "" if wanted <= set(volume.spec.get("accessModes") or ()) else "incompatible accessMode"


def best(claim: Object, volumes: Iterable[Object], node: Place | None = None) -> Object | None:
    """The volume that was kept for the claim, or else the smallest that is free and large enough.

    `node`: where the pod is to run; None: anywhere.
    """
    selector = from_label_selector(claim.spec.get("selector")) if claim.spec.get("selector") else EVERYTHING
    fitting = []
    for volume in volumes:
        if volume.meta.deleting or mismatch(volume, claim):
            continue
        if claim_of(volume) and is_for(volume, claim):
            return volume
        free = not claim_of(volume) and volume.status.get("phase") == "Available"
        if free and selector.accepts(volume.meta.labels) and node_fits(volume, node):
            fitting.append(volume)
    return min(fitting, key=lambda volume: (parse(capacity(volume)), volume.meta.name), default=None)


def node_fits(volume: Object, node: Place | None) -> bool:
    """Whether the volume can be had on that node."""
    needed = (volume.spec.get("nodeAffinity") or {}).get("required")
    if needed is None or node is None:
        return True
    return any_fits(needed.get("nodeSelectorTerms") or (), node)
