"""Containers: the only writer of their records; makes, starts, ends and forgets them through the Runtime.

Called by the kubelet and by Docker's handlers.  Records are the only news: who wants to know watches them.

    create   commit the record, nothing else                                 1 commit
    start    mount -> runtime create -> runtime start -> commit "running"    1 commit
    the end  runtime.exits() -> commit "exited" -> let go of what it used    1 commit   (keeping)
    remove   everything of it goes, the record last                          1 commit

A record exists before anything of its container does and goes after everything of it is gone, so `run` finds at the
next start whatever the last daemon left, at whatever moment it died: running containers go on, those that have ended
meanwhile get their true exit code, half started ones are undone.

Operations on one container take turns; waiting for its end holds up nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import secrets
import signal as signal_numbers
from collections.abc import Callable, Sequence
from typing import Any

from coracle.core import claims
from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import CloudError, Conflict, NotFound, Timeout
from coracle.core.object import Key, Object
from coracle.core.selectors import EVERYTHING, Selector
from coracle.core.store import Store
from coracle.core.tasks import offload
from coracle.engine import bundles, signals, states
from coracle.engine.attachments import Attachment, Attachments
from coracle.engine.endings import Endings
from coracle.engine.images import Images
from coracle.engine.keeping import Keeping
from coracle.engine.kinds import container as containers
from coracle.engine.kinds.container import ContainerSpec, Security
from coracle.engine.kinds.image import combine
from coracle.engine.live import Live
from coracle.engine.locks import KeyedLocks
from coracle.engine.preparation import Preparation
from coracle.engine.sandboxes import Sandboxes
from coracle.linux.removal import remove_tree
from coracle.runtime.api import Bundle, Group, Process, Resources, Runtime, Streams, Usage

__all__ = ["ContainerSpec", "Containers", "Security", "combine"]

KILL_WAIT_S = 30.0  # after SIGKILL; a process that waits for a dead disk does not end

Change = Callable[[dict[str, Any]], dict[str, Any]]


class Containers:
    """`root_path` keeps the containers' logs.  A Part: up once what the last daemon left is adopted."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        runtime: Runtime,
        images: Images,
        sandboxes: Sandboxes,
        *,
        root_path: str,
    ) -> None:
        self._store, self._clock, self._runtime = store, clock, runtime
        self._images, self._sandboxes = images, sandboxes
        self._preparation = Preparation(self, images, sandboxes)
        self._logs_path = f"{root_path}/containers"
        self._records = Collection(containers.KIND, store, clock)
        self._locks, self._endings = KeyedLocks(), Endings()
        self._attachments = Attachments(runtime.attach)
        self._live = Live(self._records, self._locks, runtime)
        self._keeping = Keeping(
            self._records, clock, runtime, images, locks=self._locks, endings=self._endings, log_path=self.log_path
        )

    # -- reading -------------------------------------------------------------------------------------------------

    def find(self, id: str) -> Object | None:
        return self._records.find(containers.key(id))

    def get(self, id: str) -> Object:
        """Raises NotFound."""
        record = self.find(id)
        if record is None:
            raise NotFound(kind="Container", name=id)
        return record

    def find_named(self, name: str) -> Object | None:
        """The container whose own name that is."""
        entry = self._store.find(claims.TYPE, Key("", containers.name_claim(name)))
        return self.find(str(entry.object().body["holder"]).rpartition(" ")[2]) if entry else None

    def list(self, labels: Selector = EVERYTHING) -> Sequence[Object]:
        return self._records.list(labels=labels)

    async def wait_exit(self, id: str) -> Object:
        """Its record once it has ended or failed to start; at once where it has.

        Raises: NotFound, also when it is removed meanwhile.
        """
        return await self.ending(id)

    def ending(self, id: str) -> asyncio.Future[Object]:
        """`wait_exit` as a future, for who waits for other things too; the caller's own, to cancel at will."""
        record, future = self.get(id), self._endings.next(id)
        if record.status["state"] in ("exited", "failed"):
            future.set_result(record)
        return future

    def next_ending(self, id: str) -> asyncio.Future[Object]:
        """As `ending`, where an end that has been already does not count."""
        self.get(id)
        return self._endings.next(id)

    def log_path(self, id: str) -> str:
        """Where its log is, or will be."""
        return f"{self._logs_path}/{id}/log"

    @property
    def lacking(self) -> frozenset[str]:
        """The fields of Resources that this machine cannot keep; they have no effect."""
        return self._live.lacking

    def usage(self, id: str) -> Usage:
        """What it uses now.  Raises NotFound, Conflict (it does not run), Unsupported."""
        return self._live.usage(id)

    def processes(self, id: str) -> Sequence[int]:
        """The host's numbers of all its processes.  Raises as `usage`."""
        return self._live.processes(id)

    def mounted(self, id: str) -> contextlib.AbstractAsyncContextManager[str]:
        """Where its root file system is mounted, for the time of the body, whether it runs or not.  Raises NotFound."""
        return self._keeping.mounted(id)

    # -- life ----------------------------------------------------------------------------------------------------

    async def create(self, spec: ContainerSpec) -> Object:
        """Journal a container; nothing of it exists until `start`.

        Raises: NotFound (image, sandbox), AlreadyExists (name; `holder` says whose), Invalid, Malformed, Unavailable.
        """
        if spec.sandbox and self._sandboxes.find(spec.sandbox) is None and self.find(spec.sandbox) is None:
            raise NotFound(kind="Sandbox", name=spec.sandbox)
        image = self._images.get(spec.image)
        whole = containers.with_image(spec, image.spec["config"])
        bundles.check(whole)
        with self._images.in_use(image):
            return await self._records.create(containers.to_record(secrets.token_hex(32), whole, image.spec["id"]))

    async def rename(self, id: str, name: str) -> Object:
        """Raises NotFound, AlreadyExists (`holder` says whose name it is)."""
        return await self._records.change(containers.key(id), lambda now: now.with_spec(name=name))

    async def note(self, id: str, change: Change) -> Object:
        """Change what its API keeps of its life (status.details): `change` is given a copy.

        Raises: NotFound, and what `change` raises.
        """
        return await self._records.change(
            containers.key(id), lambda now: now.with_status(details=change(_copy(now.status.get("details"))))
        )

    async def respec(self, id: str, change: Change) -> Object:
        """The same for what its API keeps of what was asked (spec.details)."""
        return await self._records.change(
            containers.key(id), lambda now: now.with_spec(details=change(_copy(now.spec.get("details"))))
        )

    async def start(self, id: str) -> Object:
        """Let it run; a container that runs already stays as it is, one that has ended begins anew with its files.

        Raises: NotFound, Conflict (its sandbox is not ready), Invalid and Malformed in the runtime's words.  Then the
                record is "failed", with reason and message, and nothing else is left.
        """
        async with self._locks.of(id):
            record = self.get(id)
            if record.status["state"] == "running":
                return record
            try:
                async with contextlib.AsyncExitStack() as undo:
                    undo.push_async_callback(self._keeping.let_go, id)
                    bundle = await self._preparation.bundle(record, self.log_path(id))
                    record = await self._go(record, bundle)
                    undo.pop_all()
                return record
            except CloudError as error:
                at_s, why = self._clock.now_s(), error
                record = await self._records.change(record.key, lambda now: states.failed(now, why, at_s))
                self._endings.tell(record)
                self._attachments.fail(id, why)
                raise

    async def stop(self, id: str, grace_s: float, signal: str | int | None = None) -> Object:
        """End it: its stop signal (or `signal`), and after `grace_s` seconds SIGKILL for all of it.

        Returns the record once it has ended; at once where it does not run.  grace_s 0: SIGKILL at once.
        Raises: NotFound, Malformed (signal), Timeout (it does not even obey SIGKILL).
        """
        async with self._locks.of(id):  # not while it starts
            record = self.get(id)
        if record.status["state"] != "running":
            return record
        if grace_s > 0:
            await self._live.send(id, signals.to_number(signal or record.spec["stop_signal"]))
            await self._live.thaw(id)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    return await self.wait_exit(id)
        await self._live.send(id, signal_numbers.SIGKILL, all=True)
        await self._live.thaw(id)
        try:
            async with asyncio.timeout(KILL_WAIT_S):
                return await self.wait_exit(id)
        except TimeoutError as error:
            raise Timeout(f"container {id} did not end after SIGKILL", kind="Container", name=id) from error

    async def kill(self, id: str, signal: str | int) -> None:
        """Send a signal to its first process; one that ends it lets a paused container go on, to end.

        Raises: NotFound, Conflict (it does not run), Malformed (signal).
        """
        await self._live.kill(id, signals.to_number(signal))

    async def pause(self, id: str) -> Object:
        """Freeze its processes.  Raises NotFound, Conflict (not running, paused already), Unsupported."""
        return await self._live.freeze(id, paused=True)

    async def resume(self, id: str) -> Object:
        """Let them go on.  Raises NotFound, Conflict (not running, not paused), Unsupported."""
        return await self._live.freeze(id, paused=False)

    async def remove(self, id: str, force: bool = False) -> None:
        """Forget it, its files and its log; with `force` also while it runs.  Idempotent.

        Raises: Conflict (it runs), Timeout (as `stop`).
        """
        if self.find(id) is None:
            return
        if force:
            await self.stop(id, 0)
        async with self._locks.of(id):
            record = self.find(id)
            if record is None:
                return
            if record.status["state"] == "running":
                raise Conflict(f"container {id} is running: stop it first, or force", kind="Container", name=id)
            await self._keeping.let_go(id)
            await self._images.discard(id)
            await offload(remove_tree, os.path.dirname(self.log_path(id)))
            await self._records.delete(record.key, missing_ok=True)
            self._endings.forget(id)
            self._attachments.forget(id)

    def attaching(self, id: str) -> Attachment:
        """A place among those attached, from now on.  Where it does not run the streams come with its next start,
        without a byte missing.  Close it in any case.  Raises NotFound."""
        return self._attachments.expect(id, live=self.get(id).status["state"] == "running")

    async def attach(self, id: str) -> Streams:
        """Its streams, waiting for its next start where it does not run; they are the caller's to close.

        Raises: as `Attachment.streams`.
        """
        attachment = self.attaching(id)
        try:
            return await attachment.streams()
        except BaseException:
            attachment.close()
            raise

    def resize(self, id: str, columns: int, rows: int) -> None:
        """Give its terminal a new size.  Raises NotFound, Conflict (it does not run)."""
        self._live.resize(id, columns, rows)

    async def update(self, id: str, resources: Resources) -> Object:
        """Change its limits, now where it runs.  Raises NotFound, Invalid, Unsupported (the runtime cannot)."""
        return await self._live.update(id, resources)

    async def regroup(self, ids: Sequence[str], group: Group) -> None:
        """Change what the containers `ids`, which run, are limited to together.

        Raises: NotFound, Invalid (less than they use, or than one of them may have), Unsupported.
        """
        await self._live.regroup(ids, group)

    # -- starting ------------------------------------------------------------------------------------------------

    async def _go(self, record: Object, bundle: Bundle) -> Object:
        pid = await self._runtime.create(bundle)
        self._keeping.keep_log(record, bundle.log_path)
        async with self._attachments.connecting(bundle.id):
            started_s = self._clock.now_s()  # before it begins, so that no exit is older
            await self._runtime.start(bundle.id)
            return await self._records.change(
                record.key,
                lambda now: states.running(now, pid, started_s, bundle.rootfs_path, bundle.log_path).with_status(
                    user=_user(bundle.process)
                ),
            )

    async def run(self, up: Callable[[], None]) -> None:
        os.makedirs(self._logs_path, mode=0o700, exist_ok=True)
        await self._images.adopt()
        await self._sandboxes.adopt()
        await self._keeping.run(up)


def _user(process: Process) -> dict[str, Any]:
    """As whom a program runs, for status.user."""
    return {"uid": process.uid, "gid": process.gid, "groups": list(process.groups)}


def _copy(details: Any) -> dict[str, Any]:
    return copy.deepcopy(dict(details or {}))
