"""What a build is asked to do, in no API's words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coracle.engine.kinds.container import ContainerSpec
from coracle.engine.works import Progress
from coracle.image.dockerfile.parse import Dockerfile
from coracle.image.manifest import Platform, host_platform
from coracle.image.terms import Login
from coracle.runtime.api import Resources

Say = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """tags        names of the outcome
    build_args     name -> value; None where the user named it without one
    labels         of the outcome, as if the file ended with LABELs
    target         the stage to build: a name or number, "" for the last
    network        what RUN is plugged into: a network's name, "host" or "none"
    hosts          more lines of /etc/hosts: (address, name)
    keep_failed    the container of a program that failed stays, to be looked at
    logins         by registry
    fetching       who is told how an image comes here, by its name
    describe       what the API keeps with the container of a RUN (ContainerSpec.details)
    """

    dockerfile: Dockerfile
    tags: tuple[str, ...] = ()
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    no_cache: bool = False
    pull: bool = False
    platform: Platform = field(default_factory=host_platform)
    network: str = "bridge"
    hosts: tuple[tuple[str, ...], ...] = ()
    resources: Resources = field(default_factory=Resources)
    shm_bytes: int = 64 << 20
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    keep_failed: bool = False
    logins: Mapping[str, Login] = field(default_factory=dict)
    fetching: Callable[[str], Progress | None] = lambda _name: None
    describe: Callable[[ContainerSpec], Mapping[str, Any]] = lambda _spec: {}
