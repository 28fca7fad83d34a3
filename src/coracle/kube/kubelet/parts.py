"""Joins the kubelet of what it is made of.  Called by `node/assembly`, and by tests on fakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.informer import Informer
from coracle.core.object import Key
from coracle.core.store import Store
from coracle.engine.containers import Containers
from coracle.engine.execs import Execs
from coracle.engine.files import Files
from coracle.engine.images import Images
from coracle.engine.logs import Logs
from coracle.engine.sandboxes import Sandboxes
from coracle.engine.scratch import Scratch
from coracle.kube.kinds.accounttokens import Issuer
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.actions import Actions
from coracle.kube.kubelet.chores import Chores
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.configuration import Settings
from coracle.kube.kubelet.hooks import Hooks
from coracle.kube.kubelet.imageaccess import ImageAccess
from coracle.kube.kubelet.messages import Messages
from coracle.kube.kubelet.podlogs import PodLogs
from coracle.kube.kubelet.pods import POD, Hands, Kubelet, PodSync
from coracle.kube.kubelet.pressure import Evictor, Relief
from coracle.kube.kubelet.probes import Prober
from coracle.kube.kubelet.pulls import Pulls
from coracle.kube.kubelet.records import CONTAINER, SANDBOX, Records
from coracle.kube.kubelet.resizer import Resizer
from coracle.kube.kubelet.starting import ContainerStarter, Node, SandboxStarter
from coracle.kube.kubelet.stopping import Clearer, Stopper
from coracle.kube.kubelet.storagelimits import StorageLimits
from coracle.kube.kubelet.tokens import NoTokens, PodTokens, TokenRotation
from coracle.kube.kubelet.use import PodUse
from coracle.kube.kubelet.volumes.following import VolumeFollower
from coracle.kube.kubelet.volumes.service import PodVolumes


@dataclass(frozen=True, slots=True)
class EngineServices:
    """What the kubelet asks of the engine."""

    sandboxes: Sandboxes
    containers: Containers
    images: Images
    volumes: Scratch
    execs: Execs
    logs: Logs
    files: Files


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the kubelet sees of the cluster.

    caches   by type: "Pod", and "Container.engine", "Sandbox.engine" with `records.INDEXES`
    pods     writes their status
    store    is read for ConfigMaps, Secrets and Services when a container asks for them
    issuer   of the tokens in pods' files; None: there are none
    """

    caches: Mapping[str, Informer]
    pods: Collection
    store: Store
    recorder: EventRecorder
    clock: Clock
    issuer: Issuer | None = None


def kubelet(engine: EngineServices, cluster: Cluster, config: NodeConfig, settings: Settings | None = None) -> Kubelet:
    """A Part: start it after the caches and the engine are up."""
    recorder, clock = cluster.recorder, cluster.clock
    chores = Chores(clock)
    tokens = PodTokens(cluster.issuer, cluster.store, clock) if cluster.issuer is not None else None
    node = Node(config, cluster.store, tokens or NoTokens())
    access = ImageAccess(engine.images, cluster.store, clock)
    volumes = PodVolumes(engine.volumes, engine.images, node.around(""), clock, pulls=access)
    messages = Messages(engine.volumes, engine.logs)
    actions = Actions(engine.execs, clock)
    hooks = Hooks(actions, chores, recorder)
    pulls = Pulls(access, chores, recorder, clock)
    evictor = Evictor(cluster.pods, recorder, clock)
    hands = Hands(
        sandboxes=SandboxStarter(engine.sandboxes, volumes, config, recorder, clock, classes=cluster.store),
        containers=ContainerStarter(
            engine.containers, pulls, node, hooks, messages, volumes=volumes, recorder=recorder, clock=clock
        ),
        pulls=pulls,
        stopper=Stopper(engine.containers, hooks, chores, recorder, clock),
        clearer=Clearer(engine.containers, engine.sandboxes, volumes, messages, pods=cluster.pods, chores=chores),
        prober=Prober(actions, chores, recorder, clock),
        messages=messages,
        resizer=Resizer(engine.containers, recorder),
        evictor=evictor,
    )
    records = Records(cluster.caches[SANDBOX], cluster.caches[CONTAINER])
    use = PodUse(
        cluster.caches[POD],
        records,
        engine.containers,
        files=engine.files,
        images=engine.images,
        scratch=engine.volumes,
    )
    sync = PodSync(cluster.caches[POD], records, cluster.pods, hands, config=config, recorder=recorder, clock=clock)

    def hurry(key: Key) -> None:
        sync.hurry(key)
        chores.wake(key)

    files = VolumeFollower(cluster.caches, config.name, volumes, hurry, recorder)
    limits = StorageLimits(cluster.caches, config.name, use.disk, evictor, clock)
    rotation = [TokenRotation(cluster.caches, config.name, tokens, volumes, recorder)] if tokens is not None else []
    logs = [PodLogs(records, Path(config.logs_path))] if config.logs_path else []
    relief = Relief(
        cluster.caches[POD],
        evictor,
        config.name,
        use,
        recorder=recorder,
        clock=clock,
        max_grace_s=(settings or Settings()).max_grace_s,
    )
    return Kubelet(sync, chores, (files, limits, *logs, *rotation), cluster.caches, cluster.store, relief=relief)
