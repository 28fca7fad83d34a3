"""Docker's words for the state a container is in; pure.

    the engine's   created  running  running+paused  exited               failed
    Docker's       created  running  paused          exited, restarting   created (with an error)

Source: moby api/types/container (State), daemon/container/state.go for the texts of `docker ps`; go-units' durations.
"""

from __future__ import annotations

from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.durations import ago
from coracle.core.object import Object
from coracle.docker.containers.details import is_docker, life
from coracle.docker.containers.plans import awaits_restart

NEVER = "0001-01-01T00:00:00Z"
STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")


def state(record: Object) -> str:
    """One of STATES."""
    said = record.status["state"]
    if said == "running":
        return "paused" if record.status.get("paused") else "running"
    if said == "failed":
        return "exited" if record.status.get("started_at") else "created"
    if said == "exited" and is_docker(record) and awaits_restart(record):
        return "restarting"
    return str(said)


def is_alive(record: Object) -> bool:
    """Running as Docker counts it: also while paused, and between two runs of a restart policy."""
    return state(record) in ("running", "paused", "restarting")


def health(record: Object) -> str:
    """ "healthy", "unhealthy", "starting" or "none".  What does not run is not healthy."""
    said = str((life(record).get("Health") or {}).get("Status") or "none")
    return said if said == "none" or record.status["state"] == "running" else "unhealthy"


def inspected(record: Object) -> dict[str, Any]:
    """`State` of inspect, without the health's log."""
    word, status = state(record), record.status
    failed = status["state"] == "failed"
    error = str(life(record).get("Error") or (status.get("message") if failed else "") or "")
    return {
        "Status": word,
        "Running": is_alive(record),
        "Paused": word == "paused",
        "Restarting": word == "restarting",
        "OOMKilled": bool(status.get("oom_killed")),
        "Dead": False,
        "Pid": int(status.get("pid") or 0),
        "ExitCode": _exit_code(record, failed=failed, error=error),
        "Error": error,
        "StartedAt": status.get("started_at") or NEVER,
        "FinishedAt": NEVER if word == "created" else status.get("finished_at") or NEVER,
    }


def _exit_code(record: Object, *, failed: bool, error: str) -> int:
    """Of its last run; 128 where a start came to nothing before the runtime heard of it."""
    return 128 if error and not failed else int(record.status.get("exit_code") or 0)


def sentence(record: Object, now_s: float) -> str:
    """What `docker ps` says: "Up 3 seconds (healthy)", "Exited (0) 2 minutes ago"."""
    word, status = state(record), record.status
    if word == "created":
        return "Created"
    if word in ("running", "paused"):
        up = f"Up {ago(now_s - from_rfc3339(status['started_at']))}"
        found = health(record)
        note = "Paused" if word == "paused" else "health: starting" if found == "starting" else found
        return up if note == "none" else f"{up} ({note})"
    said = "Restarting" if word == "restarting" else "Exited"
    since_s = now_s - from_rfc3339(status.get("finished_at") or status.get("started_at") or record.meta.created)
    return f"{said} ({status.get('exit_code') or 0}) {ago(since_s)} ago"
