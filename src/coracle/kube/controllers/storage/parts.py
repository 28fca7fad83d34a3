"""The loops of storage, and what they need of the caches."""

from __future__ import annotations

from collections.abc import Mapping

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.informer import Index, Informer
from coracle.core.loop import Reconciler
from coracle.kube.controllers.storage import claims, csinodes, protection, provisioning
from coracle.kube.controllers.storage.contents import Directories
from coracle.kube.controllers.storage.ephemeral import EphemeralClaims
from coracle.kube.controllers.storage.growing import Grower
from coracle.kube.controllers.storage.provisioning import Provisioner
from coracle.kube.controllers.storage.reclaiming import Reclaimer
from coracle.kube.controllers.storage.volumes import VolumeKeeper
from coracle.kube.kinds.recorder import EventRecorder

CLAIM, VOLUME = claims.CLAIM, claims.VOLUME
SPEAKER = "persistentvolume-controller"  # as Events name it
INDEXES: Mapping[str, Mapping[str, Index]] = {
    **claims.INDEXES,
    **protection.INDEXES,
    CLAIM: {**claims.INDEXES[CLAIM], **provisioning.INDEXES[CLAIM]},
    claims.POD: {**claims.INDEXES[claims.POD], **protection.INDEXES[claims.POD]},
}


def loops(
    caches: Mapping[str, Informer],
    writers: Mapping[str, Collection],
    directories: Directories,
    recorder: EventRecorder,
    clock: Clock,
) -> list[Reconciler]:
    wanted, made = writers[claims.CLAIM], writers[claims.VOLUME]
    return [
        claims.ClaimBinder(caches, wanted, made, recorder, clock),
        VolumeKeeper(caches, made, recorder, clock),
        Provisioner(caches, made, directories, recorder),
        Grower(caches, wanted, made, directories, recorder=recorder, clock=clock),
        Reclaimer(caches, made, directories, recorder),
        protection.ClaimProtection(caches, wanted),
        protection.VolumeProtection(caches, made),
        EphemeralClaims(caches, wanted, recorder),
        csinodes.CsiNodes(caches, writers[csinodes.CSI_NODE]),
    ]
