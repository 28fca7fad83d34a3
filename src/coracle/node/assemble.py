"""Chooses the drivers and joins the parts of one cloud: with `node/assembly` the only one that knows them all.

Parts start in this order and end in reverse: the store; its caches; network and names; the engine; Docker's loops and
Compose's; Kubernetes' loops; the kubelet; the doors; the node, which says Ready last.
"""

from __future__ import annotations

from collections.abc import Callable

from coracle.core.clock import SystemClock
from coracle.core.switch import Switch
from coracle.core.tasks import Part, run_parts
from coracle.engine.upgrades import upgrade
from coracle.kube.kinds.catalogue import kinds
from coracle.linux import namespaces as homes
from coracle.linux.quick_groups import make_moves_quick
from coracle.node import podlogs
from coracle.node.assembly.control import control_plane
from coracle.node.assembly.docker import make_compose, make_docker
from coracle.node.assembly.doors import docker_door, kubernetes_door, own_door, prepare_files
from coracle.node.assembly.engine import make_engine
from coracle.node.assembly.foundation import Foundation, Once, caches
from coracle.node.assembly.kubernetes import make_kubernetes
from coracle.node.assembly.worker import make_kubelet, make_node, node_config
from coracle.node.config import Settings
from coracle.node.marks import QUICK_GROUPS
from coracle.store.sqlite import SqliteStore


def open_store(settings: Settings) -> SqliteStore:
    """The store of the cloud, which locks its directory.  Raises Conflict where a daemon runs already."""
    return SqliteStore(settings.root)


def enter(settings: Settings) -> None:
    """Move this process into the cloud's mount namespace; before threads exist, with the store's lock held."""
    settings.run.mkdir(parents=True, exist_ok=True, mode=0o711)  # Docker's socket lies here, for its group
    homes.enter_home(settings.run)
    podlogs.show(settings.root)
    make_moves_quick(QUICK_GROUPS)


async def run_cloud(settings: Settings, store: SqliteStore, up: Callable[[], None]) -> None:
    """Run the cloud until cancelled; `up` is called when the node is Ready."""
    await run_parts(_parts(settings, store), up)


def _parts(settings: Settings, store: SqliteStore) -> list[Part]:
    """Everything, in the order of starting."""
    clock, served = SystemClock(), kinds(settings.chosen.service_cidr)
    engine = make_engine(settings, store, clock)
    base = Foundation(settings, store, clock, engine, caches(store, [kind.type for kind in served]))
    docker = make_docker(base)
    compose = make_compose(base, docker)
    kube, agent = make_kubernetes(base, served), Switch()
    node = node_config(base, kube)
    worker = make_kubelet(base, kube, node)
    pki = prepare_files(settings, clock.now_s())
    return [
        store,
        *base.caches.values(),
        engine.net,
        engine.names,
        Once(engine.networks.adopt, lambda: upgrade(store, engine.networks)),
        Once(engine.images.adopt, engine.sandboxes.adopt, engine.volumes.adopt),
        engine.containers,
        Once(engine.commits.adopt),
        Once(engine.builds.adopt),
        *docker.parts,
        compose.projects,
        *control_plane(base, kube, pki),
        agent.part(worker),
        kubernetes_door(base, kube, pki, node, agent, worker=worker),
        docker_door(base, compose),
        own_door(base, agent),
        agent.part(make_node(base, kube, node, worker)),
    ]
