"""Docker's side, and Compose's in front of it."""

from __future__ import annotations

import platform
import uuid
from importlib import metadata

from coracle.compose.projects import parts as projects
from coracle.docker.host import Host
from coracle.docker.parts import Docker, Services, docker
from coracle.linux import cgroups
from coracle.net.holds import try_port
from coracle.node.assembly.foundation import Foundation
from coracle.node.assembly.host import runtime_version
from coracle.node.config import Settings, proxies


def make_docker(base: Foundation) -> Docker:
    engine = base.engine
    services = Services(
        store=base.store,
        clock=base.clock,
        caches=base.caches,
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
        forwards=engine.forwards,
        names=engine.names,
        host=_host(base.settings),
    )
    return docker(services)


def make_compose(base: Foundation, docker: Docker) -> projects.Compose:
    door = projects.DockerDoor(docker.door.handler, docker.door.terms, docker.door.say)
    return projects.compose(door, base.store, base.caches, base.clock, forwards=base.engine.forwards, try_port=try_port)


def _host(settings: Settings) -> Host:
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
