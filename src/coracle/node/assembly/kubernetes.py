"""What Kubernetes' parts share: the kubelet's settings, the kinds' writers, who speaks in Events, meter, issuer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coracle.core.collection import Collection
from coracle.core.kind import Kind
from coracle.kube.controllers import disruption, garbage, mirroring, nodelife, tainted, workloads
from coracle.kube.controllers.autoscaling import loop as autoscaling
from coracle.kube.controllers.storage import parts as storage
from coracle.kube.kinds import guards
from coracle.kube.kinds.accounttokens import Issuer
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.configuration import Settings
from coracle.kube.kubelet.machine import read_memory
from coracle.kube.kubelet.metering import NODE, Metering
from coracle.kube.kubelet.records import Records
from coracle.kube.proxy import parts as proxying
from coracle.linux.counters import machine_busy_ns
from coracle.node.assembly.engine import DOMAIN
from coracle.node.assembly.foundation import Foundation
from coracle.node.assembly.host import node_name
from coracle.node.kubelet import read_kubelet
from coracle.node.signing import KeySigner

ISSUER = f"https://kubernetes.default.svc.{DOMAIN}"
SCHEDULER, KUBELET = "default-scheduler", "kubelet"
_SPEAKERS = (
    *workloads.SPEAKERS,
    storage.SPEAKER,
    *proxying.SPEAKERS,
    mirroring.SPEAKER,
    autoscaling.SPEAKER,
    disruption.SPEAKER,
    garbage.SPEAKER,
    nodelife.SPEAKER,
    tainted.SPEAKER,
    SCHEDULER,
    KUBELET,
)


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """`settings`: the kubelet's.  `writers`: by type.  `recorders`: by the name that speaks in their Events."""

    settings: Settings
    writers: Mapping[str, Collection]
    recorders: Mapping[str, EventRecorder]
    records: Records
    meter: Metering
    issuer: Issuer


def make_kubernetes(base: Foundation, kinds: Iterable[Kind]) -> Kubernetes:
    writers = {kind.type: Collection(kind, base.store, base.clock, guards.for_kind(kind)) for kind in kinds}
    events = writers["Event"]
    records = Records(base.caches["Sandbox.engine"], base.caches["Container.engine"])
    key = KeySigner(base.settings.root / "pki" / "sa.key")
    return Kubernetes(
        read_kubelet(base.settings.root),
        writers,
        {name: EventRecorder(events, base.clock, name, node_name()) for name in _SPEAKERS},
        records,
        _meter(base, records),
        Issuer(ISSUER, key, base.store, base.clock),
    )


def _meter(base: Foundation, records: Records) -> Metering:
    def read(id: str) -> tuple[int, int]:
        if id == NODE:
            memory = read_memory()
            return machine_busy_ns(), memory.capacity - memory.available
        usage = base.engine.containers.usage(id)
        return usage.cpu_ns, usage.memory_bytes

    return Metering(records, read, base.clock)
