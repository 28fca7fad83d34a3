"""POST /containers/create.

Source: Docker Engine API 1.50, "ContainerCreate"; docker/docs, "Engine API version history" for older defaults.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from coracle.core.clock import Clock, rfc3339_micro
from coracle.core.errors import AlreadyExists, Conflict, Malformed, NotFound
from coracle.core.object import Object
from coracle.docker.bodies import Fields, body_of
from coracle.docker.containers.config import merged, settings_of
from coracle.docker.containers.details import removes_itself
from coracle.docker.containers.finding import Finder
from coracle.docker.containers.limits import discarded
from coracle.docker.containers.modes import joined
from coracle.docker.containers.names import check_name, random_name
from coracle.docker.containers.specs import Asked, Given, container_spec, read_request
from coracle.docker.door import Route
from coracle.docker.images.platforms import asked_platform, parse
from coracle.docker.mounts import MountPoint, Mounts, mount_points, resolve
from coracle.docker.networks.endpoints import Lookup
from coracle.docker.versions import Version, version_of
from coracle.engine.containers import Containers
from coracle.engine.images import Images
from coracle.image.manifest import Platform
from coracle.image.references import parse_reference
from coracle.web.messages import Answer, Request, Response

_TRIES = 6
_OLDER_DEFAULTS = ((Version(1, 40), "IpcMode", "shareable"), (Version(1, 41), "CgroupnsMode", "host"))
"""Before which version a mode that is not given was another."""
_WHOLE_ID = re.compile(r"(sha256:)?[0-9a-f]{64}")


class Create:
    def __init__(
        self, containers: Containers, finder: Finder, images: Images, mounts: Mounts, *, lookup: Lookup, clock: Clock
    ) -> None:
        self._containers, self._finder, self._lookup = containers, finder, lookup
        self._images, self._mounts, self._clock = images, mounts, clock

    def routes(self) -> Iterable[Route]:
        return (Route("POST", "/containers/create", self.create),)

    async def create(self, request: Request) -> Answer:
        name = request.query.get("name")
        name = check_name(name) if name else ""
        body = Fields(body_of(request))
        asked = as_of(version_of(request), read_request(body, self._lookup))
        image = self._image(asked.config["Image"], asked_platform(request))
        warnings = [*asked.warnings, *discarded(asked.host, self._containers.lacking)]
        record = await self._make(name, asked, body.fields("HostConfig"), image)
        return Response.of(201, {"Id": record.meta.name, "Warnings": warnings})

    def _image(self, reference: str, platform: Platform | None) -> Object:
        """Raises NotFound, with which the client goes and pulls it."""
        found = self._images.find(reference)
        shown = reference
        if "@" not in reference and _WHOLE_ID.fullmatch(reference) is None:
            shown = parse_reference(reference).familiar
        if found is None:
            raise NotFound(f"No such image: {shown}", kind="Image", name=reference)
        present = parse(str(found.spec["platform"]))
        if platform is not None and (platform.os, platform.architecture) != (present.os, present.architecture):
            said = f"image with reference {shown} was found but does not provide the specified platform ({platform})"
            raise NotFound(said, kind="Image", name=reference)
        return found

    async def _make(self, name: str, asked: Asked, host: Fields, image: Object) -> Object:
        config = merged(asked.config, settings_of(image))
        points = resolve(host, config.get("Volumes", {}), self._lender)
        pid_mode, ipc_mode = (self._with_id(str(asked.host.get(mode, ""))) for mode in ("PidMode", "IpcMode"))
        lent = joined(str(asked.host["NetworkMode"]))
        sandbox = str(self._other(lent).spec["sandbox"]) if lent else ""
        async with self._mounts.prepared(points) as mounts:
            for attempt in range(_TRIES):
                given = Given(
                    name=name or random_name(attempt),
                    config=config,
                    created_at=rfc3339_micro(self._clock.now_s()),
                    mounts=mounts,
                    sandbox=sandbox,
                    pid_mode=pid_mode,
                    ipc_mode=ipc_mode,
                )
                try:
                    record = await self._containers.create(container_spec(asked, given))
                    break
                except AlreadyExists as error:
                    if name or attempt == _TRIES - 1:
                        raise name_conflict(given.name, error) from error
        await self._populate(record)
        await self._mounts.settle(record, passing=removes_itself(record))
        return record

    async def _populate(self, record: Object) -> None:
        """Fill its volumes; where that does not work there is no container."""
        try:
            await self._mounts.populate(record)
        except BaseException:
            await self._containers.remove(record.meta.name)
            await self._mounts.drop(record, anonymous=True)
            raise

    def _lender(self, name: str) -> Sequence[MountPoint]:
        return mount_points(self._other(name))

    def _with_id(self, mode: str) -> str:
        other = joined(mode)
        return f"container:{self._other(other).meta.name}" if other else mode

    def _other(self, name: str) -> Object:
        """Another container that the new one names.  Raises Malformed: at a 404 the client would pull the image."""
        found = self._finder.find(name)
        if found is None:
            raise Malformed(f"No such container: {name[:300]}")
        return found


def as_of(version: Version, asked: Asked) -> Asked:
    """What a client of `version` asks for by saying nothing."""
    given = {mode: value for before, mode, value in _OLDER_DEFAULTS if version < before and not asked.host.get(mode)}
    return replace(asked, host={**asked.host, **given})


def name_conflict(name: str, error: AlreadyExists) -> Conflict:
    """Docker's words for a name that somebody has."""
    holder = error.holder.rpartition(" ")[2]
    return Conflict(
        f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
        "You have to remove (or rename) that container to be able to reuse that name.",
        kind="Container",
        name=name,
    )
