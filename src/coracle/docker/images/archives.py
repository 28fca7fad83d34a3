"""Images in files: `docker save`, `docker load`, `docker import`.

Source: Docker Engine API 1.50, "ImageGet", "ImageGetAll", "ImageLoad", "ImageCreate"; moby image/tarexport.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from coracle.core.errors import CloudError, Malformed, NotFound
from coracle.core.object import Object
from coracle.core.tasks import offload
from coracle.docker.bodies import flag
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.images.downloads import download
from coracle.docker.images.naming import target_name
from coracle.docker.images.platforms import asked_platform
from coracle.docker.images.progress import Say, bar, telling
from coracle.docker.told import error_line
from coracle.engine.images import Images
from coracle.engine.shipping import Import, Loaded, Shipping
from coracle.image import steps
from coracle.image.config import Settings
from coracle.image.dockerfile.parse import parse_changes
from coracle.image.dockerfile.settings import changed
from coracle.image.manifest import parse_platform
from coracle.image.references import parse_reference
from coracle.web.messages import Answer, Request, Stream

TAR_TYPE = "application/x-tar"


class Archives:
    def __init__(self, images: Images, shipping: Shipping, events: Events) -> None:
        self._images, self._shipping, self._events = images, shipping, events

    def routes(self) -> Iterable[Route]:
        return (
            Route("GET", "/images/get", self.save),
            Route("GET", "/images/{name:path}/get", self.save),
            Route("POST", "/images/load", self.load, streaming=True),
        )

    async def save(self, request: Request) -> Answer:
        """?names&platform -> 200, a tar"""
        names = [request.params["name"]] if "name" in request.params else request.query.all("names")
        names = [name for text in names for name in text.split(",") if name]
        if not names:
            raise Malformed("no image is named")
        wanted = self._wanted(request, names)
        pieces = await self._shipping.save(list(wanted.values()))
        for image, _ in wanted.values():
            await self._events.publish("image", "save", image.spec["id"], {"name": image.spec["id"]})
        return Stream(200, _in_threads(pieces), content_type=TAR_TYPE)

    def _wanted(self, request: Request, names: Sequence[str]) -> dict[str, tuple[Object, list[str]]]:
        """id -> the image, and the full names to save it under.  Raises NotFound, Malformed."""
        platform = asked_platform(request)
        wanted: dict[str, tuple[Object, list[str]]] = {}
        for text in names:
            for image, name in self._meant(text):
                if platform is not None and not platform.fits(parse_platform(image.spec["platform"])):
                    said = f"image with reference {text} was found but does not provide the platform ({platform})"
                    raise NotFound(said, kind="Image", name=text)
                _, listed = wanted.setdefault(image.spec["id"], (image, []))
                listed += [name] if name and name not in listed else []
        return wanted

    def _meant(self, text: str) -> Sequence[tuple[Object, str]]:
        """A repository without a tag means all its tags; an id means the image without a name."""
        image = self._images.find(text)
        if image is not None and image.meta.name.startswith(text.removeprefix("sha256:")):
            return [(image, "")]
        whole = parse_reference(text)
        if whole.digest:
            return [(self._images.get(text), "")]
        if text.rpartition(":")[2] == whole.tag:
            return [(self._images.get(text), str(whole))]
        found = [
            (one, str(parse_reference(name)))
            for one in self._images.list()
            for name in one.spec["references"]
            if parse_reference(name).name == whole.name
        ]
        return found or [(self._images.get(text), str(whole))]

    async def load(self, request: Request) -> Answer:
        """?quiet&platform -> 200, progress; what is wrong with the archive is told there too"""
        is_quiet, platform = flag(request, "quiet", True), asked_platform(request)

        async def work(say: Say) -> None:
            def report(name: str, done: int, total: int) -> None:
                if not is_quiet and name.startswith(steps.UNPACK):
                    detail = bar(done, total) if done else {}
                    say({"status": "Loading layer", "progressDetail": detail, "id": name.removeprefix(steps.UNPACK)})

            try:
                loaded = await self._shipping.load(request.stream(), report, platform)
            except CloudError as error:
                say(error_line(error))
                return
            for one in loaded:
                for line in _said_of(one):
                    say({"stream": f"{line}\n"})
                id = one.image.spec["id"]
                await self._events.publish("image", "load", id, {"name": one.names[0] if one.names else id})

        return await telling(work)

    async def import_image(self, request: Request) -> Answer:
        """?fromSrc&repo&tag&message&changes&platform -> 200, progress"""
        query, source = request.query, request.query.get("fromSrc")
        target = target_name(query.get("repo"), query.get("tag")) if query.get("repo") else ""
        settings = changed(Settings(), parse_changes(query.all("changes")))
        comment = query.get("message") or f"Imported from {source}"
        what = Import(settings, comment, asked_platform(request))

        async def work(say: Say) -> None:
            body = request.stream() if source == "-" else download(source, say)
            image = await self._shipping.take(body, what, target)
            say({"status": image.spec["id"]})
            name = parse_reference(target).familiar if target else image.spec["id"]
            await self._events.publish("image", "import", image.spec["id"], {"name": name})

        return await telling(work)


def _said_of(one: Loaded) -> Iterator[str]:
    for name, id in one.robbed:
        familiar = parse_reference(name).familiar
        yield f"The image {familiar} already exists, renaming the old one with ID {id} to empty string"
    for name in one.names:
        yield f"Loaded image: {parse_reference(name).familiar}"
    if not one.names:
        yield f"Loaded image ID: {one.image.spec['id']}"


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await offload(_some, pieces):
        yield piece


def _some(pieces: Iterator[bytes]) -> bytes:
    """About a megabyte: each call costs a change of thread."""
    gathered = bytearray()
    while len(gathered) < 1 << 20 and (piece := next(pieces, None)) is not None:
        gathered += piece
    return bytes(gathered)
