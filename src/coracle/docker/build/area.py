"""The area of builds: POST /build, its cancellation, its cache.

Source: Docker Engine API 1.50, "ImageBuild", "BuildPrune", "BuildCancel", "Session"; reference docker.md 1.2.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any, BinaryIO

from coracle.core.clock import Clock
from coracle.core.errors import CloudError, Invalid, Malformed, NotFound, Unsupported
from coracle.core.tasks import offload
from coracle.docker.build.cache import CacheView
from coracle.docker.build.describing import describe
from coracle.docker.build.query import Asked, read_query
from coracle.docker.build.remote import fetch_context
from coracle.docker.build.telling import Tell, telling
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.images.pulling import Report
from coracle.engine.builds.request import BuildRequest
from coracle.engine.builds.service import Builds, Ground
from coracle.engine.builds.state import short
from coracle.engine.images import Progress
from coracle.engine.networks import Networks
from coracle.image.dockerfile.parse import Dockerfile, parse_dockerfile
from coracle.image.references import parse_reference
from coracle.web.messages import Answer, Request, Response

SPOOL_BYTES = 1 << 20  # a context up to this stays in memory until it is unpacked
LIMIT_BYTES = 16 << 30
QUIET_CHARACTERS = 1 << 18  # of what a quiet build said, kept for its failure


class BuildArea:
    def __init__(self, builds: Builds, networks: Networks, events: Events, clock: Clock) -> None:
        self._builds, self._networks, self._events, self._clock = builds, networks, events, clock
        self.cache = CacheView(builds, clock)
        self._running: dict[str, asyncio.Task[Any]] = {}

    def routes(self) -> Iterable[Route]:
        return (
            Route("POST", "/build", self.build, streaming=True),
            Route("POST", "/build/cancel", self.cancel),
            Route("POST", "/build/prune", self.cache.prune),
        )

    async def build(self, request: Request) -> Answer:
        """?dockerfile&t&... and a tar -> 200, what happens"""
        asked = read_query(request)
        network = self._network(asked.network)
        with contextlib.ExitStack() as stack:
            body = stack.enter_context(self._builds.spool(SPOOL_BYTES))
            size = await _receive(request, body)
            kept = stack.pop_all()

        async def work(tell: Tell) -> None:
            with kept, self._cancellable(asked.build_id):
                async with self._ground(asked, body if size else None) as (ground, dockerfile):
                    await self._build(asked, network, ground, dockerfile, tell)

        return await telling(work)

    @contextlib.asynccontextmanager
    async def _ground(self, asked: Asked, body: BinaryIO | None) -> AsyncIterator[tuple[Ground, Dockerfile]]:
        name = asked.dockerfile or "Dockerfile"
        if not asked.remote:
            async with self._builds.ground(body) as ground:
                raw = await ground.dockerfile(asked.dockerfile)
                yield ground, await offload(parse_dockerfile, raw, name)
            return
        with self._builds.shelf() as home:
            async with fetch_context(asked.remote, home) as (archive, text), self._builds.ground(archive) as ground:
                raw = text if text is not None else await ground.dockerfile(asked.dockerfile)
                yield ground, await offload(parse_dockerfile, raw, name)

    async def _build(self, asked: Asked, network: str, ground: Ground, dockerfile: Dockerfile, tell: Tell) -> None:
        held: list[str] = []

        async def say(text: str) -> None:
            if not asked.quiet:
                await tell({"stream": text})
            elif sum(map(len, held)) < QUIET_CHARACTERS:
                held.append(text)

        def fetching(name: str) -> Progress:
            return Report(parse_reference(name), _nobody if asked.quiet else tell.hint).step

        try:
            request = replace(_request(asked, network, dockerfile), hosts=self._hosts(asked), fetching=fetching)
            id = await self._builds.build(request, ground, say)
        except CloudError as error:
            for text in held:
                await tell({"stream": text})
            raise (_unknown(error) if isinstance(error, NotFound) else error) from error
        await tell({"aux": {"ID": id}})
        await say(f"Successfully built {short(id)}\n")
        for tag in asked.tags:
            name = parse_reference(tag).familiar
            await self._events.publish("image", "tag", id, {"name": name})
            await say(f"Successfully tagged {name}\n")
        if asked.quiet:
            await tell({"stream": f"{id}\n"})

    def _hosts(self, asked: Asked) -> tuple[tuple[str, str], ...]:
        """Raises Malformed."""
        gateway = str(self._networks.get("bridge").spec["gateway"])
        found = (_host(text) for text in asked.extra_hosts)
        return tuple((gateway if address == "host-gateway" else address, name) for address, name in found)

    def _network(self, mode: str) -> str:
        """What RUN is plugged into.  Raises Malformed, NotFound."""
        if mode in ("", "default", "bridge"):
            return "bridge"
        if mode in ("host", "none"):
            return mode
        if mode.startswith("container:"):
            raise Unsupported("a build cannot join the network of a container", status=501)
        return str(self._networks.get(mode).spec["name"])

    @contextlib.contextmanager
    def _cancellable(self, id: str) -> Any:
        task = asyncio.current_task()
        if not id or task is None:
            yield
            return
        self._running[id] = task
        try:
            yield
        except asyncio.CancelledError:
            if self._running.get(id) is not None:
                raise
            task.uncancel()
            raise Invalid(message="build cancelled") from None
        finally:
            self._running.pop(id, None)

    async def cancel(self, request: Request) -> Answer:
        """?id -> 204"""
        id = request.query.get("id")
        if not id:
            raise Malformed("build ID not provided")
        task = self._running.pop(id, None)
        if task is not None:
            task.cancel()
        return Response(204)


async def _receive(request: Request, spool: BinaryIO) -> int:
    """The body, as it comes; its size.  Raises Malformed where it is too large."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LIMIT_BYTES:
            raise Malformed(f"the build context is larger than {LIMIT_BYTES} bytes")
        if size > SPOOL_BYTES:
            await offload(spool.write, chunk)
        else:
            spool.write(chunk)
    spool.seek(0)
    return size


def _nobody(_line: object) -> None:
    pass


def _request(asked: Asked, network: str, dockerfile: Dockerfile) -> BuildRequest:
    return BuildRequest(
        dockerfile=dockerfile,
        tags=asked.tags,
        build_args=asked.build_args,
        labels=asked.labels,
        target=asked.target,
        no_cache=asked.no_cache,
        pull=asked.pull,
        platform=asked.platform,
        network=network,
        resources=asked.resources,
        shm_bytes=asked.shm_bytes,
        rlimits=asked.rlimits,
        keep_failed=not asked.remove,
        logins=asked.logins,
        describe=describe,
    )


def _unknown(error: NotFound) -> NotFound:
    """An image that nobody has, in the words that clients look for."""
    if error.kind != "Image" or "platform" in error.message:
        return error
    name = error.name.partition(":")[0].partition("@")[0]
    said = f"pull access denied for {name}, repository does not exist or may require 'docker login': denied"
    return NotFound(f"{said}: no registry is asked for it and the catalogue does not have it", kind="Image", name=name)


def _host(text: str) -> tuple[str, str]:
    """ "name:address" as a line of /etc/hosts.  Raises Malformed."""
    name, sign, address = text.partition(":" if "=" not in text else "=")
    if not sign or not name or not address or any(one.isspace() for one in text):
        raise Malformed(f"bad format for add-host: {text[:100]!r}")
    return (address.strip("[]"), name)
