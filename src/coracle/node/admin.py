"""The door of our own command line, on a socket that only root may open: status, images, the kubelet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson

from coracle.core.clock import Clock
from coracle.core.errors import CloudError, Malformed
from coracle.core.object import Object
from coracle.core.store import Store
from coracle.core.switch import Switch
from coracle.engine.images import Images
from coracle.engine.works import Progress
from coracle.image.debian import PackageImages
from coracle.node.config import Settings
from coracle.node.process import memory_pss_bytes
from coracle.web.edge import edge
from coracle.web.messages import Handler, Request, Response, Stream
from coracle.web.router import Router
from coracle.web.server import say_plainly


class Admin:
    def __init__(
        self,
        settings: Settings,
        store: Store,
        images: Images,
        packages: PackageImages,
        clock: Clock,
        *,
        kubelet: Switch,
    ) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self._images, self._packages, self._kubelet = images, packages, kubelet
        self._started_s = clock.monotonic_s()

    def handler(self) -> Handler:
        router = Router()
        router.add("GET", "/status", self.status)
        router.add("GET", "/images", self.list_images)
        router.add("DELETE", "/images", self.remove_image)
        router.add("POST", "/images/pull", self.pull)
        router.add("POST", "/images/build", self.build)
        router.add("POST", "/kubelet/start", self.start_kubelet)
        router.add("POST", "/kubelet/stop", self.stop_kubelet)
        return edge(router.dispatch, say_plainly)

    async def status(self, request: Request) -> Response:
        """GET /status -> 200 {name, api, root, pods, containers, images, kubelet, revision, pid, memory_bytes, ...}"""
        settings, store = self._settings, self._store
        pods = [entry.object() for entry in store.entries("Pod")]
        running = sum(pod.status.get("phase") == "Running" for pod in pods)
        facts = {
            "name": settings.name,
            "api": f"https://127.0.0.1:{settings.api_port}",
            "root": str(settings.root),
            "pods": f"{running} running of {len(pods)}",
            "containers": len(store.entries("Container.engine")),
            "images": len(store.entries("Image.engine")),
            "kubelet": "running" if self._kubelet.is_on else "stopped",
            "revision": store.revision,
            "pid": os.getpid(),
            "memory_bytes": memory_pss_bytes(os.getpid()),
            "uptime_s": round(self._clock.monotonic_s() - self._started_s, 3),
        }
        return Response.of(200, facts)

    async def list_images(self, request: Request) -> Response:
        """GET /images -> 200 [{reference, id, size_bytes, source}]: what there is, then what could be built"""
        present = [row for image in self._images.list() for row in _rows(image)]
        names = {row["reference"] for row in present}
        could = [f"{recipe.name}:{recipe.tags[0]}" for recipe in self._packages.catalogue.list() if recipe.tags]
        absent = [{"reference": n, "id": "", "size_bytes": 0, "source": "catalogue"} for n in could if n not in names]
        return Response.of(200, [*present, *absent])

    async def remove_image(self, request: Request) -> Response:
        """DELETE /images?reference= -> 200 {untagged, deleted}"""
        removed = await self._images.remove(request.query.get("reference"))
        return Response.of(200, {"untagged": removed.untagged, "deleted": removed.deleted})

    async def pull(self, request: Request) -> Stream:
        """POST /images/pull {reference} -> 200, lines {step, done, total}, at last {image} or {error}"""
        reference = _text(request.json(), "reference")
        return Stream(200, _lines(lambda told: self._images.ensure(reference, "IfNotPresent", told)))

    async def build(self, request: Request) -> Stream:
        """POST /images/build {name, packages} -> as /images/pull"""
        body = request.json()
        name, packages = _text(body, "name"), body.get("packages")
        if not isinstance(packages, list) or not all(isinstance(package, str) for package in packages):
            raise Malformed("packages: must be a list of package names")
        return Stream(200, _lines(lambda told: self._images.build_from_packages(name, packages, told)))

    async def start_kubelet(self, request: Request) -> Response:
        """POST /kubelet/start -> 200 {}, once the node is Ready again"""
        await self._kubelet.turn(on=True)
        return Response.of(200, {})

    async def stop_kubelet(self, request: Request) -> Response:
        """POST /kubelet/stop -> 200 {}, once it does nothing any more"""
        await self._kubelet.turn(on=False)
        return Response.of(200, {})


def _rows(image: Object) -> list[dict[str, Any]]:
    spec = image.spec
    names = spec.get("references") or ["<none>"]
    return [{"reference": n, "id": spec["id"], "size_bytes": spec["size_bytes"], "source": "store"} for n in names]


def _text(body: Any, name: str) -> str:
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise Malformed(f"{name}: must be a text")
    return value


async def _lines(work: Callable[[Progress], Awaitable[Object]]) -> AsyncIterator[bytes]:
    """The steps of a long work as JSON lines, then its outcome."""
    said: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def told(step: str, done: int, total: int) -> None:
        loop.call_soon_threadsafe(said.put_nowait, {"step": step, "done": done, "total": total})

    async def run() -> None:
        try:
            image = await work(told)
            said.put_nowait({"image": image.spec["id"]})
        except CloudError as error:
            said.put_nowait({"error": str(error)})
        said.put_nowait(None)

    async with asyncio.TaskGroup() as group:
        group.create_task(run())
        while (line := await said.get()) is not None:
            yield orjson.dumps(line) + b"\n"
