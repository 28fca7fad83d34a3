"""/compose/projects on Docker's socket: what is declared, and declaring.

    GET  /compose/projects             200 [{name, directory, files, services, status}]
    GET  /compose/projects/{name}      200 {name, spec, status}; 404
    POST /compose/projects/{name}      asked.Asked -> 200, lines of JSON (telling), after the object is in the store

What cannot be is refused before anything changes: {"message"} and a status, as Docker's API does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from coracle.compose import names
from coracle.compose.projects import objects
from coracle.compose.projects.asked import MAKING, Asked, read_asked
from coracle.compose.projects.declare import declared, orphans_of, targets_of
from coracle.compose.projects.foretelling import foretold
from coracle.compose.projects.loop import Projects
from coracle.compose.projects.objects import Spec, spec_of
from coracle.compose.projects.preflight import Preflight
from coracle.compose.projects.seen import Present, Seen
from coracle.compose.projects.telling import Follower, line, warning
from coracle.core.errors import Malformed, NotFound
from coracle.core.object import Object
from coracle.engine.locks import KeyedLocks
from coracle.web.messages import Answer, Request, Response, Stream
from coracle.web.router import Router

PREFIX = "/compose/"
BODY_LIMIT_BYTES = 16 * 1024 * 1024  # contents of secrets and configs are in it


class ProjectDoor:
    def __init__(self, projects: Projects, preflight: Preflight) -> None:
        self._projects, self._preflight = projects, preflight
        self._turns = KeyedLocks()
        self.router = Router()
        self.router.add("GET", "/compose/projects", self.everything)
        self.router.add("GET", "/compose/projects/{name}", self.show)
        self.router.add("POST", "/compose/projects/{name}", self.declare, body_limit_bytes=BODY_LIMIT_BYTES)

    async def everything(self, request: Request) -> Answer:
        return Response.of(200, [self._row(record) for record in self._projects.records.list()])

    async def show(self, request: Request) -> Answer:
        name = _name(request)
        record = self._projects.records.find(objects.key(name))
        if record is None:
            raise NotFound(f"no such project: {name}", kind="project", name=name)
        return Response.of(200, {"name": name, "spec": record.spec, "status": self._status(record)})

    async def declare(self, request: Request) -> Answer:
        asked = read_asked(_name(request), request.json())
        if asked.dry_run:
            return await self._foretell(asked)
        async with self._turns.of(asked.name):
            with self._projects.held(asked.name) as stopping:
                follower = await self._declare(asked, stopping)
        timeout_s = asked.wait_timeout_s if asked.wait else None
        return Stream(200, self._lines(asked.name, follower, timeout_s))

    async def _declare(self, asked: Asked, stopping: Mapping[str, str]) -> Follower:
        record = self._projects.records.find(objects.key(asked.name))
        former = spec_of(record) if record else None
        present = await self._projects.observer.look(asked.name)
        spec, targets, warnings = await self._next(asked, former, present, stopping)
        spec = replace(spec, turn=self._projects.next_turn(asked.name, former))
        follower = Follower(spec.turn, waits_for=tuple(targets) if asked.wait else ())
        for said in (*map(warning, warnings), *_already(asked, spec, targets, present)):
            follower.tell(said)
        self._projects.follow(asked.name, follower)
        try:
            await self._write(spec, targets)
        except BaseException:
            self._projects.unfollow(asked.name, follower)
            raise
        return follower

    async def _foretell(self, asked: Asked) -> Answer:
        """What would be told; nothing is changed."""
        record = self._projects.records.find(objects.key(asked.name))
        present = await self._projects.observer.look(asked.name)
        spec, targets, warnings = await self._next(asked, spec_of(record) if record else None, present, {})
        ended = record.status["ended"] if record else {}
        told = foretold(spec, present, ended, await self._projects.images(spec))
        lines = [*map(warning, warnings), *_already(asked, spec, targets, present), *told]
        return Response(200, b"".join(orjson.dumps(said) + b"\n" for said in lines))

    async def _next(
        self, asked: Asked, former: Spec | None, present: Present, stopping: Mapping[str, str]
    ) -> tuple[Spec, list[str], list[str]]:
        """The next spec, the services that take part where something is to be made, and warnings.

        Raises as `declared`.
        """
        model: Mapping[str, Any] = asked.project.model if asked.project else former.model if former else {}
        makes = asked.action in MAKING
        try:
            targets = targets_of(asked, model["services"]) if makes and model else []
            images = await self._preflight.images(model, targets, needed=not asked.dry_run)
            spec = declared(asked, former, present, images, stopping)
            warnings = await self._preflight.check(spec, targets, present) if makes else []
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise Malformed(f"project.model: is not in canonical form: {error!r}") from error
        return spec, targets, warnings

    async def _write(self, spec: Spec, targets: list[str]) -> None:
        """Of services that take part, nothing that has ended counts any more, nor volumes that are to be renewed."""

        renewing = [name for name, service in spec.services.items() if service.renew_volumes]

        def next_one(now: Object) -> Object:
            status = {
                "ended": _without(targets, now.status["ended"]),
                "volumes": _without(renewing, now.status.get("volumes") or {}),
            }
            return now.with_body(spec=objects.to_json(spec), status=status)

        records = self._projects.records
        try:
            await records.change(objects.key(spec.name), next_one)
        except NotFound:
            await records.create(objects.to_object(spec))

    async def _lines(self, name: str, follower: Follower, timeout_s: float | None) -> AsyncIterator[bytes]:
        try:
            async for said in follower.lines(timeout_s):
                yield said
        finally:
            self._projects.unfollow(name, follower)

    def _row(self, record: Object) -> dict[str, Any]:
        spec = record.spec
        services = {name: {"want": one["want"], "scale": one["scale"]} for name, one in spec["services"].items()}
        found = {"name": record.meta.name, "directory": spec["directory"], "files": spec["files"]}
        return {**found, "services": services, "going": bool(spec["going"]), "status": self._status(record)}

    def _status(self, record: Object) -> dict[str, Any]:
        return {**record.status, **self._projects.state(record.meta.name)}


def _name(request: Request) -> str:
    """Raises Malformed."""
    return names.project_name(request.params["name"], {}, "", "/")


def _without(services: Sequence[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of slots of other services."""
    return {slot: what for slot, what in known.items() if slot.rpartition("-")[0] not in services}


