"""The next step for a claim: pure.

    bound once        it keeps its volume, or has lost it
    names a volume    that one, if it fits and is free
    else              what was kept for it, or is free; or a provisioner makes one, at once or for its first pod

Source: Kubernetes documentation, "Persistent Volumes"; the words of the persistent volume binder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coracle.core.object import Object
from coracle.kube.kinds import persistentvolume as volumes
from coracle.kube.kinds.nodeterms import Place
from coracle.kube.kinds.storagematching import best, is_for, mismatch
from coracle.kube.kinds.storagerules import BIND_COMPLETED, NO_PROVISIONER, SELECTED_NODE, class_of

_LOST = "Data on the volume is lost!"
_NOTHING_THERE = "no persistent volumes available for this claim and no storage class is set"
_WAITS = "waiting for first consumer to be created before binding"


@dataclass(frozen=True, slots=True)
class Around:
    """What a claim is decided by.

    volume      that it names, if it does and the volume is there
    candidates  that are kept for it, or free and of its class
    cls         its class, if there is such
    node        that the scheduler has chosen for its pod
    fallback    the default class, for a claim that says nothing of classes
    pods        that would use it and have no node yet, by name
    """

    volume: Object | None = None
    candidates: tuple[Object, ...] = ()
    cls: Object | None = None
    node: Place | None = None
    fallback: Object | None = None
    pods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """An event."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`bind`: to this volume.  `phase`: write it.  `provisioner`: ask it for a volume.  `cls`: take this class."""

    bind: Object | None = None
    phase: str = "Pending"
    provisioner: str = ""
    cls: str = ""
    say: Said | None = None


def plan(claim: Object, around: Around) -> Plan:
    """The next step for a claim; raises nothing."""
    if BIND_COMPLETED in claim.meta.annotations:
        return _once_bound(claim, around.volume)
    if claim.spec.get("volumeName"):
        return _named(claim, around.volume)
    if claim.spec.get("storageClassName") is None and not class_of(claim) and around.fallback is not None:
        return Plan(cls=around.fallback.meta.name)
    waits = around.cls is not None and around.cls.body.get("volumeBindingMode") == "WaitForFirstConsumer"
    chosen = SELECTED_NODE in claim.meta.annotations
    kept = [volume for volume in around.candidates if volumes.claim_of(volume)]
    found = best(claim, kept if waits and not chosen else around.candidates, around.node)
    if found is not None:
        return Plan(bind=found)
    if waits and not chosen:
        return Plan(say=_waiting(around.pods))
    if not class_of(claim):
        return Plan(say=Said("Normal", "FailedBinding", _NOTHING_THERE))
    return _from_class(class_of(claim), around.cls)


def _waiting(pods: Sequence[str]) -> Said:
    if not pods:
        return Said("Normal", "WaitForFirstConsumer", _WAITS)
    named = f"pod {pods[0]}" if len(pods) == 1 else f"pods {','.join(pods)}"
    return Said("Normal", "WaitForPodScheduled", f"waiting for {named} to be scheduled")


def _from_class(name: str, cls: Object | None) -> Plan:
    if cls is None:
        said = f'storageclass.storage.k8s.io "{name}" not found'
        return Plan(say=Said("Warning", "ProvisioningFailed", said))
    provisioner = str(cls.body.get("provisioner") or "")
    if provisioner == NO_PROVISIONER:
        return Plan(say=Said("Normal", "FailedBinding", f"no volume plugin matched name: {NO_PROVISIONER}"))
    said = (
        f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered."
    )
    return Plan(provisioner=provisioner, say=Said("Normal", "ExternalProvisioning", said))


def _named(claim: Object, volume: Object | None) -> Plan:
    """The claim asks for one volume by name."""
    if volume is None:
        return Plan()
    if not volumes.claim_of(volume):
        wrong = mismatch(volume, claim)
        said = f'Cannot bind to requested volume "{volume.meta.name}": {wrong}'
        return Plan(say=Said("Warning", "VolumeMismatch", said)) if wrong else Plan(bind=volume)
    if is_for(volume, claim):
        return Plan(bind=volume)
    return Plan(
        say=Said("Warning", "FailedBinding", f'volume "{volume.meta.name}" already bound to a different claim.')
    )


def _once_bound(claim: Object, volume: Object | None) -> Plan:
    if not claim.spec.get("volumeName"):
        said = f"Bound claim has lost reference to PersistentVolume. {_LOST}"
        return Plan(phase="Lost", say=Said("Warning", "ClaimLost", said))
    if volume is None:
        said = f"Bound claim has lost its PersistentVolume. {_LOST}"
        return Plan(phase="Lost", say=Said("Warning", "ClaimLost", said))
    if not volumes.claim_of(volume) or is_for(volume, claim):
        return Plan(bind=volume)
    said = "Two claims are bound to the same volume, this one is bound incorrectly"
    return Plan(phase="Lost", say=Said("Warning", "ClaimMisbound", said))
