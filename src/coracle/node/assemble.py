"""Chooses the drivers and joins the parts of one cloud.  The only module that knows them all; nobody below imports it.

Parts start in this order and end in reverse: the store; its caches; network and names; the engine; the loops; the
kubelet; the doors; the node, which says Ready last.
"""

from __future__ import annotations

import asyncio
import functools
import grp
import inspect
import platform
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from ipaddress import IPv4Address
from pathlib import Path

from coracle.compose.projects import parts as projects
from coracle.core.clock import SystemClock
from coracle.core.collection import Collection
from coracle.core.informer import Index, Informer
from coracle.core.loop import Loop, Reconciler
from coracle.core.store import Store
from coracle.core.switch import Switch
from coracle.core.tasks import Part, run_parts
from coracle.docker.host import Host
from coracle.docker.parts import Docker, Services, docker
from coracle.engine.builds.service import Builds
from coracle.engine.commits import Commits
from coracle.engine.containers import Containers
from coracle.engine.execs import Execs
from coracle.engine.files import Files
from coracle.engine.images import Images
from coracle.engine.logs import Logs
from coracle.engine.networks import Networks
from coracle.engine.persistent import PersistentDirectories
from coracle.engine.sandboxes import Sandboxes
from coracle.engine.scratch import Scratch
from coracle.engine.sharing import SharedNamespaces
from coracle.engine.shipping import Shipping
from coracle.engine.sources import CatalogueSource, Source
from coracle.engine.upgrades import upgrade
from coracle.engine.volumes import Volumes
from coracle.image.blobs import BlobStore
from coracle.image.catalogue import read_catalogue
from coracle.image.debian import PackageImages
from coracle.image.registry import Registries
from coracle.image.snapshots.overlay import OverlaySnapshotter
from coracle.kube.api.door import Insides, door
from coracle.kube.controllers import (
    disruption,
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
from coracle.kube.kinds import guards
from coracle.kube.kinds.accounttokens import Issuer
from coracle.kube.kinds.catalogue import kinds
from coracle.kube.kinds.recorder import EventExpiry, EventRecorder
from coracle.kube.kubelet import records as kubelet_records
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.door import KubeletDoor
from coracle.kube.kubelet.machine import read_host_dns, read_machine, read_memory, read_stocks
from coracle.kube.kubelet.metering import NODE, Metering
from coracle.kube.kubelet.nodes import NodeSync
from coracle.kube.kubelet.nodestatus import allocatable
from coracle.kube.kubelet.parts import Cluster, EngineServices, kubelet
from coracle.kube.kubelet.pressure import Evictor, Relief
from coracle.kube.kubelet.streams import PodStreams
from coracle.kube.kubelet.use import PodUse
from coracle.kube.kubelet.volumes import following
from coracle.kube.proxy import bootstrap
from coracle.kube.proxy import parts as proxying
from coracle.kube.scheduler import binding
from coracle.kube.scheduler.classes import ensure_classes
from coracle.linux import cgroups
from coracle.linux import namespaces as homes
from coracle.linux.counters import machine_busy_ns
from coracle.linux.quick_groups import make_moves_quick
from coracle.net.forwards import Forwards
from coracle.net.holds import PortHolds, try_port
from coracle.net.names import Names
from coracle.net.nft.driver import NftDriver
from coracle.node import pki
from coracle.node.admin import Admin
from coracle.node.config import Settings, proxies
from coracle.node.ground import SharedGround
from coracle.node.kubeconfig import render_kubeconfig, write_own
from coracle.node.kubelet import read_kubelet
from coracle.node.marks import PODS, QUICK_GROUPS, cgroup_path, marks, pod_network
from coracle.node.registries import read_mirrors
from coracle.node.signing import KeySigner
from coracle.runtime.conmon.driver import ConmonRuntime
from coracle.runtime.conmon.monitor import find_binaries
from coracle.store.sqlite import SqliteStore
from coracle.web.listeners import Tcp, Unix
from coracle.web.server import Server
from coracle.web.tls import server_context

DOMAIN = "cluster.local"
ISSUER = f"https://kubernetes.default.svc.{DOMAIN}"
SLICE = "EndpointSlice.discovery.k8s.io"


class Once:
    """A Part that does something when its turn comes, and then only waits."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = steps

    async def run(self, up: Callable[[], None]) -> None:
        for step in self._steps:
            done = step()
            if inspect.isawaitable(done):
                await done
        up()
        await asyncio.get_running_loop().create_future()


def open_store(settings: Settings) -> SqliteStore:
    """The store of the cloud, which locks its directory.  Raises Conflict where a daemon runs already."""
    return SqliteStore(settings.root)


def enter(settings: Settings) -> None:
    """Move this process into the cloud's mount namespace; before threads exist, with the store's lock held."""
    settings.run.mkdir(parents=True, exist_ok=True, mode=0o711)  # Docker's socket lies here, for its group
    homes.enter_home(settings.run)
    make_moves_quick(QUICK_GROUPS)


async def run_cloud(settings: Settings, store: SqliteStore, up: Callable[[], None]) -> None:
    """Run the cloud until cancelled; `up` is called when the node is Ready."""
    await run_parts(Cloud(settings, store).parts(), up)


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine's services over the drivers of this host."""

    images: Images
    builds: Builds
    networks: Networks
    sandboxes: Sandboxes
    containers: Containers
    execs: Execs
    logs: Logs
    volumes: Volumes
    scratch: Scratch
    files: Files
    commits: Commits
    packages: PackageImages
    shipping: Shipping
    registries: Registries


class Cloud:
    """One cloud, being put together."""

    def __init__(self, settings: Settings, store: SqliteStore) -> None:
        self._settings, self._store, self._clock = settings, store, SystemClock()
        self._net = NftDriver(marks(settings))
        self._forwards = Forwards(self._net, self._clock, PortHolds())
        self._names = Names([settings.gateway], self._clock, zones=(DOMAIN,))
        self._engine = self._make_engine()
        served = kinds(settings.chosen.service_cidr)
        self._collections = {k.type: Collection(k, store, self._clock, guards.for_kind(k)) for k in served}
        self._caches = caches(store, [k.type for k in served])
        self._meter = self._make_meter()
        self._node_settings, self._agent = read_kubelet(settings.root), Switch()
        self._issuer = Issuer(ISSUER, KeySigner(settings.root / "pki" / "sa.key"), store, self._clock)
        self._docker = self._make_docker()
        self._compose = self._make_compose()

    def parts(self) -> list[Part]:
        """Everything, in the order of starting."""
        recorders = {
            name: self._recorder(name)
            for name in (
                *workloads.SPEAKERS,
                storage.SPEAKER,
                *proxying.SPEAKERS,
                mirroring.SPEAKER,
                autoscaling.SPEAKER,
                disruption.SPEAKER,
                garbage.SPEAKER,
                nodelife.SPEAKER,
                tainted.SPEAKER,
                "default-scheduler",
                "kubelet",
            )
        }
        self._prepare_files()
        return [
            self._store,
            *self._caches.values(),
            self._net,
            self._names,
            Once(self._engine.networks.adopt, lambda: upgrade(self._store, self._engine.networks)),
            Once(self._engine.images.adopt, self._engine.sandboxes.adopt, self._engine.volumes.adopt),
            self._engine.containers,
            Once(self._engine.commits.adopt),
            Once(self._engine.builds.adopt),
            *self._docker.parts,
            self._compose.projects,
            Once(self._bootstrap),
            *recorders.values(),
            EventExpiry(self._collections["Event"], self._clock),
            *self._loops(recorders),
            self._agent.part(self._kubelet(recorders["kubelet"])),
            *self._doors(),
            self._agent.part(self._node(recorders["kubelet"])),
        ]

    # -- the engine ----------------------------------------------------------------------------------------------

    def _make_engine(self) -> Engine:
        settings, store, clock = self._settings, self._store, self._clock
        root, run = str(settings.root), str(settings.run)
        blobs = BlobStore(settings.root / "images")
        packages = PackageImages(settings.cache, read_catalogue(_user_catalogue(settings)), clock)
        source = CatalogueSource(packages, blobs)
        snapshotter = OverlaySnapshotter(settings.root / "snapshots")
        registries = Registries(blobs, clock, read_mirrors(settings.root))
        sources: list[Source] = [registries, source]
        images = Images(store, clock, blobs, snapshotter, sources, builder=source)
        shipping = Shipping(images, blobs, clock)
        runtime = ConmonRuntime(settings.run, cgroup_path(settings), clock, find_binaries())
        ground = SharedGround(settings.name, settings.tag)
        pods = pod_network(settings)
        networks = Networks(store, clock, self._net, self._names, ground, tag=settings.tag, pods=pods)
        shared = SharedNamespaces(run_path=run)
        sandboxes = Sandboxes(
            store, clock, self._net, networks, self._names, sharing=shared, root_path=root, run_path=run
        )
        containers = Containers(store, clock, runtime, images, sandboxes, root_path=root)
        execs = Execs(runtime, containers, sandboxes)
        builds = Builds(
            store, clock, images, containers, sandboxes, blobs=blobs, snapshotter=snapshotter, root_path=root
        )
        volumes = Volumes(store, clock, root_path=root, run_path=run)
        scratch = Scratch(root_path=root)
        return Engine(
            images,
            builds,
            networks,
            sandboxes,
            containers,
            execs,
            Logs(containers),
            volumes,
            scratch,
            Files(containers, snapshotter),
            Commits(containers, images, snapshotter, blobs, clock, run_path=run),
            packages,
            shipping,
            registries,
        )

    # -- Docker --------------------------------------------------------------------------------------------------

    def _make_docker(self) -> Docker:
        engine = self._engine
        services = Services(
            store=self._store,
            clock=self._clock,
            caches=self._caches,
            images=engine.images,
            builds=engine.builds,
            shipping=engine.shipping,
            registries=engine.registries,
            catalogue=engine.packages.catalogue,
            networks=engine.networks,
            sandboxes=engine.sandboxes,
            containers=engine.containers,
            execs=engine.execs,
            logs=engine.logs,
            volumes=engine.volumes,
            files=engine.files,
            commits=engine.commits,
            forwards=self._forwards,
            names=self._names,
            host=docker_host(self._settings),
        )
        return docker(services)

    def _make_compose(self) -> projects.Compose:
        door = self._docker.door
        front = projects.DockerDoor(door.handler, door.terms, door.say)
        return projects.compose(
            front, self._store, self._caches, self._clock, forwards=self._forwards, try_port=try_port
        )

    # -- Kubernetes ----------------------------------------------------------------------------------------------

    def _recorder(self, component: str) -> EventRecorder:
        return EventRecorder(self._collections["Event"], self._clock, component, node_name())

    async def _bootstrap(self) -> None:
        await bootstrap.ensure_namespaces(self._collections["Namespace"])
        await bootstrap.ensure_kubernetes(self._collections, self._api_place())
        await ensure_class(self._collections["StorageClass.storage.k8s.io"])
        await ensure_classes(self._collections["PriorityClass.scheduling.k8s.io"])
        await sweep(self._collections[storage.VOLUME], self._collections[storage.CLAIM], self._persistent)

    def _api_place(self) -> bootstrap.ApiPlace:
        return bootstrap.ApiPlace(self._settings.gateway, self._settings.api_port, self._settings.services)

    def _loops(self, recorders: Mapping[str, EventRecorder]) -> list[Part]:
        caches, writers, clock = self._caches, self._collections, self._clock
        proxy = proxying.proxy(caches, writers["Service"], recorders, self._wires())
        pods = writers["Pod"]
        return [
            *(self._loop(loop, workers=4) for loop in workloads.loops(caches, writers, recorders, clock)),
            self._loop(endpoint_loops.EndpointsSync(caches, writers["Endpoints"], writers[SLICE]), workers=4),
            self._loop(bootstrap.KubernetesService(writers, self._api_place())),
            self._loop(mirroring.Mirroring(caches, writers[SLICE], recorders[mirroring.SPEAKER])),
            self._loop(namespaces.Namespaces(caches, writers["Namespace"], self._namespaced(), clock)),
            self._loop(serviceaccounts.DefaultAccounts(caches, writers["ServiceAccount"])),
            self._loop(rootca.RootCertificates(caches, writers["ConfigMap"], self._pki.authority.read_text())),
            self._loop(tokensecrets.TokenSecrets(caches, writers, self._issuer, self._pki.authority.read_text())),
            self._loop(garbage.Garbage(caches, self._owned(), recorders[garbage.SPEAKER]), workers=4),
            self._loop(podgc.LostPods(caches, pods, clock)),
            self._loop(staledisruptions.StaleDisruptions(caches, pods, clock)),
            self._loop(autoscaling.Autoscalers(caches, writers, self._meter, recorders[autoscaling.SPEAKER], clock)),
            self._loop(quotas.Quotas(caches, writers)),
            self._loop(nodelife.NodeLife(caches, writers, recorders[nodelife.SPEAKER], clock)),
            self._loop(tainted.Tainted(caches, pods, recorders[tainted.SPEAKER], clock)),
            self._loop(disruption.Budgets(caches, writers[disruption.BUDGET], recorders[disruption.SPEAKER], clock)),
            *self._storage_loops(recorders[storage.SPEAKER]),
            self._loop(binding.Binding(caches, pods, writers[storage.CLAIM], recorders["default-scheduler"], clock)),
            *proxy.parts,
            *(self._loop(loop) for loop in proxy.loops),
        ]

    def _wires(self) -> proxying.Wires:
        place = proxying.Place(node_name(), self._address)
        return proxying.Wires(self._forwards, try_port, self._names, place, self._settings.services, DOMAIN)

    def _storage_loops(self, recorder: EventRecorder) -> list[Part]:
        loops = storage.loops(self._caches, self._collections, self._persistent, recorder, self._clock)
        return [self._loop(loop) for loop in loops]

    @property
    def _persistent(self) -> PersistentDirectories:
        return PersistentDirectories(self._settings.root / "persistent")

    def _namespaced(self) -> list[Collection]:
        return [collection for collection in self._collections.values() if collection.kind.namespaced]

    def _owned(self) -> dict[str, Collection]:
        return {type: collection for type, collection in self._collections.items() if type != "Event"}

    def _loop(self, reconciler: Reconciler, workers: int = 1) -> Loop:
        return Loop(reconciler, self._caches, self._store, workers=workers)

    def _node_config(self) -> NodeConfig:
        root = str(self._settings.root)
        machine, thresholds = read_machine(root, runtime_version()), self._node_settings.thresholds(read_stocks(root))
        return NodeConfig(
            name=node_name(),
            address=str(self._address),
            cluster_dns=str(self._settings.gateway),
            domain=DOMAIN,
            host_dns=read_host_dns(),
            network=PODS,
            capacity=allocatable(machine, self._node_settings, thresholds),
            memory_bytes=machine.memory_bytes,
            pod_cidr=self._settings.chosen.pod_cidr,
            disk_path=str(self._settings.root),
            runtime=Path(find_binaries().runtime).name,
        )

    @property
    def _address(self) -> IPv4Address:
        return host_address() or self._settings.gateway

    def _kubelet(self, recorder: EventRecorder) -> Part:
        engine = self._engine
        services = EngineServices(
            engine.sandboxes, engine.containers, engine.images, engine.scratch, engine.execs, engine.logs
        )
        cluster = Cluster(self._caches, self._collections["Pod"], self._store, recorder, self._clock, self._issuer)
        return kubelet(services, cluster, self._node_config())

    def _node(self, recorder: EventRecorder) -> Part:
        machine = read_machine(str(self._settings.root), runtime_version())
        writers, engine, pods = self._collections, self._engine, self._caches["Pod"]
        containers, files, images = engine.containers, engine.files, engine.images
        use = PodUse(pods, self._records(), containers, files=files, images=images, scratch=engine.scratch)
        evictor = Evictor(writers["Pod"], recorder, self._clock)
        return NodeSync(
            writers["Node"],
            writers["Lease.coordination.k8s.io"],
            self._node_config(),
            machine,
            self._node_settings,
            recorder=recorder,
            clock=self._clock,
            relief=Relief(pods, evictor, node_name(), use, recorder=recorder),
        )

    def _make_meter(self) -> Metering:
        containers = self._engine.containers

        def read(id: str) -> tuple[int, int]:
            if id == NODE:
                memory = read_memory()
                return machine_busy_ns(), memory.capacity - memory.available
            usage = containers.usage(id)
            return usage.cpu_ns, usage.memory_bytes

        return Metering(self._records(), read, self._clock)

    # -- the doors -----------------------------------------------------------------------------------------------

    def _prepare_files(self) -> None:
        """Certificates and the kubeconfig."""
        settings = self._settings
        api = settings.services.network_address + 1
        names = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{DOMAIN}",
        ]
        addresses = [IPv4Address("127.0.0.1"), settings.gateway, api, self._address]
        self._pki = pki.ensure_pki(settings.root / "pki", [*names, node_name()], addresses, self._clock.now_s())
        url = f"https://127.0.0.1:{settings.api_port}"
        write_own(settings.kubeconfig_path, render_kubeconfig(settings.context, url, self._pki))

    def _doors(self) -> list[Part]:
        settings = self._settings
        streams = PodStreams(self._records(), self._engine.logs, self._engine.execs)
        kubelet_door = KubeletDoor(self._caches["Pod"], streams, self._meter, self._node_config(), self._clock)
        insides = Insides(streams, self._meter, self._issuer, kubelet_door.handler)
        api = door(self._collections.values(), self._store, self._clock, insides)
        tls = server_context(*self._pki.server, self._pki.authority)
        listeners = [Tcp("127.0.0.1", settings.api_port, tls), Tcp(str(settings.gateway), settings.api_port, tls)]
        images, packages = self._engine.images, self._engine.packages
        admin = Admin(settings, self._store, images, packages, self._clock, kubelet=self._agent)
        dock = self._compose.door
        socket_path = Unix(str(settings.docker_socket_path), 0o660, docker_group())
        return [
            Server(api.handler, listeners, terms=api.router.terms, say=api.say, clock=self._clock),
            Server(dock.handler, [socket_path], terms=dock.terms, say=dock.say, clock=self._clock),
            Server(admin.handler(), [Unix(str(settings.socket_path), 0o600)], clock=self._clock),
        ]

    def _records(self) -> kubelet_records.Records:
        return kubelet_records.Records(self._caches["Sandbox.engine"], self._caches["Container.engine"])


