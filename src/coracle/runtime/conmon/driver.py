"""ConmonRuntime: containers kept by conmon and made by crun (or runc).

Who watches whom.  Each container has a conmon, which lives until the container's first process ends and writes its exit
code; we hold a pidfd of each conmon.  When one ends, its exit file is the container's end; when there is none, somebody
has killed the monitor: nobody takes the container's output or will know its code any more, so it is ended too, and told
as `known=False` with 255.  That is the same after our own death: who starts again looks at what is on disk, takes up
the conmons that live, and tells the ends that came meanwhile.  Nothing polls.

What is not asked of the runtime's command, because it is a system call of ours: `start` of crun (one byte into a pipe),
signals (through a pidfd whose process is a child of its conmon, so no reused number is ever hit), and the removal.

Source: reliability.md A3; docker.md 6.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import re
import signal as signals
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import orjson

from coracle.core.clock import Clock
from coracle.core.errors import AlreadyExists, Broken, Conflict, Invalid, NotFound
from coracle.core.tasks import offload
from coracle.linux import inotify
from coracle.linux.cgroups import Cgroup
from coracle.linux.idmaps import give_streams
from coracle.linux.usage import read_usage
from coracle.runtime.api import Bundle, Execution, Exit, Group, Process, Resources, State, Streams, Usage
from coracle.runtime.conmon import attached, groups, mapping, sealing, shared_memory, streams, waiting
from coracle.runtime.conmon.children import UNKNOWN_CODE, Finished, Watched, run
from coracle.runtime.conmon.commands import failure
from coracle.runtime.conmon.executing import execute
from coracle.runtime.conmon.filters import Filters
from coracle.runtime.conmon.first import let_go, signal_first
from coracle.runtime.conmon.host import Seen
from coracle.runtime.conmon.monitor import Binaries, Creation, find_monitor
from coracle.runtime.conmon.places import Place, places
from coracle.runtime.conmon.programs import missing
from coracle.runtime.conmon.targets import secure_targets

log = logging.getLogger(__name__)

_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")
_PATIENCE_S = 10.0  # for a killed container's monitor to write and go; then it is killed as well
_LOG_PATIENCE_S = 2.0


@dataclass
class _Container:
    """What we hold of one container.  `cgroup`: the path of its group.  `monitor` None: no conmon (any more)."""

    place: Place
    cgroup: str
    monitor: Watched | None = None
    made: bool = False
    exit: Exit | None = None


class ConmonRuntime:
    """A Runtime whose containers outlive it.

    `run_dir` is on a file system that a reboot empties, and private to one cloud; `cgroup` is the path below which its
    containers' groups are made ("/coracle/web").  Only one process may drive a `run_dir` at a time.
    """

    def __init__(self, run_dir: Path, cgroup: str, clock: Clock, binaries: Binaries) -> None:
        self._run_dir, self._cgroup, self._clock = run_dir, cgroup.rstrip("/"), clock
        self._memory = sealing.seal(binaries.runtime) if binaries.is_crun else None
        self._binaries = replace(binaries, sealed=sealing.path_of(self._memory)) if self._memory else binaries
        self._filters = Filters()
        self._host = Seen()
        self._containers: dict[str, _Container] = {}
        self._listeners: list[asyncio.Queue[Exit]] = []
        self._adopted = False

    # -- life ----------------------------------------------------------------------------------------------------

    async def create(self, bundle: Bundle) -> int:
        self._adopt()
        if bundle.id in self._containers:
            raise AlreadyExists(kind="Container", name=bundle.id)
        if not _ID.fullmatch(bundle.id):
            raise Invalid(message=f"container id {bundle.id!r} has characters that an id may not have")
        cgroup = f"{self._parent_of(bundle)}/{bundle.id}"
        container = self._containers[bundle.id] = _Container(Place(bundle.id, self._run_dir), cgroup)
        try:
            shm_path = shared_memory.ensure(self._run_dir, bundle)
            secure_targets(bundle.rootfs_path, bundle.mounts)
            with mapping.reachable(bundle, self._run_dir) as seen:
                config = self._host.config(seen, cgroup, shm_path)
                if self._binaries.is_crun:
                    config = self._filters.compiled(config)
                pid = await self._make(container, bundle, config)
            if bundle.users is not None:
                give_streams(pid, bundle.process.uid)
            if bundle.group is not None:
                groups.limit(Cgroup(self._parent_of(bundle)), bundle.group.resources)
            return pid
        except OSError as error:
            raise Broken(f"cannot make container {bundle.id}: {error.strerror}") from error
        finally:
            if not container.made:
                await self._discard(container)

    async def start(self, id: str) -> None:
        container = self._get(id)
        state = _state(container)
        if state != "created":
            raise Conflict(f"container {id} is {state}", kind="Container", name=id)
        if self._binaries.is_crun:
            let_go(container.place)
        else:
            await self._command(id, "start")

    async def kill(self, id: str, signal: int, *, all: bool = False) -> None:
        container = self._get(id)
        if container.exit is not None:
            return
        if all:
            _group(container).signal_all(signal)
        signal_first(container.place, container.monitor, signal)

    async def delete(self, id: str) -> None:
        self._adopt()
        container = self._containers.get(id)
        if container is not None:
            await self._discard(container)

    # -- looking in ----------------------------------------------------------------------------------------------

    async def exec(self, id: str, process: Process, *, stdin: bool = False) -> Execution:
        container = self._get(id)
        state = _state(container)
        if state != "running":
            raise Conflict(f"container {id} is {state}", kind="Container", name=id)
        said = await offload(missing, container.place.pid(), process.argv[0], process.env)
        if said:
            raise failure(id, said)
        return await execute(self._binaries, container.place, self._host.process(process), stdin=stdin)

    async def attach(self, id: str) -> Streams:
        container = self._get(id)
        streams = self._connect(container)
        if _state(container) == "created":
            try:
                await attached.noticed(str(container.place.bundle))
            except BaseException:
                streams.close()
                raise
        return streams

    async def states(self) -> Sequence[State]:
        self._adopt()
        made = [container for id, container in sorted(self._containers.items()) if container.made]
        return [self._state(container) for container in made]

    async def exits(self) -> AsyncIterator[Exit]:
        self._adopt()
        news: asyncio.Queue[Exit] = asyncio.Queue()
        for container in self._containers.values():
            if container.exit is not None:
                news.put_nowait(container.exit)
        self._listeners.append(news)
        try:
            while True:
                yield await news.get()
        finally:
            self._listeners.remove(news)

    def usage(self, id: str) -> Usage:
        return read_usage(_group(self._get(id)))

    def processes(self, id: str) -> Sequence[int]:
        return _group(self._get(id)).pids()

    # -- adjusting -----------------------------------------------------------------------------------------------

    async def update(self, id: str, resources: Resources) -> None:
        container = self._get(id)
        path = container.place.bundle / "resources.json"
        path.write_bytes(orjson.dumps(self._host.resources(resources)))
        await self._command(id, "update", f"--resources={path}")
        if resources.pids is not None and resources.pids < 0:
            _group(container).allow_any_pids()  # for which the runtime has no word

    async def update_group(self, group: Group) -> None:
        try:
            groups.limit(Cgroup(f"{self._cgroup}/{group.name}"), group.resources)
        except OSError as error:
            raise Invalid(message=f"group {group.name} cannot be limited so: {error.strerror}") from error

    @property
    def lacking(self) -> frozenset[str]:
        return self._host.lacking

    async def pause(self, id: str) -> None:
        self._get(id)
        await self._command(id, "pause")

    async def resume(self, id: str) -> None:
        self._get(id)
        await self._command(id, "resume")

    def resize(self, id: str, columns: int, rows: int) -> None:
        streams.resize(str(self._get(id).place.bundle), columns, rows)

    async def reopen_log(self, id: str) -> None:
        """The monitor does it in its own time; a new file at the path says that it has."""
        container = self._get(id)
        path = container.place.log_path()
        if not path or container.exit is not None:
            return
        directory, name = os.path.split(path)
        watch = inotify.Inotify()
        try:
            watch.add(directory, inotify.MOVED_TO)
            streams.control(f"{container.place.bundle}/ctl", streams.REOPEN_LOG, 0, 0)
            async with asyncio.timeout(_LOG_PATIENCE_S):
                while not any(event.name == name for event in watch.read()):
                    await waiting.wait_readable(watch.fileno())
        except TimeoutError as error:
            raise Broken(f"the monitor of {id} does not open its log anew") from error
        finally:
            watch.close()

    def close(self) -> None:
        """Stop watching.  The containers go on."""
        for container in self._containers.values():
            if container.monitor is not None:
                container.monitor.forget()
        if self._memory is not None:
            os.close(self._memory)
            self._memory = None

    # -- keeping -------------------------------------------------------------------------------------------------

    def _connect(self, container: _Container) -> attached.Attached:
        id = container.place.id
        try:
            if container.exit is None:
                return attached.connect(str(container.place.bundle), container.place.pid())
        except OSError as error:
            log.debug("attaching to %s: %s", id, error)  # it has just ended
        raise Conflict(f"container {id} is not running", kind="Container", name=id)

    async def _make(self, container: _Container, bundle: Bundle, config: Mapping[str, Any]) -> int:
        if bundle.log_path:
            os.makedirs(os.path.dirname(bundle.log_path), exist_ok=True)
        container.place.make(config, bundle.log_path)
        creation = Creation(self._binaries, container.place, bundle)
        try:
            container.monitor = creation.monitor
            pid = await creation.pid()
        finally:
            creation.close()
        container.made = True
        self._filters.learn(config, container.place)
        container.monitor.when_ended(lambda: self._ended(container))
        return pid

    async def _discard(self, container: _Container) -> None:
        """End and remove everything of it, as far as it came."""
        id, group = container.place.id, _group(container)
        if container.monitor is not None and container.monitor.alive:
            group.thaw()
            if not (container.made and signal_first(container.place, container.monitor, signals.SIGKILL)):
                container.monitor.signal(signals.SIGKILL)  # of a creation that failed or was given up
            await _wait_ended(container.monitor)
        if group.pids():
            group.signal_all(signals.SIGKILL)
        if not group.remove():
            # Its last processes are still being reaped: the runtime knows how to wait for that.
            await self._run(id, "delete", "--force")
        parent = os.path.dirname(container.cgroup)
        if parent != self._cgroup:
            groups.drop(Cgroup(parent))
        shared_memory.release(self._run_dir, id)
        container.place.remove()
        if self._containers.get(id) is container:
            del self._containers[id]

    def _adopt(self) -> None:
        """Take up what there is on disk, once."""
        if self._adopted:
            return
        self._adopted = True
        for place in places(self._run_dir):
            cgroup = place.cgroup() or f"{self._cgroup}/{place.id}"
            container = self._containers[place.id] = _Container(place, cgroup, find_monitor(place), made=True)
            if container.monitor is not None:
                container.monitor.when_ended(functools.partial(self._ended, container))
            else:
                self._ended(container)
        shared_memory.sweep(self._run_dir, self._containers)

    def _ended(self, container: _Container) -> None:
        """Its monitor is no more: with the exit code written, or killed."""
        id, found = container.place.id, container.place.exit()
        group = _group(container)
        if found is not None:
            oom_killed = group.oom_kills() > 0 or container.place.was_oom_killed()
            container.exit = Exit(id, found[0], found[1], oom_killed=oom_killed)
        else:
            log.warning("container %s has lost its monitor and is ended", id)
            group.thaw()
            container.exit = Exit(id, UNKNOWN_CODE, self._clock.now_s(), known=False)
        if group.pids():  # of a shared process namespace, or without a monitor: a container ends as a whole
            group.signal_all(signals.SIGKILL)
        if self._containers.get(id) is container:
            for news in self._listeners:
                news.put_nowait(container.exit)

    def _get(self, id: str) -> _Container:
        self._adopt()
        container = self._containers.get(id)
        if container is None or not container.made:
            raise NotFound(kind="Container", name=id)
        return container

    def _state(self, container: _Container) -> State:
        id, state = container.place.id, _state(container)
        if state == "stopped":
            return State(id, state)
        return State(id, state, container.place.pid(), paused=state == "running" and _group(container).is_frozen())

    def _parent_of(self, bundle: Bundle) -> str:
        """The path of the group that the container's own is made in."""
        return f"{self._cgroup}/{bundle.group.name}" if bundle.group is not None else self._cgroup

    async def _command(self, id: str, verb: str, *options: str) -> None:
        done = await self._run(id, verb, *options)
        if done.code != 0:
            raise failure(id, (done.error or done.output).decode(errors="replace"))

    async def _run(self, id: str, verb: str, *options: str) -> Finished:
        return await run([*self._binaries.runtime_argv(self._run_dir / "runtime"), verb, *options, id])


def _group(container: _Container) -> Cgroup:
    return Cgroup(container.cgroup)


def _state(container: _Container) -> Literal["created", "running", "stopped"]:
    if container.exit is not None:
        return "stopped"
    waits = container.place.start_pipe.exists() or container.place.pid() == 0
    return "created" if waits else "running"


async def _wait_ended(monitor: Watched) -> None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await monitor.wait()
    except TimeoutError:
        log.warning("conmon %d does not end after its container: killing it", monitor.pid)
        monitor.signal(signals.SIGKILL)
        await monitor.wait()
