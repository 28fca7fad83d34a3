"""Health checks: what is looked at, how often, and what a look means; pure.

A container is "starting" until a look passes.  Docker looks for the first time after a whole interval; here the first
look is at once, and the next ones follow after 0.1, 0.15, 0.22 ... seconds, up to the interval, for as long as Docker
would not have counted a failure: until the start period, and at least one interval, is over.  So a container is healthy
as soon as it is ready, and unhealthy no sooner than in Docker.

    0 s         interval                       2 intervals        3 intervals
    |.. . .  .  1st failure that counts        2nd                3rd: unhealthy (3 retries)

Source: Docker's documentation, "HEALTHCHECK"; moby daemon/health.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from coracle.core.object import Object
from coracle.docker.containers.details import config

Health = Literal["starting", "healthy", "unhealthy"]

INTERVAL_S, TIMEOUT_S, RETRIES = 30.0, 30.0, 3
QUICK_S, GROWTH = 0.1, 1.5
OUTPUT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Check:
    """`argv` is run in the container; it is healthy when that exits 0.  `start_interval_s` 0: see above."""

    argv: tuple[str, ...]
    interval_s: float = INTERVAL_S
    timeout_s: float = TIMEOUT_S
    start_period_s: float = 0.0
    start_interval_s: float = 0.0
    retries: int = RETRIES

    @property
    def patience_s(self) -> float:
        """How long after the start a failure does not count."""
        return max(self.start_period_s, self.interval_s)


@dataclass(frozen=True, slots=True)
class Condition:
    """What is known of a container's health; `streak`: failures in a row that count."""

    health: Health = "starting"
    streak: int = 0

    def after(self, passed: bool, check: Check, since_start_s: float) -> Condition:
        """What is known after a look that began so long after the container's start."""
        if passed:
            return Condition("healthy", 0)
        if self.health == "starting" and since_start_s < check.patience_s:
            return self
        failed = replace(self, streak=self.streak + 1)
        return replace(failed, health="unhealthy") if failed.streak >= check.retries else failed


def check_of(record: Object) -> Check | None:
    """What to look at; None: nothing, or it is switched off."""
    found: Mapping[str, Any] = config(record).get("Healthcheck") or {}
    test = found.get("Test") or ()
    if not test or test[0] == "NONE" or len(test) < 2:
        return None
    shell = config(record).get("Shell") or ("/bin/sh", "-c")
    argv = tuple(test[1:]) if test[0] == "CMD" else (*shell, test[1])
    return Check(
        argv=argv,
        interval_s=_s(found.get("Interval"), INTERVAL_S),
        timeout_s=_s(found.get("Timeout"), TIMEOUT_S),
        start_period_s=_s(found.get("StartPeriod"), 0.0),
        start_interval_s=_s(found.get("StartInterval"), 0.0),
        retries=int(found.get("Retries") or RETRIES),
    )


def pause_s(check: Check, condition: Condition, looks: int, since_start_s: float) -> float:
    """How long to wait before the next look, when there were so many."""
    if condition.health != "starting" or since_start_s >= check.patience_s:
        return check.interval_s
    if check.start_interval_s:
        return check.start_interval_s if since_start_s < check.start_period_s else check.interval_s
    quick_s = min(QUICK_S * GROWTH ** min(looks - 1, 30), check.interval_s)
    return min(quick_s, max(check.patience_s - since_start_s, QUICK_S))


def _s(time_ns: Any, default_s: float) -> float:
    return int(time_ns) / 1e9 if time_ns else default_s
