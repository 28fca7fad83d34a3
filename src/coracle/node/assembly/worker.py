"""Kubernetes' node: the kubelet, and what is said of the machine."""

from __future__ import annotations

from coracle.core.tasks import Part
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.machine import read_host_dns, read_machine, read_stocks
from coracle.kube.kubelet.nodes import NodeSync
from coracle.kube.kubelet.nodestatus import allocatable
from coracle.kube.kubelet.parts import Cluster, EngineServices, kubelet
from coracle.kube.kubelet.pods import Kubelet
from coracle.kube.proxy.bootstrap import dns_address
from coracle.node import podlogs
from coracle.node.assembly.engine import DOMAIN
from coracle.node.assembly.foundation import Foundation
from coracle.node.assembly.host import address, has_apparmor, node_name, runtime_name, runtime_version
from coracle.node.assembly.kubernetes import KUBELET, Kubernetes
from coracle.node.marks import PODS


def node_config(base: Foundation, kube: Kubernetes) -> NodeConfig:
    settings, root = base.settings, str(base.settings.root)
    machine, thresholds = read_machine(root, runtime_version()), kube.settings.thresholds(read_stocks(root))
    return NodeConfig(
        name=node_name(),
        address=str(address(settings)),
        cluster_dns=str(dns_address(base.store, settings.services, settings.gateway)),
        domain=DOMAIN,
        host_dns=read_host_dns(),
        network=PODS,
        capacity=allocatable(machine, kube.settings, thresholds),
        memory_bytes=machine.memory_bytes,
        pod_cidr=settings.chosen.pod_cidr,
        disk_path=root,
        runtime=runtime_name(),
        logs_path=str(podlogs.links_path(settings.root)),
        seccomp_default=kube.settings.seccomp_default,
        unsafe_sysctls=kube.settings.unsafe_sysctls,
        apparmor=has_apparmor(),
    )


def make_kubelet(base: Foundation, kube: Kubernetes, config: NodeConfig) -> Kubelet:
    engine = base.engine
    services = EngineServices(
        engine.sandboxes, engine.containers, engine.images, engine.scratch, engine.execs, engine.logs, engine.files
    )
    recorder = kube.recorders[KUBELET]
    cluster = Cluster(base.caches, kube.writers["Pod"], base.store, recorder, base.clock, kube.issuer)
    return kubelet(services, cluster, config, kube.settings)


def make_node(base: Foundation, kube: Kubernetes, config: NodeConfig, agent: Kubelet) -> Part:
    return NodeSync(
        kube.writers["Node"],
        kube.writers["Lease.coordination.k8s.io"],
        config,
        read_machine(str(base.settings.root), runtime_version()),
        kube.settings,
        recorder=kube.recorders[KUBELET],
        clock=base.clock,
        relief=agent.relief,
        images=base.engine.images.list,
    )
