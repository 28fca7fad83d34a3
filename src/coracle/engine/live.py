"""What can be asked of a container that runs: signals, pauses, limits, a terminal's size, what it uses.

Called by `containers`.
"""

from __future__ import annotations

import contextlib
import signal as signals
from collections.abc import Sequence
from dataclasses import asdict

from coracle.core.collection import Collection
from coracle.core.errors import Conflict, NotFound, Unsupported
from coracle.core.object import Object
from coracle.engine import signals as names
from coracle.engine.kinds import container as containers
from coracle.engine.locks import KeyedLocks
from coracle.runtime.api import Adjusts, Group, Measures, Resources, Runtime, Usage


class Live:
    """Each of these raises NotFound, and Conflict where it does not run."""

    def __init__(self, records: Collection, locks: KeyedLocks, runtime: Runtime) -> None:
        self._records, self._locks, self._runtime = records, locks, runtime

    @property
    def lacking(self) -> frozenset[str]:
        return self._runtime.lacking if isinstance(self._runtime, Adjusts) else frozenset()

    def usage(self, id: str) -> Usage:
        self._running(id)
        return self._measures.usage(id)

    def processes(self, id: str) -> Sequence[int]:
        self._running(id)
        return self._measures.processes(id)

    def resize(self, id: str, columns: int, rows: int) -> None:
        self._running(id)
        with contextlib.suppress(NotFound):  # it is ending
            self._runtime.resize(id, columns, rows)

    async def update(self, id: str, resources: Resources) -> Object:
        """Where it does not run, the record alone."""
        async with self._locks.of(id):
            record = self._get(id)
            if record.status["state"] == "running":
                await self._adjusts.update(id, resources)
            return await self._records.change(record.key, lambda now: now.with_spec(resources=asdict(resources)))

    async def regroup(self, ids: Sequence[str], group: Group) -> None:
        """Change what containers are limited to together, and what the records of `ids` say of it."""
        await self._adjusts.update_group(group)
        for id in ids:
            async with self._locks.of(id):
                await self._records.change(containers.key(id), lambda now: now.with_spec(group=asdict(group)))

    async def freeze(self, id: str, *, paused: bool) -> Object:
        """Raises Conflict also where it is so already."""
        async with self._locks.of(id):
            record = self._running(id)
            if record.status.get("paused", False) == paused:
                said = "already" if paused else "not"
                raise Conflict(f"container {id} is {said} paused", kind="Container", name=id)
            await (self._adjusts.pause(id) if paused else self._adjusts.resume(id))
            return await self._records.change(record.key, lambda now: now.with_status(paused=paused))

    async def thaw(self, id: str) -> None:
        """Where it is paused: what has been sent to it can reach it."""
        record = self._records.find(containers.key(id))
        if record is not None and record.status.get("paused"):
            with contextlib.suppress(NotFound, Conflict):  # it has ended meanwhile, or somebody was quicker
                await self.freeze(id, paused=False)

    async def kill(self, id: str, number: int) -> None:
        """A signal for its first process; one that ends it lets a paused container go on, to end."""
        record = self._running(id)
        await self.send(id, number)
        if number in (signals.SIGKILL, names.to_number(record.spec["stop_signal"])):
            await self.thaw(id)

    async def send(self, id: str, number: int, *, all: bool = False) -> None:
        """The same, and no error where it has ended meanwhile, and been let go."""
        with contextlib.suppress(NotFound):
            await self._runtime.kill(id, number, all=all)

    def _get(self, id: str) -> Object:
        return self._records.get(containers.key(id))

    def _running(self, id: str) -> Object:
        record = self._get(id)
        if record.status["state"] != "running":
            raise Conflict(f"container {id} is not running", kind="Container", name=id)
        return record

    @property
    def _measures(self) -> Measures:
        if not isinstance(self._runtime, Measures):
            raise Unsupported("this runtime cannot tell what a container uses", status=501)
        return self._runtime

    @property
    def _adjusts(self) -> Adjusts:
        if not isinstance(self._runtime, Adjusts):
            raise Unsupported("this runtime can neither change limits nor pause", status=501)
        return self._runtime
