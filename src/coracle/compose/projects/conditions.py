"""Whether what a service waits for is so; pure.  The words of failures are Compose's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from coracle.compose.projects.seen import Seen

STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"
RUNNING_OR_HEALTHY = "service_running_or_healthy"  # what `--wait` waits for

Answer = Literal["yes", "not yet", "never"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`why`: what is said where it cannot come true by itself; `word`: of the containers waited for, in progress.

    `doubtful`: something worse may be about to be found, which says more.
    """

    answer: Answer
    why: str = ""
    word: str = ""
    doubtful: bool = False


YES = Verdict("yes")
_UNCHECKED = "has no healthcheck configured"


def verdict(condition: str, name: str, containers: Sequence[Seen]) -> Verdict:
    """On `containers` of the service `name`, all of which are as they are meant to be."""
    if condition == COMPLETED:
        return _completed(name, containers)
    if condition in (HEALTHY, RUNNING_OR_HEALTHY):
        return _healthy(containers, or_running=condition == RUNNING_OR_HEALTHY)
    return YES if all(one.run for one in containers) else Verdict("not yet")


def _completed(name: str, containers: Sequence[Seen]) -> Verdict:
    for one in containers:
        if one.state == "exited" and one.exit_code != 0:
            said = f'service "{name}" didn\'t complete successfully: exit {one.exit_code}'
            return Verdict("never", said, "Error")
    if all(one.state == "exited" and one.run for one in containers):
        return Verdict("yes", word="Exited")
    return Verdict("not yet", word="Waiting")


def _healthy(containers: Sequence[Seen], *, or_running: bool) -> Verdict:
    for one in containers:
        if why := _ill(one, or_running=or_running):
            said = f"container {one.name} {why}"
            doubtful = why == _UNCHECKED
            return Verdict("never", said if or_running else f"dependency failed to start: {said}", "Error", doubtful)
    if all(_runs(one) and one.health in ("", "healthy") for one in containers):
        return Verdict("yes", word="Healthy")
    return Verdict("not yet", word="Waiting")


def _ill(one: Seen, *, or_running: bool) -> str:
    """Why it cannot become healthy by itself; "" where it can."""
    if one.state == "exited":
        return f"exited ({one.exit_code})"
    if _runs(one) and not one.health and not or_running:
        return _UNCHECKED
    return "is unhealthy" if _runs(one) and one.health == "unhealthy" else ""


def _runs(one: Seen) -> bool:
    return bool(one.run) and one.state in ("running", "paused")


def is_required(how: Mapping[str, Any]) -> bool:
    return bool(how.get("required", True))


def optional(name: str, why: str) -> str:
    """`why` of a dependency that is not required."""
    rest = why.removeprefix("dependency ").removeprefix(f'service "{name}" ')
    return f'optional dependency "{name}" {rest}'
