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
    """`why`: what is said where it cannot come true by itself; `word`: of the containers waited for, in progress."""

    answer: Answer
    why: str = ""
    word: str = ""


YES = Verdict("yes")


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
    waiting = False
    for one in containers:
        if one.state == "exited":
            return _unhealthy(f"container {one.name} exited ({one.exit_code})", or_running=or_running)
        if not one.run or one.state not in ("running", "paused"):
            waiting = True
        elif not one.health:
            if not or_running:
                return _unhealthy(f"container {one.name} has no healthcheck configured", or_running=False)
        elif one.health == "unhealthy":
            return _unhealthy(f"container {one.name} is unhealthy", or_running=or_running)
        elif one.health != "healthy":
            waiting = True
    return Verdict("not yet", word="Waiting") if waiting else Verdict("yes", word="Healthy")


def _unhealthy(why: str, *, or_running: bool) -> Verdict:
    return Verdict("never", why if or_running else f"dependency failed to start: {why}", "Error")


def is_required(how: Mapping[str, Any]) -> bool:
    return bool(how.get("required", True))


def optional(name: str, why: str) -> str:
    """`why` of a dependency that is not required."""
    rest = why.removeprefix("dependency ").removeprefix(f'service "{name}" ')
    return f'optional dependency "{name}" {rest}'
