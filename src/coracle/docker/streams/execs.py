"""Exec: a program beside a container's own.

    POST /containers/{id}/exec    what to run                             -> 201 {"Id"}
    POST /exec/{id}/start         run it, joined to it unless detached    -> 101, 200 without Upgrade; 200 detached
    POST /exec/{id}/resize?h=&w=                                          -> 200
    GET  /exec/{id}/json          how it is                               -> 200

The 101 comes before the program is tried: one that cannot be run says so in the stream, and its code is 126 or 127.
One that was started before says so in the stream too: Compose v2's watch starts every exec twice.
Whether the stream is in frames is decided by the `Tty` of the start, not by the exec's own: as a terminal's, it is
bare and without stderr.
A program whose client goes away goes on, and what it writes is thrown away.
Source: Docker Engine API, "Exec"; reference docker.md 1.2 and 1.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from coracle.core.errors import CloudError, Conflict, Invalid, Malformed
from coracle.core.object import Object
from coracle.docker.bodies import Fields, body_of
from coracle.docker.containers import states
from coracle.docker.containers.finding import Finder
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.streams.detachkeys import parse_keys
from coracle.docker.streams.instances import Exec, ExecConfig, Instances
from coracle.docker.streams.joining import Wish, drained, join
from coracle.docker.streams.sizes import console_size, size_of
from coracle.docker.streams.types import content_type
from coracle.docker.unstartable import unstartable
from coracle.engine.execs import Execs
from coracle.runtime.api import Execution, Refusal
from coracle.web.messages import Answer, RawStream, Request, Response, Upgrade
from coracle.wire.stdcopy import frame


@dataclass(frozen=True, slots=True)
class ExecArea:
    """The area of the API that runs programs in containers."""

    finder: Finder
    execs: Execs
    instances: Instances
    events: Events

    def routes(self) -> Iterable[Route]:
        return (
            Route("POST", "/containers/{id}/exec", self.create),
            Route("POST", "/exec/{id}/start", self.start),
            Route("POST", "/exec/{id}/resize", self.resize),
            Route("GET", "/exec/{id}/json", self.inspect),
        )

    async def create(self, request: Request) -> Answer:
        record = self._running(self.finder.get(request.params["id"]))
        config = read_config(Fields(body_of(request)))
        made = self.instances.add(record.meta.name, config)
        await self._publish(f"exec_create: {config.words}", made)
        return Response.of(201, {"Id": made.id})

    async def start(self, request: Request) -> Answer:
        exec = self.instances.get(request.params["id"])
        body = Fields(body_of(request, required=False))
        detach, size = body.flag("Detach"), console_size(body) or exec.config.size
        size = size if exec.config.tty else None
        self._running(self.finder.get(exec.container_id))
        if detach:
            self.instances.claim(exec)
            execution = await self.begin(exec, size, stdin=False)
            self.instances.watch(drained(execution), "exec-drain")
            return Response(200)
        framed = not body.flag("Tty")
        run: _Run | _Refused
        try:
            self.instances.claim(exec)
            run = _Run(self, exec, size, framed)
        except Conflict as conflict:
            run = _Refused(conflict, framed)
        headers = {"Content-Type": content_type(request, framed=framed)}
        return Upgrade("tcp", run.over, headers, status=101 if request.upgrade else 200)

    async def resize(self, request: Request) -> Answer:
        columns, rows = size_of(request)
        exec = self.instances.get(request.params["id"])
        if exec.state == "running" and exec.execution is None:
            await exec.begun.wait()
        if exec.execution is None:
            raise Conflict(f"exec {exec.id} is not running", kind="Exec", name=exec.id)
        exec.execution.resize(columns, rows)
        return Response(200)

    async def inspect(self, request: Request) -> Answer:
        return Response.of(200, inspected(self.instances.get(request.params["id"])))

    async def begin(self, exec: Exec, size: tuple[int, int] | None, *, stdin: bool) -> Execution:
        """Start the claimed `exec`, and keep an eye on it until it has ended.

        Raises: Invalid in Docker's words where it cannot be run; then it has ended too.
        """
        config = exec.config
        try:
            execution = await self.execs.start(
                exec.container_id,
                config.argv,
                env=config.env,
                user=config.user,
                workdir=config.workdir,
                tty=config.tty,
                tty_size=size,
                stdin=stdin,
                privileged=config.privileged,
            )
        except CloudError as error:
            code, said = unstartable(config.argv[0], str(error), _CANNOT_RUN)
            exec.end(code)
            raise Invalid(message=_FAILED + said if isinstance(error, Refusal) else str(error)) from error
        except BaseException:
            exec.end(_CANNOT_RUN)
            raise
        exec.begin(execution)
        self.instances.watch(self._see_through(exec, execution), "exec-end")
        return execution

    async def detached(self, exec: Exec) -> None:
        await self._publish("exec_detach", exec)

    async def _see_through(self, exec: Exec, execution: Execution) -> None:
        await self._publish(f"exec_start: {exec.config.words}", exec)
        exec.end(await execution.wait())
        await self._publish("exec_die", exec, exitCode=str(exec.code))

    async def _publish(self, action: str, exec: Exec, **more: str) -> None:
        record = self.finder.find(exec.container_id)
        if record is not None:
            await self.events.publish_container(action, record, {"execID": exec.id, **more})

    def _running(self, record: Object) -> Object:
        """Raises Conflict."""
        id = record.meta.name
        if states.state(record) == "restarting":
            raise Conflict(f"container {id} is restarting, wait until the container is running", kind="Container")
        if record.status["state"] != "running":
            raise Conflict(f"container {id} is not running", kind="Container", name=id)
        if record.status.get("paused"):
            raise Conflict(f"container {id} is paused, unpause the container before exec", kind="Container", name=id)
        return record


_CANNOT_RUN = 126
_FAILED = "OCI runtime exec failed: exec failed: unable to start container process: "


@dataclass(frozen=True, slots=True)
class _Refused:
    """A client that is told in the stream why its exec is not run, or not again."""

    error: CloudError
    framed: bool

    async def over(self, connection: RawStream) -> None:
        said = f"{self.error}\r\n".encode()
        await connection.write(frame(1, said) if self.framed else said)


@dataclass(frozen=True, slots=True)
class _Run:
    """A client joined to the exec that it starts."""

    area: ExecArea
    exec: Exec
    size: tuple[int, int] | None
    framed: bool

    async def over(self, connection: RawStream) -> None:
        config = self.exec.config
        outputs = {number for number, wanted in ((1, config.stdout), (2, config.stderr)) if wanted}
        wish = Wish(
            stdin=config.stdin,
            outputs=outputs if self.framed else outputs - {2},
            framed=self.framed,
            keys=parse_keys(config.keys) if config.tty else b"",
            once=not config.tty,
        )
        try:
            execution = await self.area.begin(self.exec, self.size, stdin=config.stdin)
        except CloudError as error:
            await _Refused(error, wish.framed).over(connection)
            return
        is_over = False
        try:
            how = await join(connection, execution, wish)
            is_over = how == "ended"
            if how == "detached":
                await self.area.detached(self.exec)
        finally:
            if not is_over:
                self.area.instances.watch(drained(execution), "exec-drain")
        if is_over:
            await self.exec.ended.wait()


def read_config(body: Fields) -> ExecConfig:
    """Raises Malformed."""
    argv = body.words("Cmd")
    if not argv:
        raise Malformed("No exec command specified")
    config = ExecConfig(
        argv=argv,
        env=body.texts("Env"),
        user=body.text("User"),
        workdir=body.text("WorkingDir"),
        tty=body.flag("Tty"),
        privileged=body.flag("Privileged"),
        stdin=body.flag("AttachStdin"),
        stdout=body.flag("AttachStdout"),
        stderr=body.flag("AttachStderr"),
        keys=body.text("DetachKeys"),
        size=console_size(body),
    )
    parse_keys(config.keys)
    return config


def inspected(exec: Exec) -> dict[str, Any]:
    """As GET /exec/{id}/json shows it; pure."""
    config = exec.config
    process = {
        "tty": config.tty,
        "entrypoint": config.argv[0],
        "arguments": list(config.argv[1:]),
        "privileged": config.privileged,
    }
    if config.user:
        process["user"] = config.user
    return {
        "ID": exec.id,
        "Running": exec.state == "running",
        "ExitCode": exec.code,
        "ProcessConfig": process,
        "OpenStdin": config.stdin,
        "OpenStderr": config.stderr,
        "OpenStdout": config.stdout,
        "CanRemove": exec.state == "ended",
        "ContainerID": exec.container_id,
        "DetachKeys": parse_keys(config.keys).decode("latin-1") if config.keys else "",
        "Pid": exec.pid,
    }
