"""Joins Docker's side: its loops, and the areas of its door.  Called by node.assemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from coracle.core.clock import Clock
from coracle.core.informer import Informer
from coracle.core.loop import Loop
from coracle.core.store import Store
from coracle.core.tasks import Part
from coracle.docker.archive.area import ArchiveArea
from coracle.docker.build.area import BuildArea
from coracle.docker.commit import CommitArea
from coracle.docker.connecting import Connect, Wires
from coracle.docker.containers.area import Needs, container_areas
from coracle.docker.containers.finding import Finder
from coracle.docker.deeds import Deeds
from coracle.docker.disk import DiskUsage
from coracle.docker.door import Area, Door, door
from coracle.docker.events import Events
from coracle.docker.host import Host
from coracle.docker.images.area import ImageArea
from coracle.docker.loops.endings import Keeper
from coracle.docker.loops.health import HealthChecks
from coracle.docker.mounts import Mounts
from coracle.docker.names import SandboxNames
from coracle.docker.networks.area import NetworksArea
from coracle.docker.networks.known import KnownNetworks
from coracle.docker.plugins import Plugins
from coracle.docker.ports import Ports
from coracle.docker.stats import Stats
from coracle.docker.streams.attach import Attach
from coracle.docker.streams.events import EventStream
from coracle.docker.streams.execs import ExecArea
from coracle.docker.streams.instances import Instances
from coracle.docker.streams.logs import ContainerLogs
from coracle.docker.swarm import Swarm
from coracle.docker.system import System
from coracle.docker.top import Top
from coracle.docker.volumes.area import VolumesArea
from coracle.engine.builds.service import Builds
from coracle.engine.commits import Commits
from coracle.engine.containers import Containers
from coracle.engine.execs import Execs
from coracle.engine.files import Files
from coracle.engine.images import Images
from coracle.engine.logs import Logs
from coracle.engine.networks import Networks
from coracle.engine.sandboxes import Sandboxes
from coracle.engine.shipping import Shipping
from coracle.engine.volumes import Volumes
from coracle.image.catalogue import Catalogue
from coracle.image.registry import Registries
from coracle.net.forwards import Forwards
from coracle.net.names import Names


@dataclass(frozen=True, slots=True)
class Services:
    """The engine's services, for `docker` alone to hand on: no area is given more of them than it uses."""

    store: Store
    clock: Clock
    caches: Mapping[str, Informer]
    images: Images
    builds: Builds
    shipping: Shipping
    registries: Registries
    catalogue: Catalogue
    networks: Networks
    sandboxes: Sandboxes
    containers: Containers
    execs: Execs
    logs: Logs
    volumes: Volumes
    files: Files
    commits: Commits
    forwards: Forwards
    names: Names
    host: Host


@dataclass(frozen=True, slots=True)
class Docker:
    """`parts` start before the door opens."""

    parts: tuple[Part, ...]
    door: Door


def image_area(services: Services, events: Events) -> ImageArea:
    return ImageArea(
        images=services.images,
        shipping=services.shipping,
        registries=services.registries,
        catalogue=services.catalogue,
        store=services.store,
        clock=services.clock,
        events=events,
    )


def docker(services: Services) -> Docker:
    """Docker's API over these services."""
    events = Events(services.store, services.caches["Container.engine"], services.clock)
    finder = Finder(services.store, services.containers)
    instances = Instances(services.caches["Container.engine"])
    stats = Stats(finder, services.containers, services.sandboxes, services.clock)
    areas: list[Area] = [
        System(services.store, services.clock, services.host),
        Swarm(),
        Plugins(),
        VolumesArea(services.volumes, events),
        Attach(finder, services.containers, services.logs, events),
        ContainerLogs(finder, services.logs, services.clock),
        EventStream(events, services.clock),
        ExecArea(finder, services.execs, instances, events),
        stats,
        Top(finder, services.containers, events),
    ]
    known = KnownNetworks(services.networks)
    wires = Wires(known, services.sandboxes, Ports(services.forwards, known.get))
    areas += [
        NetworksArea(services.networks, known, services.containers, events, services.clock),
        Connect(finder, services.containers, wires, events),
    ]
    images = image_area(services, events)
    building = BuildArea(services.builds, services.networks, events, services.clock)
    areas += [images, building]
    mounts = Mounts(services.volumes, services.images, events.publish)
    areas += [
        ArchiveArea(finder, services.files, mounts, events),
        CommitArea(finder, services.commits, events),
    ]
    deeds = Deeds()
    needs = Needs(
        clock=services.clock,
        containers=services.containers,
        images=services.images,
        networks=services.networks,
        sandboxes=services.sandboxes,
        forwards=services.forwards,
        finder=finder,
        mounts=mounts,
        files=services.files,
        events=events,
        deeds=deeds,
        execs=instances.of,
        cgroup_mode="private" if services.host.cgroups == 2 else "host",
    )
    cache = services.caches["Container.engine"]
    health = HealthChecks(services.containers, cache, services.execs, events, services.clock)
    containers = container_areas(needs, health)
    areas.append(DiskUsage(images.listing, containers.listing, services.volumes, building.cache))
    keeper = Keeper(containers.lives, containers.homes, services.containers, services.caches, services.store)
    called = Loop(SandboxNames(services.caches, services.names), services.caches, services.store)
    return Docker((events, called, instances, stats, deeds, keeper, health), door([*areas, *containers.areas]))
