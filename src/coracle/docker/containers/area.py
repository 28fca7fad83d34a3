"""Joins the areas of containers and what they share.  Called by docker.parts."""

from __future__ import annotations

from dataclasses import dataclass

from coracle.core.clock import Clock
from coracle.docker.containers.create import Create
from coracle.docker.containers.finding import Finder
from coracle.docker.containers.homes import Homes
from coracle.docker.containers.inspect import ExecIds, Inspect
from coracle.docker.containers.listing import Listing
from coracle.docker.containers.lives import Lives
from coracle.docker.containers.removal import Removal
from coracle.docker.containers.selection import Selection
from coracle.docker.containers.update import Update
from coracle.docker.containers.verbs import Verbs
from coracle.docker.containers.views import Looks, Views
from coracle.docker.containers.waits import Waits
from coracle.docker.deeds import Deeds
from coracle.docker.door import Area
from coracle.docker.events import Events
from coracle.docker.mounts import Mounts
from coracle.docker.networks.endpoints import Lookup
from coracle.docker.networks.links import Links
from coracle.docker.ports import Ports
from coracle.engine.containers import Containers
from coracle.engine.files import Files
from coracle.engine.images import Images
from coracle.engine.sandboxes import Sandboxes


@dataclass(frozen=True, slots=True)
class Needs:
    """What containers need of the engine and of Docker's side."""

    clock: Clock
    containers: Containers
    images: Images
    sandboxes: Sandboxes
    lookup: Lookup
    ports: Ports
    finder: Finder
    mounts: Mounts
    files: Files
    events: Events
    deeds: Deeds
    execs: ExecIds
    cgroup_mode: str = "host"


@dataclass(frozen=True, slots=True)
class ContainerAreas:
    lives: Lives
    homes: Homes
    listing: Listing
    areas: tuple[Area, ...]


def container_areas(needs: Needs, looks: Looks) -> ContainerAreas:
    """The areas, and what the loops share with them."""
    containers, finder, lookup = needs.containers, needs.finder, needs.lookup
    links = Links(finder.find, needs.sandboxes)
    homes = Homes(needs.sandboxes, needs.ports, links, lookup, needs.events)
    lives = Lives(containers, homes, needs.mounts, needs.clock)
    views = Views(needs.sandboxes, lookup, looks, needs.files, needs.images)
    listing = Listing(containers, Selection(finder, needs.images, lookup), views, needs.clock)
    changing: tuple[Area, ...] = (
        Create(containers, finder, needs.images, needs.mounts, lookup=lookup, clock=needs.clock),
        Verbs(finder, lives, containers, needs.events),
        Update(finder, containers, needs.events),
        Removal(finder, lives, containers, needs.files, needs.clock),
    )
    areas: tuple[Area, ...] = (
        *(needs.deeds.finishing(area) for area in changing),
        Waits(finder, lives, containers, needs.deeds),
        Inspect(finder, containers, views, execs=needs.execs, cgroup_mode=needs.cgroup_mode),
        listing,
    )
    return ContainerAreas(lives, homes, listing, areas)
