"""Kubernetes' control plane but for its door: what there is from the start, and every loop."""

from __future__ import annotations

from coracle.core.loop import Loop, Reconciler
from coracle.core.tasks import Part
from coracle.engine.persistent import PersistentDirectories
from coracle.kube.controllers import (
    clusterips,
    disruption,
    endedpods,
    garbage,
    mirroring,
    namespaces,
    nodelife,
    podgc,
    quotas,
    rootca,
    serviceaccounts,
    staledisruptions,
    tainted,
    tokensecrets,
    workloads,
)
from coracle.kube.controllers import endpoints as endpoint_loops
from coracle.kube.controllers.autoscaling import loop as autoscaling
from coracle.kube.controllers.storage import parts as storage
from coracle.kube.controllers.storage.provisioning import ensure_class, sweep
from coracle.kube.kinds.recorder import EventExpiry
from coracle.kube.proxy import bootstrap
from coracle.kube.proxy import parts as proxying
from coracle.kube.proxy.policies import Policies
from coracle.kube.scheduler import binding
from coracle.kube.scheduler.classes import ensure_classes
from coracle.net.holds import try_port
from coracle.node.assembly.engine import DOMAIN
from coracle.node.assembly.foundation import Foundation, Once
from coracle.node.assembly.host import address, node_name
from coracle.node.assembly.kubernetes import SCHEDULER, Kubernetes
from coracle.node.pki import Pki

SLICE = "EndpointSlice.discovery.k8s.io"


def control_plane(base: Foundation, kube: Kubernetes, pki: Pki) -> list[Part]:
    """In the order of starting."""
    return [
        Once(lambda: _bootstrap(base, kube)),
        *kube.recorders.values(),
        EventExpiry(kube.writers["Event"], base.clock),
        *_workloads(base, kube),
        *_upkeep(base, kube, pki),
        *_nodes(base, kube),
        *_storage(base, kube),
        *_services(base, kube),
    ]


async def _bootstrap(base: Foundation, kube: Kubernetes) -> None:
    writers = kube.writers
    await bootstrap.ensure_namespaces(writers["Namespace"])
    await bootstrap.ensure_kubernetes(writers, _api_place(base))
    await ensure_class(writers["StorageClass.storage.k8s.io"])
    await ensure_classes(writers["PriorityClass.scheduling.k8s.io"])
    await sweep(writers[storage.VOLUME], writers[storage.CLAIM], _persistent(base))


def _loop(base: Foundation, reconciler: Reconciler, workers: int = 1) -> Loop:
    return Loop(reconciler, base.caches, base.store, workers=workers)


def _workloads(base: Foundation, kube: Kubernetes) -> list[Part]:
    """What makes pods, scales them, and says how many may be missed."""
    caches, writers, recorders, clock = base.caches, kube.writers, kube.recorders, base.clock
    return [
        *(_loop(base, loop, workers=4) for loop in workloads.loops(caches, writers, recorders, clock)),
        _loop(base, autoscaling.Autoscalers(caches, writers, kube.meter, recorders[autoscaling.SPEAKER], clock)),
        _loop(base, disruption.Budgets(caches, writers[disruption.BUDGET], recorders[disruption.SPEAKER], clock)),
    ]


def _upkeep(base: Foundation, kube: Kubernetes, pki: Pki) -> list[Part]:
    """What every namespace has, and what becomes of things whose owner or namespace goes."""
    caches, writers, authority = base.caches, kube.writers, pki.authority.read_text()
    namespaced = [writer for writer in writers.values() if writer.kind.namespaced]
    owned = {type: writer for type, writer in writers.items() if type != "Event"}
    return [
        _loop(base, namespaces.Namespaces(caches, writers["Namespace"], namespaced, base.clock)),
        _loop(base, serviceaccounts.DefaultAccounts(caches, writers["ServiceAccount"])),
        _loop(base, rootca.RootCertificates(caches, writers["ConfigMap"], authority)),
        _loop(base, tokensecrets.TokenSecrets(caches, writers, kube.issuer, authority)),
        _loop(base, garbage.Garbage(caches, owned, kube.recorders[garbage.SPEAKER]), workers=4),
        _loop(base, quotas.Quotas(caches, writers)),
    ]


def _nodes(base: Foundation, kube: Kubernetes) -> list[Part]:
    """Which node a pod goes to, and what becomes of pods whose node is not well."""
    caches, writers, recorders, clock = base.caches, kube.writers, kube.recorders, base.clock
    pods = writers["Pod"]
    return [
        _loop(base, binding.Binding(caches, pods, writers[storage.CLAIM], recorders[SCHEDULER], clock)),
        _loop(base, podgc.LostPods(caches, pods, clock)),
        _loop(base, endedpods.EndedPods(caches, pods)),
        _loop(base, staledisruptions.StaleDisruptions(caches, pods, clock)),
        _loop(base, nodelife.NodeLife(caches, writers, recorders[nodelife.SPEAKER], clock)),
        _loop(base, tainted.Tainted(caches, pods, recorders[tainted.SPEAKER], clock)),
    ]


def _storage(base: Foundation, kube: Kubernetes) -> list[Part]:
    recorder = kube.recorders[storage.SPEAKER]
    loops = storage.loops(base.caches, kube.writers, _persistent(base), recorder, base.clock)
    return [_loop(base, loop) for loop in loops]


def _services(base: Foundation, kube: Kubernetes) -> list[Part]:
    """What stands behind Services, and the way there."""
    caches, writers, recorders, engine = base.caches, kube.writers, kube.recorders, base.engine
    place = proxying.Place(node_name(), address(base.settings))
    wires = proxying.Wires(engine.forwards, try_port, engine.names, place, base.settings.services, DOMAIN)
    proxy = proxying.proxy(caches, writers["Service"], recorders, wires)
    return [
        _loop(base, endpoint_loops.EndpointsSync(caches, writers["Endpoints"], writers[SLICE]), workers=4),
        _loop(base, mirroring.Mirroring(caches, writers[SLICE], recorders[mirroring.SPEAKER])),
        _loop(base, bootstrap.KubernetesService(writers, _api_place(base))),
        _loop(base, clusterips.ClusterIps(caches, writers[clusterips.ADDRESS])),
        _loop(base, clusterips.ServiceRanges(caches, writers[clusterips.RANGE], base.clock)),
        _loop(base, Policies(caches, engine.net)),
        *proxy.parts,
        *(_loop(base, loop) for loop in proxy.loops),
    ]


def _api_place(base: Foundation) -> bootstrap.ApiPlace:
    settings = base.settings
    return bootstrap.ApiPlace(settings.gateway, settings.api_port, settings.services)


def _persistent(base: Foundation) -> PersistentDirectories:
    return PersistentDirectories(base.settings.root / "persistent")
