"""Joins Docker's side: its loops, and the areas of its door.  Called by node.assembly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from coracle.engine.kinds.container import TYPE as CONTAINERS
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


@dataclass(frozen=True, slots=True)
class Shared:
    """What several areas and loops of ours have between them."""

    events: Events
    finder: Finder
    known: KnownNetworks
    ports: Ports
    mounts: Mounts
    instances: Instances
    deeds: Deeds


def docker(services: Services) -> Docker:
    """Docker's API over these services."""
    shared = _shared(services)
    health = HealthChecks(
        services.containers, services.caches[CONTAINERS], services.execs, shared.events, services.clock
    )
    containers = container_areas(_needs(services, shared), health)
    stats = Stats(shared.finder, services.containers, services.sandboxes, services.clock)
    images = _image_area(services, shared.events)
    building = BuildArea(services.builds, services.networks, shared.events, services.clock)
    areas: list[Area] = [
        *_host_areas(services),
        *_stream_areas(services, shared),
        *_file_areas(services, shared),
        *_network_areas(services, shared),
        *containers.areas,
        stats,
        Top(shared.finder, services.containers, shared.events),
        images,
        building,
        DiskUsage(images.listing, containers.listing, services.volumes, building.cache),
    ]
    keeper = Keeper(containers.lives, containers.homes, services.containers, services.caches, services.store)
    called = Loop(SandboxNames(services.caches, services.names), services.caches, services.store)
    return Docker((shared.events, called, shared.instances, stats, shared.deeds, keeper, health), door(areas))


def _shared(services: Services) -> Shared:
    cache = services.caches[CONTAINERS]
    events = Events(services.store, cache, services.clock)
    known = KnownNetworks(services.networks)
    return Shared(
        events=events,
        finder=Finder(services.store, services.containers),
        known=known,
        ports=Ports(services.forwards, known.get),
        mounts=Mounts(services.volumes, services.images, events.publish),
        instances=Instances(cache),
        deeds=Deeds(),
    )


def _host_areas(services: Services) -> Iterable[Area]:
    return System(services.store, services.clock, services.host), Swarm(), Plugins()


def _stream_areas(services: Services, shared: Shared) -> Iterable[Area]:
    return (
        Attach(shared.finder, services.containers, services.logs, shared.events),
        ContainerLogs(shared.finder, services.logs, services.clock),
        EventStream(shared.events, services.clock),
        ExecArea(shared.finder, services.execs, shared.instances, shared.events),
    )


def _file_areas(services: Services, shared: Shared) -> Iterable[Area]:
    return (
        VolumesArea(services.volumes, shared.events),
        ArchiveArea(shared.finder, services.files, shared.mounts, shared.events),
        CommitArea(shared.finder, services.commits, shared.events),
    )


def _network_areas(services: Services, shared: Shared) -> Iterable[Area]:
    wires = Wires(shared.known, services.sandboxes, shared.ports)
    return (
        NetworksArea(services.networks, shared.known, services.containers, shared.events, services.clock),
        Connect(shared.finder, services.containers, wires, shared.events),
    )


def _image_area(services: Services, events: Events) -> ImageArea:
    return ImageArea(
        images=services.images,
        shipping=services.shipping,
        registries=services.registries,
        catalogue=services.catalogue,
        store=services.store,
        clock=services.clock,
        events=events,
    )


def _needs(services: Services, shared: Shared) -> Needs:
    return Needs(
        clock=services.clock,
        containers=services.containers,
        images=services.images,
        sandboxes=services.sandboxes,
        lookup=shared.known.get,
        ports=shared.ports,
        finder=shared.finder,
        mounts=shared.mounts,
        files=services.files,
        events=shared.events,
        deeds=shared.deeds,
        execs=shared.instances.of,
        cgroup_mode="private" if services.host.cgroups == 2 else "host",
    )
