"""What a build request says in its query and headers; pure.

Source: Docker Engine API 1.50, "ImageBuild"; moby api/server/router/build.newImageBuildOptions.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from coracle.core.errors import CloudError, Malformed, Unsupported
from coracle.docker.bodies import Fields, flag, number
from coracle.docker.images.logins import login_of
from coracle.docker.images.platforms import asked_platform
from coracle.image.manifest import Platform, host_platform
from coracle.image.references import DEFAULT_REGISTRY, parse_reference
from coracle.image.terms import Login
from coracle.runtime.api import Resources
from coracle.web.messages import Request

MINIMUM_MEMORY_BYTES = 6 << 20
_SQUASH = "squash is only supported with experimental mode"
_BUILDKIT = "this daemon builds with the classic builder: use version=1 (DOCKER_BUILDKIT=0)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`remote` "" where the context is the body; `extra_hosts` as host:address."""

    dockerfile: str
    tags: tuple[str, ...]
    remote: str
    quiet: bool
    no_cache: bool
    pull: bool
    remove: bool
    build_args: Mapping[str, str | None]
    labels: Mapping[str, str]
    target: str
    network: str
    extra_hosts: tuple[str, ...]
    platform: Platform
    resources: Resources
    shm_bytes: int
    rlimits: Mapping[str, tuple[int, int]]
    logins: Mapping[str, Login]
    build_id: str


def read_query(request: Request) -> Asked:
    """Raises Malformed, Unsupported."""
    query = request.query
    if query.get("version", "1") not in ("", "1"):
        raise Unsupported(_BUILDKIT, status=501)
    if flag(request, "squash"):
        raise Malformed(_SQUASH)
    if query.get("outputs") not in ("", "null", "[]"):
        raise Unsupported(f"outputs are not supported: {_BUILDKIT}", status=501)
    tags = tuple(tag for tag in query.all("t") if tag)
    for tag in tags:
        _check_tag(tag)
    return Asked(
        dockerfile=query.get("dockerfile"),
        tags=tags,
        remote=query.get("remote"),
        quiet=flag(request, "q"),
        no_cache=flag(request, "nocache"),
        pull=flag(request, "pull"),
        remove=flag(request, "rm", default=True) or flag(request, "forcerm"),
        build_args=_build_args(query.get("buildargs")),
        labels=_labels(query.get("labels")),
        target=query.get("target"),
        network=query.get("networkmode"),
        extra_hosts=tuple(host for text in query.all("extrahosts") for host in text.split(",") if host),
        platform=asked_platform(request) or host_platform(),
        resources=_resources(request),
        shm_bytes=number(request, "shmsize") or 64 << 20,
        rlimits=_rlimits(query.get("ulimits")),
        logins=logins(request.headers.get("x-registry-config", "")),
        build_id=query.get("buildid"),
    )


def _check_tag(text: str) -> None:
    try:
        if parse_reference(text).digest:
            raise Malformed("build tag cannot contain a digest")
    except Malformed as error:
        raise Malformed(f"invalid reference format: {error}" if "reference" not in str(error) else str(error)) from None


def _object(text: str, name: str) -> dict[str, Any]:
    if text in ("", "null"):
        return {}
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"error reading {name}: {error}") from None
    if not isinstance(found, dict):
        raise Malformed(f"error reading {name}: must be an object")
    return found


def _build_args(text: str) -> dict[str, str | None]:
    found = _object(text, "build args")
    for name, value in found.items():
        if not name or "=" in name or "\0" in name or not isinstance(value, str | None):
            raise Malformed(f"error reading build args: {name[:100]!r} must be a name with a string")
        if value is not None and "\0" in value:
            raise Malformed(f"error reading build args: {name[:100]!r} holds a NUL byte")
    return found


def _labels(text: str) -> dict[str, str]:
    found = _object(text, "labels")
    if not all(isinstance(value, str) for value in found.values()):
        raise Malformed("error reading labels: must be strings")
    return found


def _resources(request: Request) -> Resources:
    memory = number(request, "memory") or None
    if memory is not None and memory < MINIMUM_MEMORY_BYTES:
        raise Malformed("Minimum memory limit allowed is 6MB")
    swap = number(request, "memswap") or None
    quota, period = number(request, "cpuquota") or None, number(request, "cpuperiod") or 100_000
    return Resources(
        memory_bytes=memory,
        memory_swap_bytes=None if swap in (None, -1) else swap,
        cpu_quota_us=quota,
        cpu_period_us=period,
        cpu_shares=number(request, "cpushares") or None,
        cpuset_cpus=request.query.get("cpusetcpus"),
    )


def _rlimits(text: str) -> dict[str, tuple[int, int]]:
    if text in ("", "null"):
        return {}
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"error reading ulimits: {error}") from None
    if not isinstance(found, list):
        raise Malformed("error reading ulimits: must be a list")
    limits = {}
    for one in (Fields(item, "ulimits") for item in found):
        soft, hard = one.number("Soft"), one.number("Hard")
        if hard != -1 and (soft > hard or soft == -1):
            raise Malformed(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
        limits[one.text("Name").lower()] = (soft if soft >= 0 else 2**64 - 1, hard if hard >= 0 else 2**64 - 1)
    return limits


def logins(text: str) -> dict[str, Login]:
    """X-Registry-Config: base64 of {registry: AuthConfig}; nobody where it cannot be read, as dockerd has it."""
    try:
        found = orjson.loads(base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)))
        return {_registry(name): login_of(Fields(value)) for name, value in found.items()} if text else {}
    except (binascii.Error, ValueError, AttributeError, CloudError):
        return {}


def _registry(name: str) -> str:
    """https://index.docker.io/v1/ is what clients call Docker's own."""
    host = name.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return DEFAULT_REGISTRY if host in ("index.docker.io", "docker.io", "registry-1.docker.io") else host
