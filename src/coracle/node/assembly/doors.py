"""The doors: Kubernetes' API, Docker's socket with Compose's projects before it, and our own; the files to enter by."""

from __future__ import annotations

import grp
from ipaddress import IPv4Address

from coracle.compose.projects import parts as projects
from coracle.core.switch import Switch
from coracle.core.tasks import Part
from coracle.kube.api.door import Insides, door
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.door import KubeletDoor
from coracle.kube.kubelet.pods import Kubelet
from coracle.kube.kubelet.streams import PodStreams
from coracle.kube.kubelet.volumes.metering import VolumeMeter
from coracle.node.admin import Admin
from coracle.node.assembly.engine import DOMAIN
from coracle.node.assembly.foundation import Foundation
from coracle.node.assembly.host import address, node_name
from coracle.node.assembly.kubernetes import Kubernetes
from coracle.node.config import Settings
from coracle.node.kubeconfig import render_kubeconfig, write_own
from coracle.node.pki import Pki, ensure_pki
from coracle.web.listeners import Tcp, Unix
from coracle.web.server import Server
from coracle.web.tls import server_context


def prepare_files(settings: Settings, now_s: float) -> Pki:
    """Certificates and the kubeconfig."""
    service = "kubernetes.default.svc"
    names = ["localhost", "kubernetes", "kubernetes.default", service, f"{service}.{DOMAIN}", node_name()]
    own = settings.services.network_address + 1
    addresses = [IPv4Address("127.0.0.1"), settings.gateway, own, address(settings)]
    pki = ensure_pki(settings.root / "pki", names, addresses, now_s)
    url = f"https://127.0.0.1:{settings.api_port}"
    write_own(settings.kubeconfig_path, render_kubeconfig(settings.context, url, pki))
    return pki


def docker_door(base: Foundation, compose: projects.Compose) -> Part:
    door = compose.door
    socket = Unix(str(base.settings.docker_socket_path), 0o660, _docker_group())
    return Server(door.handler, [socket], terms=door.terms, say=door.say, clock=base.clock)


def own_door(base: Foundation, agent: Switch) -> Part:
    settings, engine = base.settings, base.engine
    admin = Admin(settings, base.store, engine.images, engine.packages, base.clock, kubelet=agent)
    return Server(admin.handler(), [Unix(str(settings.socket_path), 0o600)], clock=base.clock)


def kubernetes_door(
    base: Foundation, kube: Kubernetes, pki: Pki, config: NodeConfig, agent: Switch, *, worker: Kubelet
) -> Part:
    port, clock = base.settings.api_port, base.clock
    streams = PodStreams(kube.records, base.engine.logs, base.engine.execs, lambda: agent.is_on)
    full = VolumeMeter(base.engine.scratch, base.store)
    pods, looks = base.caches["Pod"], worker.looks
    kubelet_door = KubeletDoor(pods, streams, kube.meter, config, clock, full, looks, kube.settings)
    insides = Insides(streams, kube.meter, kube.issuer, kubelet_door.handler)
    api = door(kube.writers.values(), base.store, clock, insides)
    tls = server_context(*pki.server, pki.authority)
    listeners = [Tcp("127.0.0.1", port, tls), Tcp(str(base.settings.gateway), port, tls)]
    return Server(api.handler, listeners, terms=api.router.terms, say=api.say, clock=clock)


def _docker_group() -> str | None:
    """Who may use Docker's socket beside root: the group `docker`, where the host has one."""
    try:
        return grp.getgrnam("docker").gr_name
    except KeyError:
        return None
