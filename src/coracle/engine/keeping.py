"""Keeping what runs: the logs of containers, the news of their end, and finding them again after the daemon's.

Called by `containers`.  A record exists before anything of its container does and goes after everything of it is gone,
so a new daemon finds whatever the last one left: running containers go on, those that have ended meanwhile get their
true exit code, half started ones are undone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import CloudError, Unavailable
from coracle.core.object import Object
from coracle.engine import states
from coracle.engine.endings import Endings
from coracle.engine.images import Images
from coracle.engine.kinds import container as containers
from coracle.engine.locks import KeyedLocks
from coracle.engine.rotation import Rotation
from coracle.runtime.api import Exit, Runtime

log = logging.getLogger(__name__)

_RETRY_S = 1.0  # when the store cannot keep an exit


class Keeping:
    """`log_path` says where a container's log is."""

    def __init__(
        self,
        records: Collection,
        clock: Clock,
        runtime: Runtime,
        images: Images,
        *,
        locks: KeyedLocks,
        endings: Endings,
        log_path: Callable[[str], str],
    ) -> None:
        self._records, self._clock, self._runtime, self._images = records, clock, runtime, images
        self._locks, self._endings, self._log_path = locks, endings, log_path
        self._rotation = Rotation()
        self._unsaid: set[str] = set()  # adopted before their record could say that they ran
        self._visits: Counter[str] = Counter()  # who looks at its files, running or not
        self._left: asyncio.Queue[str] = asyncio.Queue()  # whose visitors have gone

    # -- while it is there ---------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def mounted(self, id: str) -> AsyncIterator[str]:
        """Where its root file system is mounted, for the time of the body, whether it runs or not.  Raises NotFound."""
        async with self._locks.of(id):
            image = self._images.get(self._get(id).spec["image_id"])
            path = await self._images.mount(image, id)
            self._visits[id] += 1
        try:
            yield path
        finally:
            self._visits[id] -= 1
            self._left.put_nowait(id)

    async def _clear_up(self) -> None:
        """Unmount the root file systems that nobody needs any more.

        Not where they are left: who leaves may be cancelled, and an unmounting that goes on without its lock would meet
        the next one's mounting.
        """
        while True:
            id = await self._left.get()
            try:
                async with self._locks.of(id):
                    await self._leave(id)
            except Exception:  # one container's trouble is not the others'
                log.exception("the root file system of container %s stays mounted", id)

    async def _leave(self, id: str) -> None:
        if self._visits[id]:
            return
        del self._visits[id]
        record = self._find(id)
        if record is None or record.status["state"] != "running":
            await self._images.unmount(id)

    async def let_go(self, id: str) -> None:
        """Take what it has in the kernel away; its files and its log stay."""
        await self._runtime.delete(id)
        self._rotation.drop(self._log_path(id))
        if not self._visits[id]:
            await self._images.unmount(id)

    def keep_log(self, record: Object, path: str) -> None:
        """Keep older files of its log, as many as it asks for."""
        try:
            if path:
                self._rotation.keep(path, record.spec.get("log_files", 2) - 1)
        except OSError as error:  # no more inotify watches: it runs all the same, with a shorter memory
            log.warning("the log %s keeps no older file: %s", path, error)

    def _kept_log_path(self, record: Object) -> str:
        """Where the log of one that runs already is; "" where it keeps none."""
        return self._log_path(record.meta.name) if record.spec.get("keeps_log", True) else ""

    # -- the end, and the beginning of the daemon ----------------------------------------------------------------

    async def run(self, up: Callable[[], None]) -> None:
        """Until cancelled; `up` once what the last daemon left is adopted."""
        await self._adopt()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._clear_up(), name="clear up")
                up()
                async for exit in self._runtime.exits():
                    group.create_task(self.end(exit), name=f"end {exit.id[:12]}")
        finally:
            self._rotation.close()

    async def _adopt(self) -> None:
        present = {state.id: state for state in await self._runtime.states()}
        for found in states.plan_adoption(self._records.list(), present):
            try:
                await self._adopt_one(found)
            except CloudError:
                log.exception("container %s cannot be adopted (%s)", found.id, found.what)

    async def _adopt_one(self, found: states.Adoption) -> None:
        at_s, key = self._clock.now_s(), containers.key(found.id)
        match found.what:
            case "keep":
                self._unsaid.add(found.id)  # if it ends, that counts, whatever the record says now
                record = self._get(found.id)
                self.keep_log(record, self._kept_log_path(record))
                if record.status["state"] == "running":
                    await self._records.change(key, lambda now: now.with_status(paused=found.paused))
            case "started":
                record = self._get(found.id)
                rootfs_path = await self._images.mount(self._images.get(record.spec["image_id"]), found.id)
                log_path = self._kept_log_path(record)
                self.keep_log(record, log_path)
                await self._records.change(key, lambda now: states.running(now, found.pid, at_s, rootfs_path, log_path))
            case "lost":
                await self._records.change(key, lambda now: states.lost(now, at_s))
                await self.let_go(found.id)
            case "undo":
                await self.let_go(found.id)
            case "orphan":
                log.info("container %s has no record: removed", found.id)
                await self.let_go(found.id)
                await self._images.discard(found.id)

    async def end(self, exit: Exit) -> None:
        """It has ended: say so, and let go of what it used."""
        try:
            async with self._locks.of(exit.id):
                await self._end_locked(exit)
        except Exception:  # one container's trouble is not the others'
            log.exception("the end of container %s cannot be handled", exit.id)

    async def _end_locked(self, exit: Exit) -> None:
        record = self._find(exit.id)
        if record is not None:
            state = record.status["state"]
            if state == "running" and states.is_stale(record, exit):
                return
            if state == "running" or (state == "created" and exit.id in self._unsaid):
                self._unsaid.discard(exit.id)
                self._endings.tell(await self._commit_end(record, exit))
        await self.let_go(exit.id)

    async def _commit_end(self, record: Object, exit: Exit) -> Object:
        while True:
            try:
                return await self._records.change(record.key, lambda now: states.exited(now, exit))
            except Unavailable as error:  # the disk is full: what has happened has to be said in the end
                log.error("the end of container %s cannot be kept: %s", exit.id, error)
                await self._clock.sleep(_RETRY_S)

    def _find(self, id: str) -> Object | None:
        return self._records.find(containers.key(id))

    def _get(self, id: str) -> Object:
        return self._records.get(containers.key(id))
