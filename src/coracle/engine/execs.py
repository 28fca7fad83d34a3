"""Programs run beside a container's first one, and joining the first one's streams.

Called by Kubernetes' exec and attach, by probes, by Docker's exec and attach.  Nothing of it is recorded: an exec lives
as long as somebody holds it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from coracle.core.errors import Broken, Conflict, Invalid
from coracle.core.object import Object
from coracle.core.tasks import offload
from coracle.engine import bundles
from coracle.engine.containers import Containers
from coracle.engine.kinds import container as containers
from coracle.engine.kinds.container import overlaid
from coracle.engine.sandboxes import Sandboxes
from coracle.engine.users import find_identity
from coracle.runtime.api import Execution, Process, Runtime, Streams

_OUTPUT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended, and the first mebibyte of what it wrote to stdout and stderr together."""

    code: int
    output: bytes


class Execs:
    def __init__(self, runtime: Runtime, containers: Containers, sandboxes: Sandboxes) -> None:
        self._runtime, self._containers, self._sandboxes = runtime, containers, sandboxes

    async def start(
        self,
        container_id: str,
        argv: Sequence[str],
        *,
        env: Sequence[str] = (),
        user: str = "",
        workdir: str = "",
        tty: bool = False,
        tty_size: tuple[int, int] | None = None,
        stdin: bool = False,
        privileged: bool = False,
    ) -> Execution:
        """Run `argv` in a running container, with its environment, user and directory where nothing else is said.

        Shape:  tty_size is (columns, rows); env holds NAME=value, over the container's own.
        Raises: NotFound, Conflict (it does not run), Invalid (no such program, user or directory: the runtime's words).
        """
        record = self._unpaused(container_id)
        if not argv:
            raise Invalid(message="no command specified")
        process = await self._process(record, argv, env, user, workdir, tty=tty, privileged=privileged)
        return await self._runtime.exec(container_id, replace(process, tty_size=tty_size), stdin=stdin)

    async def run(self, container_id: str, argv: Sequence[str]) -> Outcome:
        """`start` it and see it through: for probes and hooks.  Cancelling ends the program (SIGKILL).

        Raises: as `start`.
        """
        execution = await self.start(container_id, argv)
        output, ended = bytearray(), False
        try:
            async for _, data in execution:
                output += data[: _OUTPUT_BYTES - len(output)]
            code = await execution.wait()
            ended = True
            return Outcome(code, bytes(output))
        finally:
            if not ended:
                with contextlib.suppress(ProcessLookupError):
                    execution.signal(9)
            execution.close()

    async def attach(self, container_id: str) -> Streams:
        """The first program's streams, from now on.  Raises NotFound, Conflict (it does not run)."""
        self._running(container_id)
        return await self._containers.attach(container_id)

    def _running(self, id: str) -> Object:
        record = self._containers.get(id)
        if record.status["state"] != "running":
            said = f"container {id} is not running"
            raise Conflict(said, kind="Container", name=id)
        return record

    def _unpaused(self, id: str) -> Object:
        record = self._running(id)
        if record.status.get("paused"):
            said = f"container {id} is paused, unpause the container before exec"
            raise Conflict(said, kind="Container", name=id)
        return record

    async def _process(
        self,
        record: Object,
        argv: Sequence[str],
        env: Sequence[str],
        user: str,
        workdir: str,
        *,
        tty: bool,
        privileged: bool,
    ) -> Process:
        own, status = containers.from_record(record), record.status
        sandbox = self._sandboxes.find(own.sandbox)
        if sandbox is None:
            raise Broken(f"container {record.meta.name} has no sandbox", kind="Container", name=record.meta.name)
        spec = replace(
            own,
            argv=tuple(argv),
            env=overlaid(own.env, env),
            tty=tty,
            security=replace(own.security, privileged=own.security.privileged or privileged),
        )
        groups, memberships = ((), "") if user else (own.groups, own.memberships)
        identity = await offload(find_identity, status["rootfs_path"], user or own.user, groups, memberships)
        cwd = bundles.clean_workdir(workdir or own.workdir)
        return bundles.process(spec, str(sandbox.spec["hostname"]), identity, cwd)