def _anything(present: Present) -> bool:
    return bool(present.containers or present.networks or present.volumes)


def _already(asked: Asked, spec: Spec, targets: list[str], present: Present) -> Iterable[dict[str, Any]]:
    """What is so without our doing anything, containers that nobody asks for, and that there is nothing to remove."""
    if spec.going is not None and not _anything(present) and not spec.going.images:
        yield warning(f'No resource found to remove for project "{asked.name}".')
    orphans = orphans_of(spec, asked, present) if asked.action in MAKING and not asked.remove_orphans else []
    known = {*spec.known, *(asked.project.left_out if asked.project else ())}
    strangers = [one.name for one in orphans if one.service not in known]
    if strangers:
        yield warning(
            f"Found orphan containers ([{' '.join(strangers)}]) for this project. If you removed or renamed this "
            "service in your compose file, you can run this command with the --remove-orphans flag to clean it up.",
        )
    for name in targets:
        for one in present.of(name):
            if _stays(spec, one):
                yield line(one.title, "Running" if one.alive else "Created")
    for name, service in spec.services.items() if asked.action == "stop" else ():
        for one in present.of(name):
            if service.want == "stopped" and not one.alive:
                yield line(one.title, "Stopped")


def _stays(spec: Spec, one: Seen) -> bool:
    service = spec.services[one.service]
    fits = one.hash == service.hash or one.hash in service.accepts
    return fits and one.id not in service.anew and one.id not in service.ends and one.id not in spec.discard
