"""What Docker keeps with a container's record, and how to read it.

spec.details (from the create request, as Docker shows it; null, empty, zero and false values are left out)
    Config            with the image's settings merged in
    HostConfig        `NetworkMode` and `RestartPolicy` are always there
    NetworkingConfig  {"EndpointsConfig": {network name: endpoint}}
    MountPoints       what is mounted where (docker.mounts)
    Created           RFC 3339

status.details (of its life)
    RestartCount      by its policy, since a user started it last
    Backoff           restarts in a row that did not last
    ManuallyStopped   a user ended it: its policy rests
    Ports             {"80/tcp": [{"HostIp", "HostPort"}]} while it runs
    Health            {"Status", "FailingStreak"} while it runs
    Error             why its last start did not work
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object

MADE_BY = "docker"


def is_docker(record: Object) -> bool:
    """Whether it was made through this API; else it is a pod's."""
    return bool(record.spec.get("made_by") == MADE_BY)


def config(record: Object) -> Mapping[str, Any]:
    return _part(record.spec.get("details"), "Config")


def host_config(record: Object) -> Mapping[str, Any]:
    return _part(record.spec.get("details"), "HostConfig")


def endpoints_config(record: Object) -> Mapping[str, Any]:
    return _part(_part(record.spec.get("details"), "NetworkingConfig"), "EndpointsConfig")


def created_at(record: Object) -> str:
    """RFC 3339."""
    return str((record.spec.get("details") or {}).get("Created") or record.meta.created)


def created_s(record: Object) -> float:
    """Seconds since 1970."""
    return from_rfc3339(created_at(record))


def life(record: Object) -> Mapping[str, Any]:
    """status.details."""
    found: Mapping[str, Any] = record.status.get("details") or {}
    return found


def network_mode(record: Object) -> str:
    """ "bridge", "host", "none", "container:<id>" or a network's name."""
    mode = str(host_config(record).get("NetworkMode") or "default")
    return "bridge" if mode == "default" else mode


def restart_policy(record: Object) -> tuple[str, int]:
    """(name, longest row of retries): ("no", 0), ("always", 0), ("unless-stopped", 0), ("on-failure", 3)."""
    policy = host_config(record).get("RestartPolicy") or {}
    return str(policy.get("Name") or "no"), int(policy.get("MaximumRetryCount") or 0)


def removes_itself(record: Object) -> bool:
    """--rm."""
    return bool(host_config(record).get("AutoRemove"))


def has_started(record: Object) -> bool:
    return bool(record.status.get("started_at"))


def _part(of: Any, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (of or {}).get(name) or {}
    return found
