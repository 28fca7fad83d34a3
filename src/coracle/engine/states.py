"""What a container's record says after each thing that can happen to it; pure.  See kinds/container for the fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from coracle.core.clock import from_rfc3339, rfc3339_micro
from coracle.core.errors import CloudError
from coracle.core.object import Object
from coracle.runtime.api import Exit, Refusal, State

STALE_S = 0.1  # an exit so much older than the start is the previous run's: file times are some milliseconds coarse

# What a shell and Docker say where a program cannot be executed: not found, not executable, anything else.
_NOT_FOUND = ("no such file", "not found")
_NOT_EXECUTABLE = ("permission denied", "operation not permitted", "exec format", "is a directory")
_CODES = ((127, _NOT_FOUND), (126, _NOT_EXECUTABLE))
_OTHER_CODE = 128


def running(record: Object, pid: int, started_s: float, rootfs_path: str, log_path: str) -> Object:
    return record.with_status(
        state="running",
        pid=pid,
        paused=False,
        started_at=rfc3339_micro(started_s),
        finished_at=str(record.status.get("finished_at") or ""),  # of its last run, as Docker shows it
        exit_code=0,
        oom_killed=False,
        reason="",
        message="",
        rootfs_path=rootfs_path,
        log_path=log_path,
    )


def exited(record: Object, exit: Exit) -> Object:
    """It has ended.  One that nobody saw start has started when it ended."""
    at = rfc3339_micro(exit.at_s)
    reason = "OOMKilled" if exit.oom_killed else "" if exit.known else "ContainerStatusUnknown"
    return record.with_status(
        state="exited",
        pid=0,
        paused=False,
        started_at=record.status.get("started_at") or at,
        finished_at=at,
        exit_code=exit.code,
        oom_killed=exit.oom_killed,
        reason=reason,
        message="" if exit.known else "the container's monitor was lost and with it the exit code",
    )


def lost(record: Object, at_s: float) -> Object:
    """The runtime knows nothing of it any more: the machine was started anew."""
    return record.with_status(
        state="exited",
        pid=0,
        paused=False,
        finished_at=rfc3339_micro(at_s),
        exit_code=137,
        oom_killed=False,
        reason="ContainerStatusUnknown",
        message="the container could not be found after a restart",
    )


def failed(record: Object, error: CloudError, at_s: float) -> Object:
    """It could not be made, or (the runtime has refused) not started."""
    said = str(error)
    words = said.lower() if "exec" in said.lower() else ""  # a mount or a device may not be found either
    code = next((code for code, signs in _CODES if any(sign in words for sign in signs)), _OTHER_CODE)
    return record.with_status(
        state="failed",
        pid=0,
        paused=False,
        started_at="",
        finished_at=rfc3339_micro(at_s),
        exit_code=code,
        oom_killed=False,
        reason="ContainerCannotRun" if isinstance(error, Refusal) else "CreateContainerError",
        message=said,
    )


def is_stale(record: Object, exit: Exit) -> bool:
    """Whether `exit` tells of a run before the one that the record tells of."""
    started_at = str(record.status.get("started_at") or "")
    return bool(started_at) and exit.at_s < from_rfc3339(started_at) - STALE_S


@dataclass(frozen=True, slots=True)
class Adoption:
    """What a new daemon does about one container.

    keep      it runs, or its exit is about to be told
    started   it runs, but the last daemon died before it could say so
    lost      the record says it runs, the runtime does not know it
    undo      the runtime has something of it that no record calls running
    orphan    the same, and there is no record at all
    """

    id: str
    what: Literal["keep", "started", "lost", "undo", "orphan"]
    pid: int = 0
    paused: bool = False


def plan_adoption(records: Sequence[Object], states: Mapping[str, State]) -> list[Adoption]:
    """Compare what the records say with what the runtime has."""
    plan = [_adopt(record, states.get(record.meta.name)) for record in records]
    known = {record.meta.name for record in records}
    return [*filter(None, plan), *(Adoption(id, "orphan") for id in states if id not in known)]


def _adopt(record: Object, state: State | None) -> Adoption | None:
    id, said = record.meta.name, record.status["state"]
    if said == "running":
        alive = state is not None and state.state != "created"
        pid, paused = (state.pid, state.paused) if state is not None else (0, False)
        return Adoption(id, "keep", pid, paused) if alive else Adoption(id, "lost", pid)
    if state is None:
        return None
    if said == "created" and state.state != "created":
        return Adoption(id, "started" if state.state == "running" else "keep", state.pid)
    return Adoption(id, "undo")