def caches(store: Store, types: list[str]) -> dict[str, Informer]:
    """One cache for each type, with the indexes that anybody wants of it."""
    wanted: dict[str, dict[str, Index]] = {type: {} for type in (*types, "Sandbox.engine", *projects.TYPES)}
    for module in (
        workloads,
        endpoint_loops,
        mirroring,
        podgc,
        storage,
        binding,
        kubelet_records,
        following,
        proxying,
        projects,
    ):
        for type, indexes in getattr(module, "INDEXES", {}).items():
            wanted[type] |= indexes
    return {type: Informer(type, store, indexes) for type, indexes in wanted.items()}


def node_name() -> str:
    """The host's name as Kubernetes names nodes."""
    return platform.node().lower() or "localhost"


@functools.cache
def runtime_version() -> str:
    from coracle.node.versions import PROGRAMS, program_version

    name = Path(find_binaries().runtime).name
    return f"{name}://{program_version(PROGRAMS[name])}"


def host_address() -> IPv4Address | None:
    """The address that this host has towards others; None where it has no route out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address; nothing is sent
        except OSError:
            return None
        return IPv4Address(probe.getsockname()[0])


def docker_host(settings: Settings) -> Host:
    """What Docker's side says of us."""
    runtime, _, version = runtime_version().partition("://")
    return Host(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{platform.node()}/{settings.root}")),
        name=settings.name,
        root_path=str(settings.root),
        version=metadata.version("coracle"),
        runtime=runtime,
        cgroups=2 if cgroups.layout() == "unified" else 1,
        programs={runtime: version},
        proxies=proxies(),
    )


def docker_group() -> str | None:
    """Who may use Docker's socket beside root: the group `docker`, where the host has one."""
    try:
        return grp.getgrnam("docker").gr_name
    except KeyError:
        return None


def _user_catalogue(settings: Settings) -> Path | None:
    path = settings.root / "catalogue.toml"
    return path if path.exists() else None
