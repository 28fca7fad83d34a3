"""POST /containers/{id}/start, stop, restart, kill, pause, unpause, rename.

Source: Docker Engine API 1.50, "Container"; moby daemon/{start,stop,kill,pause,rename}.go for the messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from signal import SIGKILL

from coracle.core.errors import AlreadyExists, Conflict, Invalid, Malformed, NotFound
from coracle.core.object import Object
from coracle.docker.bodies import number
from coracle.docker.containers import details, states
from coracle.docker.containers.create import name_conflict
from coracle.docker.containers.finding import Finder
from coracle.docker.containers.lives import Lives
from coracle.docker.containers.names import check_name
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.engine import signals
from coracle.engine.containers import Containers
from coracle.web.messages import Answer, Request, Response

GRACE_S = 10
_FOR_EVER_S = 365 * 86400.0
_RENAMING = "Error when allocating new name"


class Verbs:
    def __init__(self, finder: Finder, lives: Lives, containers: Containers, events: Events) -> None:
        self._finder, self._lives = finder, lives
        self._containers, self._events = containers, events

    def routes(self) -> Iterable[Route]:
        verbs = (self.start, self.stop, self.restart, self.kill, self.pause, self.unpause, self.rename)
        return [Route("POST", f"/containers/{{id}}/{verb.__name__}", verb) for verb in verbs]

    async def start(self, request: Request) -> Answer:
        record = self._finder.get(request.params["id"])
        if record.status.get("paused"):
            raise Conflict("cannot start a paused container, try unpause instead", kind="Container")
        if states.is_alive(record):
            return Response(304)
        await self._lives.start(record.meta.name)
        return Response(204)

    async def stop(self, request: Request) -> Answer:
        record = self._finder.get(request.params["id"])
        grace_s, signal = _grace_s(request, record), _signal(request)
        if not states.is_alive(record):
            return Response(304)
        number = str(signals.to_number(signal or str(record.spec["stop_signal"])))
        await self._events.publish_container("kill", record, {"signal": number})
        await self._lives.stop(record.meta.name, grace_s, signal)
        await self._events.publish_container("stop", record)
        return Response(204)

    async def restart(self, request: Request) -> Answer:
        record = self._finder.get(request.params["id"])
        await self._lives.restart(record.meta.name, _grace_s(request, record), _signal(request))
        await self._events.publish_container("restart", record)
        return Response(204)

    async def kill(self, request: Request) -> Answer:
        asked = request.params["id"]
        try:
            record = self._finder.get(asked)
        except NotFound as error:
            raise NotFound(f"cannot kill container: {asked}: {error}", kind="Container", name=asked) from error
        signal = _signal(request) or "KILL"
        if not states.is_alive(record):
            raise Conflict(f"cannot kill container: {asked}: container {record.meta.name} is not running")
        await self._lives.kill(record.meta.name, signal)
        number = signals.to_number(signal)
        await self._events.publish_container("kill", record, {"signal": str(number)})
        if number == SIGKILL:
            await self._lives.wait_killed(record.meta.name)
        return Response(204)

    async def pause(self, request: Request) -> Answer:
        record = self._finder.get(request.params["id"])
        if states.state(record) == "restarting":
            raise Conflict(f"Container {record.meta.name} is restarting, wait until the container is running")
        if record.status["state"] != "running":
            raise Conflict(f"Container {record.meta.name} is not running")
        if record.status.get("paused"):
            raise Conflict(f"Container {record.meta.name} is already paused")
        await self._containers.pause(record.meta.name)
        await self._events.publish_container("pause", record)
        return Response(204)

    async def unpause(self, request: Request) -> Answer:
        record = self._finder.get(request.params["id"])
        if not record.status.get("paused"):
            raise Conflict(f"Container {record.meta.name} is not paused")
        await self._containers.resume(record.meta.name)
        await self._events.publish_container("unpause", record)
        return Response(204)

    async def rename(self, request: Request) -> Answer:
        record = self._finder.get(request.params["id"])
        name, before = request.query.get("name"), str(record.spec["name"])
        if not name:
            raise Malformed("Neither old nor new names may be empty")
        name = _new_name(name)
        if name == before:
            raise Malformed("Renaming a container with the same name as its current name")
        if not details.is_docker(record):
            raise Invalid(message=f"container {before} belongs to {record.spec['owner']}: its name cannot be changed")
        try:
            renamed = await self._containers.rename(record.meta.name, name)
        except AlreadyExists as error:
            raise Conflict(f"{_RENAMING}: {name_conflict(name, error)}", kind="Container", name=name) from error
        await self._events.publish_container("rename", renamed, {"oldName": f"/{before}"})
        return Response(204)


def _new_name(name: str) -> str:
    """Raises Malformed."""
    try:
        return check_name(name)
    except Malformed as error:
        raise Malformed(f"{_RENAMING}: {error}") from error


def _grace_s(request: Request, record: Object) -> float:
    """How long it may take to end: `t`, else the container's own, else Docker's 10 s; negative: for ever."""
    asked = number(request, "t")
    if asked is None:
        own = details.config(record).get("StopTimeout")
        asked = GRACE_S if own is None else int(own)
    return float(asked) if asked >= 0 else _FOR_EVER_S


def _signal(request: Request) -> str:
    """ "" where none is asked for.  Raises Malformed."""
    signal = request.query.get("signal")
    if signal:
        signals.to_number(signal)
    return signal
