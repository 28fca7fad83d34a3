"""Whether a declaration has come true, or will not by itself; pure."""

from __future__ import annotations

from dataclasses import dataclass

from coracle.compose.projects.conditions import COMPLETED, RUNNING_OR_HEALTHY, Verdict, verdict
from coracle.compose.projects.objects import Spec
from coracle.compose.projects.seen import Present
from coracle.compose.projects.steps import Plan
from coracle.compose.projects.work import Work


@dataclass(frozen=True, slots=True)
class Settling:
    """done: everything is as it is declared.  decided: so, or it will not be by itself, for the reason in `error`."""

    done: bool
    decided: bool
    error: str = ""


UNDECIDED = Settling(False, False)


def settling(spec: Spec, present: Present, what: Plan, work: Work, *, stuck: bool = False) -> Settling:
    """`stuck`: all of the steps failed, and are tried again later."""
    if work.busy:
        return UNDECIDED
    if what.steps:
        return Settling(False, True, work.error) if stuck else UNDECIDED
    if what.failures:
        return Settling(False, True, work.error or what.failures[0])
    if what.pending:
        return UNDECIDED
    if work.error:
        return Settling(True, True, work.error)
    return _awaited(spec, present, work)


def _awaited(spec: Spec, present: Present, work: Work) -> Settling:
    """What `--wait` waits for beyond that."""
    awaited = {name for follower in work.followers for name in follower.waits_for}
    undecided = False
    for name in sorted(awaited & set(spec.services)):
        containers = present.of(name)
        found = verdict(_condition(spec, name), name, containers) if containers else Verdict("yes")
        for one in containers if found.word else ():
            work.tell_once(one.title, found.word)
        if found.answer == "never":
            return Settling(True, True, found.why)
        undecided = undecided or found.answer == "not yet"
    return Settling(True, not undecided)


def _condition(spec: Spec, name: str) -> str:
    """A service that others wait for to complete is not waited for to run."""
    waits = ((service.get("depends_on") or {}).get(name) or {} for service in spec.known.values())
    return COMPLETED if any(how.get("condition") == COMPLETED for how in waits) else RUNNING_OR_HEALTHY
