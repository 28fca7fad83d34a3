"""Begins the steps of plans, each as a task of its own, and sees to those that fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from coracle.compose.projects import objects
from coracle.compose.projects.asking import Asking, Refused, path
from coracle.compose.projects.deeds import Deeds
from coracle.compose.projects.objects import Spec, spec_of, taken_back, with_spec
from coracle.compose.projects.seen import Present
from coracle.compose.projects.steps import Create, Start, Step, about
from coracle.compose.projects.work import Work
from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import CloudError, NotFound
from coracle.core.object import Object
from coracle.core.tasks import Tasks

log = logging.getLogger(__name__)

AT_ONCE = 8  # containers of all projects that are made or started at the same time


class Doing:
    """`tasks` is a Part, in which the steps are done; `wake(project)` is called after each."""

    def __init__(self, docker: Asking, records: Collection, clock: Clock, wake: Callable[[str], None]) -> None:
        self._docker, self._records, self._clock, self._wake = docker, records, clock, wake
        self._places = asyncio.Semaphore(AT_ONCE)
        self.tasks = Tasks()

    def begin(self, step: Step, spec: Spec, present: Present, work: Work) -> float:
        """Begin a step that is not under way.  Returns in how many seconds it may be tried again; 0: it has begun."""
        rest_s = work.rest_s(step.subject, self._clock.monotonic_s())
        if rest_s <= 0:
            work.busy[step.subject] = step
            self.tasks.begin(self._do(step, spec, present, work), name=f"{spec.name} {step.subject}")
        return rest_s

    async def _do(self, step: Step, spec: Spec, present: Present, work: Work) -> None:
        try:
            await self._try(step, spec, present, work)
        except CloudError as error:
            log.error("project %s, %s: %s", spec.name, step.subject, error)
        except Exception:  # one project's trouble is not the others'
            log.exception("project %s, %s", spec.name, step.subject)
        finally:
            del work.busy[step.subject]
            self._wake(spec.name)

    async def _try(self, step: Step, spec: Spec, present: Present, work: Work) -> None:
        deeds = Deeds(self._docker, spec, present, work.tell)
        try:
            if isinstance(step, (Create, Start)):
                async with self._places:
                    done = await deeds.do(step)
            else:
                done = await deeds.do(step)
            if not done and spec.going is None and spec.undo is None:
                raise Refused(f"{step.subject} is used by others: it cannot be made anew", 409)
        except CloudError as error:
            await self._failed(step, spec, error, work)
        except Exception:
            log.exception("%s: %s failed", spec.name, step)
            await self._failed(step, spec, Refused("internal error", 500), work)
        else:
            work.pauses.pop(step.subject, None)
            if not done and work.turn == spec.turn:
                work.given_up.add(step.subject)

    async def _failed(self, step: Step, spec: Spec, error: CloudError, work: Work) -> None:
        one = about(step)
        if one is not None and await self._docker.find(path("containers", one.id, "json")) is None:
            work.pauses.pop(step.subject, None)
            return  # somebody has removed it meanwhile: the next plan knows
        if work.turn != spec.turn:
            log.info("project %s, %s: %s; something else is asked for by now", spec.name, step.subject, error)
            return
        work.pause(step.subject, self._clock.monotonic_s())
        log.warning("project %s, %s: %s", spec.name, step.subject, error)
        work.tell(one.title if one else step.subject, "Error", str(error))
        work.error = work.error or f"{_whose(step)}: {error}"
        if spec.trial is not None:
            await self._take_back(spec, work)

    async def _take_back(self, spec: Spec, work: Work) -> None:
        def undone(obj: Object) -> Object:
            now = spec_of(obj)
            return with_spec(obj, taken_back(now)) if now.turn == spec.turn else obj

        try:
            await self._records.change(objects.key(spec.name), undone)
        except NotFound:
            return
        work.pauses.clear()


def _whose(step: Step) -> str:
    one = about(step)
    service = one.service if one else step.service if isinstance(step, Create) else ""
    return f'service "{service}"' if service else step.subject
