"""Does the steps of a plan: the only module that changes anything of a project, by Docker's API."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from coracle.compose.create.containers import Origin, Other, container_body, container_name
from coracle.compose.create.files import archive
from coracle.compose.create.networks import network_body
from coracle.compose.create.volumes import volume_body
from coracle.compose.projects.asking import Asking, Refused, path
from coracle.compose.projects.objects import Spec
from coracle.compose.projects.seen import Present, Seen, slot
from coracle.compose.projects.steps import (
    Create,
    DropImage,
    DropNetwork,
    DropVolume,
    MakeNetwork,
    MakeVolume,
    Recreate,
    Remove,
    Rename,
    Replace,
    Restart,
    Start,
    Step,
    Stop,
)
from coracle.compose.projects.telling import IN_USE

Tell = Callable[..., None]


class Deeds:
    """One project's steps, as it is declared and present now.  `tell(id, text, detail)` says how they go."""

    def __init__(self, docker: Asking, spec: Spec, present: Present, tell: Tell) -> None:
        self._docker, self._spec, self._present, self._tell = docker, spec, present, tell

    async def do(self, step: Step) -> bool:
        """False: others use the thing, so it stays.  Raises Refused."""
        match step:
            case MakeNetwork(key):
                await self._made("Network", network_body(self._spec.model, key), "/networks/create")
            case MakeVolume(key):
                await self._made("Volume", volume_body(self._spec.model, key), "/volumes/create")
            case DropNetwork(network):
                return await self._drop("Network", network.name, path("networks", network.id))
            case DropVolume(name):
                return await self._drop("Volume", name, path("volumes", name))
            case DropImage(name):
                return await self._drop("Image", tagged(name), path("images", name))
            case Create():
                await self._create(step)
            case Recreate(one, hash):
                await self._recreate(one, hash)
            case Replace(one, by):
                await self._replace(one, by.id)
            case Rename(one, name):
                await self._docker.call("POST", path("containers", one.id, "rename"), {"name": name})
            case Start(one):
                await self._verb(one, "start", "Starting", "Started")
            case Stop(one):
                await self._verb(one, "stop", "Stopping", "Stopped")
            case Restart(one):
                await self._verb(one, "restart", "Restarting", "Started")
            case Remove(one, volumes):
                if one.alive:
                    await self._verb(one, "stop", "Stopping", "Stopped")
                await self._remove(one, volumes=volumes)
        return True

    # -- networks, volumes, images -------------------------------------------------------------------------------

    async def _made(self, what: str, body: Mapping[str, Any] | None, where: str) -> None:
        if body is None:
            return
        title = f'{what} "{body["Name"]}"' if what == "Volume" else f"{what} {body['Name']}"
        self._tell(title, "Creating")
        await self._docker.call("POST", where, body=body)
        self._tell(title, "Created")

    async def _drop(self, what: str, name: str, where: str) -> bool:
        title = f"{what} {name}"
        self._tell(title, "Removing")
        try:
            await self._docker.call("DELETE", where)
        except Refused as refusal:
            if refusal.status not in (403, 404, 409):
                raise
            if refusal.status != 404:
                self._tell(title, IN_USE)
                return False
        self._tell(title, "Removed")
        return True

    # -- containers ----------------------------------------------------------------------------------------------

    async def _create(self, step: Create) -> None:
        name = container_name(self._spec.model, step.service, step.number)
        self._tell(f"Container {name}", "Creating")
        await self._make(name, step.service, step.number, step.hash)
        self._tell(f"Container {name}", "Created")

    async def _make(self, name: str, service: str, number: int, hash: str, old: Seen | None = None) -> str:
        """The id of a new container, with its configs and secrets in it."""
        model, wanted = self._spec.model, self._spec.services[service]
        inherits = old is not None and not wanted.renew_volumes
        before = await self._docker.call("GET", path("containers", old.id, "json")) if old and inherits else {}
        image = await self._docker.call("GET", path("images", wanted.image_id, "json"))
        origin = Origin(
            image=await self._image_name(service, wanted.image_id),
            image_id=wanted.image_id,
            hash=hash,
            directory=self._spec.directory,
            files=self._spec.files,
            replaces=old.id if old else "",
        )
        body = container_body(
            model,
            service,
            number,
            origin,
            others=self._others(),
            inherited=before.get("Mounts") or () if old else self._left(service, number),
            image_volumes=tuple((image.get("Config") or {}).get("Volumes") or ()),
        )
        query = {"name": name, "platform": model["services"][service].get("platform")}
        made = await self._docker.call("POST", "/containers/create", query, body)
        await self._fill(str(made["Id"]), service)
        return str(made["Id"])

    def _left(self, service: str, number: int) -> list[dict[str, Any]]:
        """Anonymous volumes of the container that is to be replaced and was removed, as inspect shows mounts."""
        left = self._present.left.get(slot(service, number)) or {}
        return [
            {"Type": "volume", "Name": name, "Destination": target}
            for target, name in left.items()
            if name in self._present.other_volumes
        ]

    async def _image_name(self, service: str, image_id: str) -> str:
        """The service's image by name; by its id where that name has gone to another image."""
        name = image_of(self._spec.model, service)
        found = await self._docker.find(path("images", name, "json"))
        return name if found is not None and found["Id"] == image_id else image_id

    async def _fill(self, id: str, service: str) -> None:
        """Put files into a new container; where that does not work there is none."""
        packed = archive(self._spec.model, service)
        if packed is None:
            return
        try:
            await self._docker.call("PUT", path("containers", id, "archive"), {"path": "/"}, packed)
        except Refused:
            await self._docker.call("DELETE", path("containers", id), {"force": True, "v": True})
            raise

    def _others(self) -> dict[str, list[Other]]:
        return {name: [Other(one.id, one.name) for one in self._present.of(name)] for name in self._spec.known}

    async def _recreate(self, one: Seen, hash: str) -> None:
        name = container_name(self._spec.model, one.service, one.number)
        self._tell(one.title, "Recreate")
        made = await self._make(f"{one.id[:12]}_{name}", one.service, one.number, hash, one)
        await self._replace(one, made)

    async def _replace(self, one: Seen, made: str) -> None:
        name = container_name(self._spec.model, one.service, one.number)
        renewed = self._spec.services[one.service].renew_volumes
        await self._fine(self._stop(one), 404)
        await self._delete(one, volumes=renewed)
        await self._docker.call("POST", path("containers", made, "rename"), {"name": name})
        self._tell(f"Container {name}", "Recreated")

    async def _verb(self, one: Seen, verb: str, doing: str, done: str) -> None:
        self._tell(one.title, doing)
        if verb == "start":
            await self._docker.call("POST", path("containers", one.id, verb))
        else:
            await self._stop(one, verb)
        self._tell(one.title, done)

    async def _stop(self, one: Seen, verb: str = "stop") -> None:
        await self._docker.call("POST", path("containers", one.id, verb), {"t": self._spec.timeout_s})

    async def _remove(self, one: Seen, *, volumes: bool) -> None:
        self._tell(one.title, "Removing")
        await self._delete(one, volumes=volumes)
        self._tell(one.title, "Removed")

    async def _delete(self, one: Seen, *, volumes: bool) -> None:
        """`volumes`: and its anonymous volumes, also those that it has from one before it, which Docker would keep."""
        query = {"force": True, "v": volumes}
        await self._fine(self._docker.call("DELETE", path("containers", one.id), query), 404)
        for name in one.volumes.values() if volumes else ():
            await self._fine(self._docker.call("DELETE", path("volumes", name)), 404, 409)

    async def _fine(self, work: Awaitable[Any], *statuses: int) -> None:
        """Also where it is refused with one of `statuses`."""
        try:
            await work
        except Refused as refusal:
            if refusal.status not in statuses:
                raise


def tagged(image: str) -> str:
    """An image's name as progress shows it: with its tag."""
    return image if re.search(r"[:@][^/]*$", image) else f"{image}:latest"


def image_of(model: Mapping[str, Any], service: str) -> str:
    """The image that a service runs, or that its build is tagged with."""
    return str(model["services"][service].get("image") or f"{model['name']}-{service}")
