"""GET /containers/{id}/stats: what a container uses, once or every second until it is removed.

However many watch one container, it is measured once a second; nobody watches, nothing is measured.
Source: Docker Engine API, "Get container stats based on resource usage".
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from coracle.core.clock import Clock
from coracle.core.errors import CloudError
from coracle.core.object import Object
from coracle.core.tasks import Tasks, offload
from coracle.docker.bodies import flag
from coracle.docker.containers.finding import Finder
from coracle.docker.door import Route
from coracle.docker.samples import Machine, Sample, shown
from coracle.engine.containers import Containers
from coracle.engine.sandboxes import Sandboxes
from coracle.linux.counters import links_of, machine_cpu_ns
from coracle.web.messages import Answer, Request, Response, Stream, dumps

PERIOD_S = 1.0


class Stats:
    """The area of the API that measures containers.  A Part."""

    def __init__(self, finder: Finder, containers: Containers, sandboxes: Sandboxes, clock: Clock) -> None:
        self._finder, self._containers, self._sandboxes, self._clock = finder, containers, sandboxes, clock
        self._machine = Machine(os.cpu_count() or 1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        self._series: dict[str, _Series] = {}
        self._tasks = Tasks()

    def routes(self) -> Iterable[Route]:
        return (Route("GET", "/containers/{id}/stats", self.stats),)

    async def run(self, up: Callable[[], None]) -> None:
        await self._tasks.run(up)

    async def stats(self, request: Request) -> Answer:
        """?stream=1&one-shot=0 -> 200, one JSON object each second, or one"""
        record = self._finder.get(request.params["id"])
        id = record.meta.name
        if flag(request, "stream", default=True):
            return Stream(200, self._lines(id))
        if record.status["state"] != "running":
            return Response.of(200, shown(record, self._machine, None, None))
        if flag(request, "one-shot"):
            return Response.of(200, shown(record, self._machine, await self.sample(id), None))
        async for record, now, before in self._pairs(id):
            if before is not None or now is None:
                return Response.of(200, shown(record, self._machine, now, before))
        return Response.of(200, shown(record, self._machine, None, None))  # removed meanwhile

    async def sample(self, id: str) -> Sample | None:
        """What it uses now; None where it does not run."""
        record = self._containers.find(id)
        if record is None or record.status["state"] != "running":
            return None
        sandbox = self._sandboxes.find(record.spec["sandbox"])
        pid = 0 if sandbox is None or sandbox.spec["host_network"] else int(record.status["pid"])
        try:
            return await offload(self._measure, id, pid)
        except CloudError:
            return None  # it has just ended

    def _measure(self, id: str, pid: int) -> Sample:
        links = links_of(pid) if pid else {}
        return Sample(self._clock.now_s(), self._containers.usage(id), machine_cpu_ns(), links)

    async def _lines(self, id: str) -> AsyncIterator[bytes]:
        """A running container is shown once there is something to compare with."""
        async for record, now, before in self._pairs(id):
            if now is None or before is not None:
                yield dumps(shown(record, self._machine, now, before)) + b"\n"

    async def _pairs(self, id: str) -> AsyncIterator[tuple[Object, Sample | None, Sample | None]]:
        """(record, now, before) at each measuring, until it is removed."""
        series = self._series.get(id)
        if series is None:
            series = self._series[id] = _Series()
            self._spawn(id, series)
        series.watchers += 1
        try:
            seen = -1
            while (record := self._containers.find(id)) is not None:
                if series.count != seen:
                    seen = series.count
                    yield record, series.now, series.before
                await series.next()
        finally:
            series.watchers -= 1
            if not series.watchers and series.task is not None:
                series.task.cancel()
                if self._series.get(id) is series:
                    del self._series[id]

    def _spawn(self, id: str, series: _Series) -> None:
        series.task = self._tasks.begin(self._keep(id, series), name="stats")

    async def _keep(self, id: str, series: _Series) -> None:
        while self._containers.find(id) is not None:
            series.add(await self.sample(id))
            await self._clock.sleep(PERIOD_S)
        series.tell()


class _Series:
    """The last two samples of one container, and who waits for the next."""

    def __init__(self) -> None:
        self.now: Sample | None = None
        self.before: Sample | None = None
        self.count = -1
        self.watchers = 0
        self.task: asyncio.Task[Any] | None = None
        self._changed = asyncio.Event()

    def add(self, sample: Sample | None) -> None:
        self.now, self.before = sample, self.now
        self.count += 1
        self.tell()

    def tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def next(self) -> None:
        await self._changed.wait()
