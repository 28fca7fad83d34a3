"""Whose namespaces a container lives in: its own, its sandbox's, the host's or another container's.  Pure.

    processes   of its own; in a sandbox that shares them those of the container that runs longest there
    IPC         the sandbox's, or of its own; "shareable" memory at /dev/shm can be joined by others
    names       the sandbox's (hostname, domainname), or of its own

Called by `preparation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from coracle.core.errors import Conflict
from coracle.core.object import Object
from coracle.engine.kinds.container import ContainerSpec

OWN = ("", "private")


class Records(Protocol):
    """The containers there are."""

    def get(self, id: str) -> Object: ...
    def list(self) -> Sequence[Object]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What to join, and what is at /dev/shm, as in runtime.api.Bundle."""

    pidns_path: str = ""
    ipcns_path: str = ""
    utsns_path: str = ""
    shm: str = ""


def joined(spec: ContainerSpec, sandbox: Object, records: Records) -> Joined:
    """Raises: NotFound, Conflict (another container that it wants to join does not run, or does not share)."""
    return Joined(
        pidns_path=_pidns_path(spec, sandbox, records),
        ipcns_path=_path(spec.ipc_mode, "ipc", sandbox.status["ipcns_path"], records),
        utsns_path=_path(spec.uts_mode, "uts", sandbox.status["utsns_path"], records),
        shm=_shm(spec.ipc_mode, records) or ("none" if shares_memory(spec, sandbox) else ""),
    )


def _pidns_path(spec: ContainerSpec, sandbox: Object, records: Records) -> str:
    if spec.pid_mode not in OWN or not sandbox.spec["share_pid"]:
        return _path(spec.pid_mode, "pid", "", records)
    if sandbox.status.get("pidns_path"):
        return str(sandbox.status["pidns_path"])
    there = (record for record in records.list() if record.spec["sandbox"] == spec.sandbox)
    alive = (record for record in there if record.status["state"] == "running")
    first = min(alive, key=lambda record: str(record.status["started_at"]), default=None)
    return f"/proc/{first.status['pid']}/ns/pid" if first else ""


def shares_memory(spec: ContainerSpec, sandbox: Object) -> bool:
    """Whether it has the sandbox's memory at /dev/shm."""
    return spec.ipc_mode == "" and bool(sandbox.status.get("shm_path"))


def _path(mode: str, namespace: str, usual: str, records: Records) -> str:
    if mode == "host":
        return "host"
    if mode.startswith("container:"):
        return f"/proc/{_running(mode, records).status['pid']}/ns/{namespace}"
    return usual if mode == "" else ""


def _shm(mode: str, records: Records) -> str:
    if mode in ("none", "host"):
        return mode
    if mode == "shareable":
        return "shared"
    if not mode.startswith("container:"):
        return ""
    other = _running(mode, records)
    sharing = str(other.spec["ipc_mode"])
    if sharing.startswith("container:") or sharing == "host":
        return _shm(sharing, records)
    if sharing != "shareable":
        said = "non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
        raise Conflict(f"cannot join IPC of a container {other.meta.name}: {said}", kind="Container")
    return f"of:{other.meta.name}"


def _running(mode: str, records: Records) -> Object:
    other = records.get(mode.removeprefix("container:"))
    if other.status["state"] != "running":
        raise Conflict(f"container {other.meta.name} is not running", kind="Container", name=other.meta.name)
    return other
