"""What is to be done about a container that does not run; pure.

    created            nothing
    exited, --rm       remove
    exited, policy     restart after 100 ms, 200 ms ... 1 min; from 100 ms again after it has run for 10 s
    else               rest: what it has of the network goes

A start that a user asked for and that did not work is not tried again; one that the policy asked for neither.
Source: docker.md 6.1; Docker's documentation, "Start containers automatically".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object
from coracle.docker.containers.details import is_docker, life, removes_itself, restart_policy
from coracle.engine import signals

FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 60.0
LASTING_S = 10.0  # a run this long ends the row of quick ends


@dataclass(frozen=True, slots=True)
class Nothing:
    """It runs, or is not ours."""


@dataclass(frozen=True, slots=True)
class Rest:
    """It has ended and stays: let go of its sandbox and ports."""


@dataclass(frozen=True, slots=True)
class Remove:
    """--rm."""


@dataclass(frozen=True, slots=True)
class Restart:
    """By its policy, in `after_s` seconds; 0: now."""

    after_s: float


Plan = Nothing | Rest | Remove | Restart


def plan(record: Object, now_s: float) -> Plan:
    state = record.status["state"]
    if state == "running" or not is_docker(record):
        return Nothing()
    if state == "created":
        return Rest()
    if awaits_restart(record):
        return Restart(max(0.0, from_rfc3339(record.status["finished_at"]) + delay_s(record) - now_s))
    return Remove() if removes_itself(record) else Rest()


def awaits_restart(record: Object) -> bool:
    """Whether its policy will start it again: Docker's state "restarting"."""
    if record.status["state"] != "exited" or life(record).get("ManuallyStopped"):
        return False
    name, most = restart_policy(record)
    if name == "on-failure":
        left = not most or int(life(record).get("RestartCount") or 0) < most
        return left and record.status.get("exit_code") != 0
    return name in ("always", "unless-stopped")


def delay_s(record: Object) -> float:
    """How long after its end it is started again."""
    row = 0 if _lasted(record) else int(life(record).get("Backoff") or 0)
    return min(FIRST_DELAY_S * 2.0 ** min(row, 30), LONGEST_DELAY_S)


def restarted(record: Object) -> Mapping[str, Any]:
    """What to note when the policy starts it once more."""
    before = life(record)
    return {
        "RestartCount": int(before.get("RestartCount") or 0) + 1,
        "Backoff": 1 if _lasted(record) else int(before.get("Backoff") or 0) + 1,
    }


def _lasted(record: Object) -> bool:
    started_at, finished_at = record.status.get("started_at"), record.status.get("finished_at")
    if not started_at or not finished_at:
        return False
    return from_rfc3339(finished_at) - from_rfc3339(started_at) >= LASTING_S


def is_deadly(record: Object, signal: str) -> bool:
    """Whether a user who sends `signal` means the container to end and stay so."""
    number = signals.to_number(signal)
    return number in (signals.to_number("KILL"), signals.to_number(record.spec["stop_signal"]))
