"""POST /images/create: pulling from a registry, or from the catalogue of what this machine can build.

The words are dockerd's: "Pulling from library/nginx", "Pulling fs layer", "Downloading", "Download complete",
"Extracting", "Pull complete", "Digest: ...", "Status: ...".
Source: moby distribution/pull_v2.go, distribution/xfer; Docker Engine API 1.50, "ImageCreate".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coracle.core.errors import CloudError, NotFound
from coracle.core.object import Object
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.images.logins import header_login
from coracle.docker.images.platforms import asked_platform
from coracle.docker.images.progress import Say, bar, telling
from coracle.engine.images import Images
from coracle.image import steps
from coracle.image.digests import is_digest
from coracle.image.references import DEFAULT_REGISTRY, Reference, check_tag, parse_reference
from coracle.image.terms import Terms
from coracle.web.messages import Answer, Handler, Request

_TELL_BYTES = 1 << 19  # a layer's bar moves in steps of this

# What its user is told beside that an image is nowhere.  Compose and buildx ask for this one where the daemon does not
# speak BuildKit's protocol, and show nothing else of what they were answered.
_HINTS: Mapping[str, str] = {
    "moby/buildkit": ". It is wanted for a build through BuildKit: set DOCKER_BUILDKIT=0 to build with this daemon"
}


class Pulling:
    def __init__(self, images: Images, events: Events, import_image: Handler) -> None:
        self._images, self._events, self._import = images, events, import_image

    def routes(self) -> Iterable[Route]:
        return (Route("POST", "/images/create", self.create, streaming=True),)

    async def create(self, request: Request) -> Answer:
        """?fromImage&tag&platform, or ?fromSrc&repo&tag&message&changes&platform -> 200, progress"""
        asked = request.query.get("fromImage")
        if not asked:
            return await self._import(request)
        names = await self._names(asked, request.query.get("tag"), Terms(header_login(request)))
        terms = Terms(header_login(request), asked_platform(request))

        async def work(say: Say) -> None:
            for name in names:
                await self._pull(name, terms, say)

        return await telling(work)

    async def _names(self, asked: str, tag: str, terms: Terms) -> Sequence[Reference]:
        """What is to be pulled: one name, or with no tag at all every one of the repository.  Raises Malformed."""
        whole = parse_reference(asked)
        if is_digest(tag):
            return [parse_reference(f"{whole.name}@{tag}")]
        if tag:
            return [whole.with_tag(check_tag(tag))]
        if whole.digest or asked.rpartition(":")[2] == whole.tag:
            return [whole]
        tags = await self._images.tags(whole, terms)
        if not tags:
            raise _unknown(whole, knows_repository=False)
        return [whole.with_tag(one) for one in tags]

    async def _pull(self, name: Reference, terms: Terms, say: Say) -> None:
        report = Report(name, say)
        before = self._images.find(str(name))
        try:
            image = await self._images.ensure(str(name), "Always", report.step, terms)
        except NotFound as error:
            if error.kind != "Image" or "platform" in error.message or "manifest list" in error.message:
                raise
            knows = name.registry != DEFAULT_REGISTRY or bool(await self._tags(name, terms))
            raise _unknown(name, knows_repository=knows) from error
        report.end(image, is_new=before is None or before.key != image.key)
        labels: dict[str, str] = image.spec["config"].get("labels") or {}
        await self._events.publish("image", "pull", name.familiar, {**labels, "name": name.familiar_name})

    async def _tags(self, name: Reference, terms: Terms) -> Sequence[str]:
        try:
            return await self._images.tags(name, terms)
        except CloudError:
            return ()


def _unknown(name: Reference, *, knows_repository: bool) -> NotFound:
    if knows_repository:
        said = f"manifest for {name.familiar} not found: manifest unknown: manifest unknown"
    else:
        said = (
            f"pull access denied for {name.familiar_name}, repository does not exist or may require 'docker login': "
            "denied: no registry is asked for it and the catalogue does not have it"
        ) + _HINTS.get(name.familiar_name, "")
    return NotFound(said, kind="Image", name=name.familiar)


class Report:
    """Turns the steps of bringing one image in into dockerd's words."""

    def __init__(self, name: Reference, say: Say) -> None:
        self._name, self._say = name, say
        self._has_begun = False
        self._layers: dict[str, str] = {}  # short digest -> what was said of it last
        self._told: dict[str, int] = {}

    def step(self, name: str, done: int, total: int) -> None:
        """As coracle.image.steps names them; anything else is a step of building from packages."""
        self._begin()
        if name.startswith(steps.LAYER):
            self._transferred(name.removeprefix(steps.LAYER), done, total)
        elif name.startswith(steps.UNPACK):
            self._unpacked(name.removeprefix(steps.UNPACK), done, total)
        else:
            self._built(name, done, total)

    def end(self, image: Object, *, is_new: bool) -> None:
        self._begin()
        digest = _digest_of(image, self._name)
        if digest:
            self._say({"status": f"Digest: {digest}"})
        what = "Downloaded newer image for" if is_new else "Image is up to date for"
        self._say({"status": f"Status: {what} {self._name.familiar}"})

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._say({"status": f"Pulling from {self._name.repository}", "id": self._name.tag or self._name.digest})

    def _transferred(self, layer: str, done: int, total: int) -> None:
        if layer not in self._layers and done >= total:
            self._layer(layer, "Already exists")
            return
        if layer not in self._layers:
            self._layer(layer, "Pulling fs layer")
        if done >= total:
            if self._layers[layer] != "Download complete":
                self._layer(layer, "Verifying Checksum")
                self._layer(layer, "Download complete")
        elif done - self._told.get(layer, 0) >= _TELL_BYTES:
            self._told[layer] = done
            self._layer(layer, "Downloading", bar(done, total))

    def _unpacked(self, layer: str, done: int, total: int) -> None:
        if self._layers.get(layer, "Already exists") == "Already exists":
            return
        if done >= total:
            self._layer(layer, "Pull complete")
        else:
            self._layer(layer, "Extracting", bar(max(done, 1), total))

    def _layer(self, layer: str, status: str, detail: Mapping[str, Any] | None = None) -> None:
        self._layers[layer] = status
        self._say({"status": status, "progressDetail": dict(detail or {}), "id": layer})

    def _built(self, name: str, done: int, total: int) -> None:
        what, _, doing = name.rpartition(": ")
        line: dict[str, Any] = {"status": _sentence(doing), "id": what or self._name.familiar_name}
        if self._told.get(name) is None:
            self._say({**line, "progressDetail": {}})
        if total == 100:
            self._say({**line, "progressDetail": bar(done, total, is_percent=True)})
        self._told[name] = done


def _sentence(text: str) -> str:
    return re.sub("^[a-z]", lambda found: found[0].upper(), text)


def _digest_of(image: Object, name: Reference) -> str:
    """The digest of the manifest under which the image came by that name."""
    start = f"{name.familiar_name}@"
    found = [one.removeprefix(start) for one in image.spec["digests"] if one.startswith(start)]
    return found[-1] if found else ""
