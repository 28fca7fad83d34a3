"""Which images a project has to bring in or build, and what is asked of POST /build.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coracle.compose import order
from coracle.compose.project import Project
from coracle.compose.units import nanoseconds
from coracle.core.errors import Malformed

BUILDER_LABEL = "com.docker.compose.image.builder"
_DAY_NS, _SECOND_NS = 24 * 3600 * 10**9, 10**9
_FRACTION = re.compile(r"(\.\d{1,6})\d*")


@dataclass(frozen=True, slots=True)
class Present:
    """An image that is there: its id, and when its name was given to it (RFC 3339)."""

    id: str
    named_at: str = ""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Options of `build`, over what the file says."""

    args: Mapping[str, str]
    pull: bool = False
    no_cache: bool = False
    memory_bytes: int = 0


NO_OPTIONS = BuildOptions({})


def policy_of(service: Mapping[str, Any], override: str = "") -> str:
    return override or service.get("pull_policy") or ""


def to_pull(
    project: Project, services: Iterable[str], present: Mapping[str, Present], now_s: float, override: str = ""
) -> list[str]:
    """The services for which an image is to be brought in, one for each image.

    `present` has the images that are there, by the name that a service has for them.  Raises Malformed.
    """
    found: dict[str, str] = {}
    for name in services:
        service = project.services[name]
        image = service.get("image")
        if image and _is_due(service, policy_of(service, override), present.get(image), now_s):
            found.setdefault(image, name)
    return list(found.values())


def to_build(
    project: Project,
    services: Iterable[str],
    present: Mapping[str, Present],
    build: bool | None = None,
    override: str = "",
) -> list[str]:
    """The services whose images are to be built, those that others depend on first; one for each image.

    build    True: all that can be built; False: none; None: what is missing, and what is always built
    """
    found: dict[str, str] = {}
    if build is False:
        return []
    for name in in_order(project, services):
        service, image = project.services[name], project.image_of(name)
        always = bool(build) or policy_of(service, override) == "build"
        if service.get("build") is not None and (always or image not in present):
            found.setdefault(image, name)
    return list(found.values())


def in_order(project: Project, services: Iterable[str]) -> list[str]:
    """`services`, each after those it depends on."""
    edges, chosen = order.dependencies(project.services), set(services)
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        for other in sorted(edges[name]):
            if other not in found:
                visit(other)
        found.setdefault(name, None)

    for name in sorted(chosen):
        visit(name)
    return [name for name in found if name in chosen]


def buildable(project: Project, image: str) -> bool:
    """Whether some service says how this image is built."""
    services = project.services
    return any(service.get("build") and project.image_of(name) == image for name, service in services.items())


def _is_due(service: Mapping[str, Any], policy: str, present: Present | None, now_s: float) -> bool:
    if policy in ("never", "build", "always"):
        return policy == "always"
    age_ns = _refreshed_after_ns(service, policy)
    if present is None:
        return True
    return age_ns is not None and (now_s - _seconds(present.named_at)) * _SECOND_NS >= age_ns


def _refreshed_after_ns(service: Mapping[str, Any], policy: str) -> int | None:
    """The age at which an image is brought in again; None: never."""
    try:
        if policy in ("daily", "weekly"):
            return _DAY_NS * (7 if policy == "weekly" else 1)
        if policy.startswith("every_"):
            return nanoseconds(policy.removeprefix("every_"))
        if policy == "refresh":
            return nanoseconds(service.get("pull_refresh_after") or "1d")
    except ValueError as error:
        raise Malformed(f"invalid pull_policy {policy}: {error}") from error
    if policy not in ("", "missing", "if_not_present"):
        raise Malformed(f"invalid pull_policy {policy}")
    return None


def _seconds(moment: str) -> float:
    """Of RFC 3339 with however many digits; the beginning of time where it says nothing."""
    try:
        return datetime.fromisoformat(_FRACTION.sub(r"\1", moment)).timestamp()
    except ValueError:
        return 0.0


def build_query(project: Project, name: str, dockerfile: str, options: BuildOptions = NO_OPTIONS) -> dict[str, Any]:
    """The query of POST /build; None is left out, a tuple is a word said several times."""
    service = project.services[name]
    build = service["build"]
    ulimits = [_ulimit(limit, given) for limit, given in sorted((build.get("ulimits") or {}).items())]
    platforms = build.get("platforms") or []
    return {
        "version": "1",
        "t": tuple(dict.fromkeys([project.image_of(name), *(build.get("tags") or ())])),
        "dockerfile": dockerfile,
        "buildargs": {**(build.get("args") or {}), **options.args},
        "labels": {**(build.get("labels") or {}), BUILDER_LABEL: "classic"},
        "target": build.get("target"),
        "networkmode": build.get("network"),
        "extrahosts": ",".join(text.replace("=", ":", 1) for text in build.get("extra_hosts") or ()) or None,
        "shmsize": int(build["shm_size"]) if build.get("shm_size") else None,
        "ulimits": ulimits or None,
        "platform": service.get("platform") or (platforms[0] if platforms else None),
        "memory": options.memory_bytes or None,
        "nocache": bool(build.get("no_cache")) or options.no_cache,
        "pull": bool(build.get("pull")) or options.pull,
        "rm": True,
        "forcerm": True,
    }


def _ulimit(name: str, given: Any) -> dict[str, Any]:
    soft, hard = (given["soft"], given["hard"]) if isinstance(given, dict) else (given, given)
    return {"Name": name, "Soft": soft, "Hard": hard}
