"""Starts, stops and removes Docker's containers: the only module that does.

    start    mounts -> sandbox -> ports -> the engine's start
    the end  the engine says "exited" -> ports, sandbox, mounts go -> rest, restart or removal (plans)

What is due after an end is done by `settle`, which reads the record and does what it calls for: the loop calls it after
every change, and so does who has to answer a client, so that whoever hears of an end finds ports and address free.

Operations on one container take turns, but for waiting until it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from coracle.core.clock import Clock
from coracle.core.errors import CloudError, Conflict, NotFound, Timeout
from coracle.core.object import Object
from coracle.docker.containers import plans
from coracle.docker.containers.checks import check_of
from coracle.docker.containers.details import has_started, is_docker, life, removes_itself, restart_policy
from coracle.docker.containers.homes import Homes
from coracle.docker.containers.wording import start_failure
from coracle.docker.mounts import Mounts
from coracle.engine.containers import Containers
from coracle.engine.locks import KeyedLocks

_FRESH: Mapping[str, Any] = {"RestartCount": 0, "Backoff": 0, "ManuallyStopped": False, "Error": ""}
_KILLED_S = 10.0  # from SIGKILL until its end is known, as in moby's Kill


class Lives:
    def __init__(self, containers: Containers, homes: Homes, mounts: Mounts, clock: Clock) -> None:
        self._containers, self._homes, self._mounts, self._clock = containers, homes, mounts, clock
        self._locks = KeyedLocks()
        self._held: set[str] = set()  # between the two halves of `restart`: what has ended is about to start again

    async def start(self, id: str) -> None:
        """Let it run, as a user asks: what its policy has counted is forgotten.

        Raises: NotFound, what the engine's start and the ports raise; then nothing is left but the record, or with
                --rm nothing at all.
        """
        async with self._locks.of(id):
            record = self._containers.get(id)
            if record.status["state"] == "running":
                return
            await self._begin(record)

    async def stop(self, id: str, grace_s: float, signal: str = "") -> None:
        """End it and keep it so.  Raises NotFound, Malformed (signal), Timeout."""
        await self._keep_stopped(id)
        await self._containers.stop(id, grace_s, signal or None)
        await self.settle(id)

    async def kill(self, id: str, signal: str) -> None:
        """Send a signal.  Raises NotFound, Conflict (it does not run), Malformed."""
        record = self._containers.get(id)
        if plans.awaits_restart(record):
            await self._keep_stopped(id)
            return
        if plans.is_deadly(record, signal):
            await self._keep_stopped(id)
        await self._containers.kill(id, signal)

    async def wait_killed(self, id: str) -> None:
        """Until it has ended, or is gone.  Raises Timeout: not even SIGKILL has ended it."""
        try:
            async with asyncio.timeout(_KILLED_S):
                await self._containers.wait_exit(id)
        except NotFound:
            return
        except TimeoutError as error:
            said = f"container {id}: tried to kill container, but did not receive an exit event"
            raise Timeout(said, kind="Container", name=id) from error

    async def restart(self, id: str, grace_s: float, signal: str = "") -> None:
        """Stop it and let it run anew, with --rm too.  Raises as `stop` and `start`."""
        self._held.add(id)
        try:
            await self._containers.stop(id, grace_s, signal or None)
            async with self._locks.of(id):
                await self._begin(self._containers.get(id))
        finally:
            self._held.discard(id)

    async def remove(self, id: str, *, force: bool = False, anonymous: bool = False) -> None:
        """Forget it; `anonymous`: and its anonymous volumes.  Raises NotFound, Conflict (it runs), Timeout."""
        async with self._locks.of(id):
            record = self._containers.get(id)
            if record.status["state"] == "running" and not force:
                raise Conflict(f"container {id} is running", kind="Container", name=id)
            await self._remove(record, anonymous=anonymous)

    async def settle(self, id: str) -> float | None:
        """Do what is due after an end.  Returns in how many seconds to look again; None: when something changes."""
        async with self._locks.of(id):
            record = self._containers.find(id)
            if record is None or id in self._held:
                return None
            match plans.plan(record, self._clock.now_s()):
                case plans.Rest():
                    await self._let_go(record)
                case plans.Remove():
                    await self._remove(record, anonymous=True)
                case plans.Restart(after_s):
                    await self._let_go(record)
                    if after_s > 0:
                        return after_s
                    await self._restart(record)
                case plans.Nothing():
                    pass
        return None

    async def wake(self, id: str) -> None:
        """The daemon has started, and this one does not run.  Raises NotFound.

        With "always" it counts no more that a user had stopped it; with --rm it goes, even if it was never started.
        """
        async with self._locks.of(id):
            record = self._containers.get(id)
            if removes_itself(record):
                await self._remove(record, anonymous=True)
            elif restart_policy(record)[0] == "always" and has_started(record):
                await self._note(record, {"ManuallyStopped": False})

    # -- how -----------------------------------------------------------------------------------------------------

    async def _begin(self, record: Object) -> None:
        """A start that a user asked for: one that does not work is not tried again by the policy."""
        try:
            await self._let_go(record)  # of what the run before may still have
            await self._start(record, _FRESH)
        except CloudError as error:
            if removes_itself(record):
                await self._remove(record, anonymous=True)
            else:
                present = self._containers.get(record.meta.name)
                await self._note(present, {"Error": str(error), "ManuallyStopped": True})
            raise

    async def _restart(self, record: Object) -> None:
        """By its policy.  Counted once it is done: until then the record says "restarting", also at its last try."""
        try:
            await self._start(record, {})
        finally:
            await self._note(self._containers.get(record.meta.name), plans.restarted(record))

    async def _start(self, record: Object, noted: Mapping[str, Any]) -> None:
        id = record.meta.name
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self._let_go, record)
            await self._mounts.start(record)
            ports = await self._homes.enter(record)
            health = {"Status": "starting"} if check_of(record) is not None else {}
            record = await self._note(record, {**noted, "Ports": ports, "Health": health})
            try:
                await self._containers.start(id)
            except CloudError as error:
                raise start_failure(self._containers.get(id), error) from error
            undo.pop_all()

    async def _let_go(self, record: Object) -> None:
        """Of everything that it has only while it runs.  Idempotent, and cheap where there is nothing."""
        await self._homes.leave(record)
        await self._mounts.stop(record)

    async def _remove(self, record: Object, *, anonymous: bool) -> None:
        id = record.meta.name
        if record.status["state"] == "running":
            await self._containers.stop(id, 0)
        if is_docker(record):
            await self._let_go(record)
            if anonymous:
                await self._mounts.settle(record, passing=True)
        await self._containers.remove(id)
        if is_docker(record):
            await self._mounts.drop(record, anonymous=anonymous)

    async def _keep_stopped(self, id: str) -> None:
        """Before it ends, so that no restart comes in between."""
        async with self._locks.of(id):
            record = self._containers.get(id)
            if is_docker(record) and restart_policy(record)[0] != "no":
                await self._note(record, {"ManuallyStopped": True})

    async def _note(self, record: Object, noted: Mapping[str, Any]) -> Object:
        """Nothing is written where nothing changes; what is false or empty is not kept."""
        news = {name: value for name, value in noted.items() if (life(record).get(name) or None) != (value or None)}
        if not news:
            return record
        id = record.meta.name
        return await self._containers.note(id, lambda now: {k: v for k, v in {**now, **news}.items() if v})
