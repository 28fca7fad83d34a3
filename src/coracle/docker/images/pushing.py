"""POST /images/{name}/push: sending an image, or all tags of a repository, to its registry.

The words are dockerd's: "The push refers to repository [...]", "Preparing", "Pushing", "Layer already exists",
"Mounted from", "Pushed", "<tag>: digest: sha256:... size: ...".
Source: moby distribution/push_v2.go; Docker Engine API 1.50, "ImagePush".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coracle.core.errors import Malformed, NotFound
from coracle.core.object import Object
from coracle.docker.bodies import Fields, body_of
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.images.logins import HEADER, header_login, login_of
from coracle.docker.images.platforms import asked_platform
from coracle.docker.images.progress import Say, bar, telling
from coracle.engine.images import Images
from coracle.image import steps
from coracle.image.manifest import parse_platform
from coracle.image.push import MOUNTED, THERE
from coracle.image.references import Reference, parse_reference
from coracle.image.registry import Registries
from coracle.image.terms import Login
from coracle.web.messages import Answer, Request

_TELL_BYTES = 1 << 19


class Pushing:
    def __init__(self, images: Images, registries: Registries, events: Events) -> None:
        self._images, self._registries, self._events = images, registries, events

    def routes(self) -> Iterable[Route]:
        return (Route("POST", "/images/{name:path}/push", self.push),)

    async def push(self, request: Request) -> Answer:
        """?tag&platform -> 200, progress; without a tag all tags of the repository"""
        login = header_login(request) if HEADER in request.headers else login_of(Fields(body_of(request)))
        names = self._names(request)

        async def work(say: Say) -> None:
            repository = f"{names[0].registry}/{names[0].repository}"
            say({"status": f"The push refers to repository [{repository}]"})
            for name in names:
                await self._push(name, login, say)

        return await telling(work)

    def _names(self, request: Request) -> Sequence[Reference]:
        """What is to be pushed; all of it is here.  Raises Malformed, NotFound."""
        whole, tag = parse_reference(request.params["name"]), request.query.get("tag")
        if whole.digest:
            raise Malformed("cannot push a digest reference")
        if not tag and request.params["name"].rpartition(":")[2] == whole.tag:
            tag = whole.tag
        repository = whole.familiar_name
        present = [name for image in self._images.list() for name in image.spec["references"]]
        found = [parse_reference(name) for name in present if parse_reference(name).familiar_name == repository]
        names = [name for name in found if not tag or name.tag == tag]
        if found and not names:
            raise NotFound(f"tag does not exist: {repository}:{tag}", kind="Image", name=f"{repository}:{tag}")
        if not found:
            raise NotFound(f"An image does not exist locally with the tag: {repository}", kind="Image", name=repository)
        asked = asked_platform(request)
        for name in names:
            platform = parse_platform(self._images.get(str(name)).spec["platform"])
            if asked is not None and not asked.fits(platform):
                said = f"image with reference {name.familiar} was found but does not provide the platform ({asked})"
                raise NotFound(said, kind="Image", name=name.familiar)
        return sorted(names, key=str)

    async def _push(self, name: Reference, login: Login, say: Say) -> None:
        image = self._images.get(str(name))
        known = known_places(self._images.list(), name)
        report = Report(known, say)
        sent = await self._registries.push(name, image.spec["manifest"], known, report.step, login)
        await self._images.note_digest(str(name), sent.digest)
        say({"status": f"{name.tag}: digest: {sent.digest} size: {sent.size_bytes}"})
        say({"progressDetail": {}, "aux": {"Tag": name.tag, "Digest": sent.digest, "Size": sent.size_bytes}})
        labels: dict[str, str] = image.spec["config"].get("labels") or {}
        await self._events.publish("image", "push", name.familiar, {**labels, "name": name.familiar_name})


def known_places(images: Iterable[Object], name: Reference) -> Mapping[str, Sequence[str]]:
    """blob -> other repositories of the same registry that have it, as far as was seen here; pure."""
    known: dict[str, list[str]] = {}
    for image in images:
        seen = [parse_reference(digest) for digest in image.spec["digests"]]
        places = [one.repository for one in seen if one.registry == name.registry]
        for blob in image.spec["blobs"]:
            known.setdefault(blob, []).extend(place for place in places if place != name.repository)
    return {blob: list(dict.fromkeys(places)) for blob, places in known.items() if places}


class Report:
    """Turns the steps of a push into dockerd's words."""

    def __init__(self, known: Mapping[str, Sequence[str]], say: Say) -> None:
        self._say = say
        self._known = {steps.short(digest): places[0] for digest, places in known.items()}
        self._told: dict[str, int] = {}

    def step(self, name: str, done: int, total: int) -> None:
        layer = name.removeprefix(steps.PUSH)
        if total == THERE:
            self._layer(layer, "Layer already exists")
        elif total == MOUNTED:
            self._layer(layer, f"Mounted from {self._known.get(layer, 'another repository')}")
        elif layer not in self._told:
            self._told[layer] = 0
            self._layer(layer, "Preparing")
        elif done < total and done - self._told[layer] >= _TELL_BYTES:
            self._told[layer] = done
            self._layer(layer, "Pushing", bar(done, total))
        elif done >= total and self._told[layer] != -1:
            self._told[layer] = -1
            self._layer(layer, "Pushed")

    def _layer(self, layer: str, status: str, detail: Mapping[str, Any] | None = None) -> None:
        self._say({"status": status, "progressDetail": dict(detail or {}), "id": layer})
