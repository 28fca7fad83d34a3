"""The engine's services over the drivers of this host.  The only module that names a driver, beside the store's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coracle.core.clock import Clock
from coracle.core.store import Store
from coracle.engine.builds.service import Builds
from coracle.engine.commits import Commits
from coracle.engine.containers import Containers
from coracle.engine.execs import Execs
from coracle.engine.files import Files
from coracle.engine.images import Images
from coracle.engine.logs import Logs
from coracle.engine.networks import Networks
from coracle.engine.sandboxes import Sandboxes
from coracle.engine.scratch import Scratch
from coracle.engine.sharing import SharedNamespaces
from coracle.engine.shipping import Shipping
from coracle.engine.sources import CatalogueSource, Source
from coracle.engine.volumes import Volumes
from coracle.image.blobs import BlobStore
from coracle.image.catalogue import read_catalogue
from coracle.image.debian import PackageImages
from coracle.image.registry import Registries
from coracle.image.snapshots.overlay import OverlaySnapshotter
from coracle.net.forwards import Forwards
from coracle.net.holds import PortHolds
from coracle.net.names import Names
from coracle.net.nft.driver import NftDriver
from coracle.node.config import Settings
from coracle.node.ground import SharedGround
from coracle.node.marks import cgroup_path, marks, pod_network
from coracle.node.registries import read_mirrors
from coracle.runtime.conmon.driver import ConmonRuntime
from coracle.runtime.conmon.monitor import find_binaries

DOMAIN = "cluster.local"


@dataclass(frozen=True, slots=True)
class Engine:
    """`net`, `names`, `containers` are Parts; what others keep on disk or in the kernel they adopt."""

    net: NftDriver
    forwards: Forwards
    names: Names
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


def make_engine(settings: Settings, store: Store, clock: Clock) -> Engine:
    root, run = str(settings.root), str(settings.run)
    net = NftDriver(marks(settings))
    names = Names([settings.gateway], clock, zones=(DOMAIN,))
    blobs = BlobStore(settings.root / "images")
    packages = PackageImages(settings.cache, read_catalogue(_user_catalogue(settings)), clock)
    source = CatalogueSource(packages, blobs)
    snapshotter = OverlaySnapshotter(settings.root / "snapshots")
    registries = Registries(blobs, clock, read_mirrors(settings.root))
    sources: list[Source] = [registries, source]
    images = Images(store, clock, blobs, snapshotter, sources, builder=source)
    runtime = ConmonRuntime(settings.run, cgroup_path(settings), clock, find_binaries())
    ground = SharedGround(settings.name, settings.tag)
    networks = Networks(store, clock, net, names, ground, tag=settings.tag, pods=pod_network(settings))
    shared = SharedNamespaces(run_path=run)
    sandboxes = Sandboxes(store, clock, net, networks, names, sharing=shared, root_path=root, run_path=run)
    containers = Containers(store, clock, runtime, images, sandboxes, root_path=root)
    return Engine(
        net=net,
        forwards=Forwards(net, clock, PortHolds()),
        names=names,
        images=images,
        builds=Builds(
            store, clock, images, containers, sandboxes, blobs=blobs, snapshotter=snapshotter, root_path=root
        ),
        networks=networks,
        sandboxes=sandboxes,
        containers=containers,
        execs=Execs(runtime, containers, sandboxes),
        logs=Logs(containers),
        volumes=Volumes(store, clock, root_path=root, run_path=run),
        scratch=Scratch(root_path=root),
        files=Files(containers, snapshotter),
        commits=Commits(containers, images, snapshotter, blobs, clock, run_path=run),
        packages=packages,
        shipping=Shipping(images, blobs, clock),
        registries=registries,
    )


def _user_catalogue(settings: Settings) -> Path | None:
    path = settings.root / "catalogue.toml"
    return path if path.exists() else None
