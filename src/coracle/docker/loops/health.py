"""Looks after the health of Docker's containers while they run.

A Part.  Each container that has a health check has a task, from its start to its end, that sleeps between looks.
Only a change of health is written down; the last looks are kept in memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from coracle.core.clock import Clock, from_rfc3339, rfc3339_micro
from coracle.core.errors import CloudError, NotFound
from coracle.core.informer import Informer
from coracle.core.object import Object
from coracle.core.store import Event
from coracle.core.tasks import Tasks
from coracle.docker.containers.checks import OUTPUT_BYTES, Check, Condition, check_of, pause_s
from coracle.docker.containers.details import is_docker, life
from coracle.docker.events import Events
from coracle.engine.containers import Containers
from coracle.engine.execs import Execs

log = logging.getLogger(__name__)

KEPT = 5  # looks


class HealthChecks:
    def __init__(self, containers: Containers, cache: Informer, execs: Execs, events: Events, clock: Clock) -> None:
        self._containers, self._cache, self._execs = containers, cache, execs
        self._events, self._clock = events, clock
        self._logs: dict[str, deque[dict[str, Any]]] = {}
        self._streaks: dict[str, int] = {}
        self._watching: dict[str, tuple[str, asyncio.Task[None]]] = {}  # id -> (started at, who looks)
        self._tasks = Tasks()

    def looks(self, id: str) -> list[dict[str, Any]]:
        """The last looks at a container, oldest first, as `State.Health.Log`."""
        return list(self._logs.get(id, ()))

    def streak(self, id: str) -> int:
        """Failures in a row."""
        return self._streaks.get(id, 0)

    async def run(self, up: Callable[[], None]) -> None:
        def begin() -> None:
            self._cache.listen(self._changed)
            for record in self._cache.list():
                self._follow(record)
            up()

        await self._tasks.run(begin)

    # -- who is looked at ----------------------------------------------------------------------------------------

    def _changed(self, event: Event) -> None:
        id = event.entry.key.name
        if event.type == "DELETED":
            self._end(id)
            self._logs.pop(id, None)
            self._streaks.pop(id, None)
        elif id in self._watching or event.entry.raw.find(b'"Healthcheck"') >= 0:
            self._follow(event.entry.object())

    def _follow(self, record: Object) -> None:
        id, started_at = record.meta.name, str(record.status.get("started_at") or "")
        check = check_of(record) if is_docker(record) and record.status["state"] == "running" else None
        if check is None:
            self._end(id)
            return
        before = self._watching.get(id)
        if before is not None and before[0] == started_at:
            return
        self._end(id)
        if self._tasks.running:
            self._logs[id], self._streaks[id] = deque(maxlen=KEPT), 0
            task = self._tasks.begin(self._keep_watch(record, check), name=f"health {id[:12]}")
            self._watching[id] = (started_at, task)

    def _end(self, id: str) -> None:
        _, task = self._watching.pop(id, ("", None))
        if task is not None:
            task.cancel()

    # -- looking -------------------------------------------------------------------------------------------------

    async def _keep_watch(self, record: Object, check: Check) -> None:
        try:
            await self._watch(record, check)
        except NotFound:
            return  # removed
        except Exception:  # one container's trouble is not the others'
            log.exception("the health of container %s is not looked after any more", record.meta.name)

    async def _watch(self, record: Object, check: Check) -> None:
        id, looks = record.meta.name, 0
        started_s = from_rfc3339(record.status["started_at"])
        condition = Condition((life(record).get("Health") or {}).get("Status") or "starting")
        while True:
            began_s = self._clock.now_s()
            if not self._is_paused(id):
                passed = await self._look(id, check)
                looks += 1
                before, condition = condition, condition.after(passed, check, began_s - started_s)
                self._streaks[id] = condition.streak
                if condition.health != before.health:
                    await self._tell(id, condition)
            since_s = self._clock.now_s() - started_s
            await self._clock.sleep(pause_s(check, condition, max(looks, 1), since_s))

    def _is_paused(self, id: str) -> bool:
        record = self._containers.find(id)
        return record is not None and bool(record.status.get("paused"))

    async def _look(self, id: str, check: Check) -> bool:
        began_s = self._clock.now_s()
        try:
            async with asyncio.timeout(check.timeout_s):
                outcome = await self._execs.run(id, check.argv)
            code, output = outcome.code, outcome.output[:OUTPUT_BYTES].decode(errors="replace")
        except TimeoutError:
            code, output = -1, f"Health check exceeded timeout ({check.timeout_s:g}s)"
        except CloudError as error:
            code, output = -1, str(error)
        ended_s = self._clock.now_s()
        look = {"Start": rfc3339_micro(began_s), "End": rfc3339_micro(ended_s), "ExitCode": code, "Output": output}
        self._logs.setdefault(id, deque(maxlen=KEPT)).append(look)
        return code == 0

    async def _tell(self, id: str, condition: Condition) -> None:
        health = {"Status": condition.health, "FailingStreak": condition.streak}
        record = await self._containers.note(id, lambda now: {**now, "Health": health})
        await self._events.publish_container(f"health_status: {condition.health}", record)
