"""Registries: where they are, and what is asked of them.  One address of one is `doors.Door`.

    fetch      an image, into the blob store          push       an image, from there
    tags       of a repository                        describe   what a name stands for, without fetching it
    check      whether a user's password is right

Async.  aiohttp is imported with the first request, so that a cloud that never pulls does not carry it.

Source: OCI distribution specification 1.1; distribution "Token Authentication"; Docker's insecure registries.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from coracle.core.clock import Clock
from coracle.core.errors import CloudError, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from coracle.image.blobs import BlobStore
from coracle.image.challenges import check_redirect, check_url, is_loopback
from coracle.image.config import parse_config
from coracle.image.digests import digest_of
from coracle.image.doors import Ask, Door, Endpoint, Unreachable, open_session, read_body
from coracle.image.manifest import Descriptor, Index, Platform, host_platform, parse_document
from coracle.image.pull import MANIFEST_BYTES, Progress, Pull
from coracle.image.push import Push, to_push_error
from coracle.image.references import DEFAULT_REGISTRY, Reference, check_tag
from coracle.image.terms import NOBODY, PLAIN, Login, Terms
from coracle.image.trust import Trust

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

MAX_TAGS = 10_000
_NEXT = re.compile(r"<([^>]+)>\s*;\s*rel=\"?next\"?")


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where to ask for each registry, the first one that answers has the say.

    Shape: `endpoints` maps a registry's name in references (`docker.io`, `localhost:5000`) to addresses in order.  A
           registry that is not listed is asked at https://<its name>, and on this machine by http too; docker.io only
           where it is listed, since names without a registry mean it and are mostly answered by the catalogue.
    """

    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    trust: Trust = field(default_factory=Trust)

    def __post_init__(self) -> None:
        """Raises Invalid."""
        for listed in self.endpoints.values():
            for endpoint in listed:
                check_url(endpoint.url, plain=endpoint.plain)

    def of(self, registry: str) -> tuple[Endpoint, ...]:
        if registry in self.endpoints:
            return tuple(replace(one, is_own=one.is_own or one.host == registry) for one in self.endpoints[registry])
        if registry == DEFAULT_REGISTRY:
            return ()
        safe = Endpoint(f"https://{registry}", is_own=True)
        if not is_loopback(urlsplit(safe.url).hostname or ""):
            return (safe,)
        here = replace(safe, verified=self.trust.of(registry) is not None)
        return (here, Endpoint(f"http://{registry}", is_own=True))


class Registries:
    """A source of images (`engine.images.Source`)."""

    name = "registries"
    remote = True

    def __init__(
        self, blobs: BlobStore, clock: Clock, mirrors: Mirrors | None = None, *, platform: Platform | None = None
    ) -> None:
        self._blobs, self._clock, self._mirrors = blobs, clock, mirrors or Mirrors()
        self._platform = platform or host_platform()

    async def fetch(self, reference: Reference, progress: Progress, terms: Terms = PLAIN) -> str | None:
        """Bring the image into the blob store; its manifest's digest, None where no registry knows the name.

        Raises: Unavailable, Unauthenticated, Forbidden, Invalid, Malformed, NotFound (the platform), TooLarge.
        """

        async def pull(door: Door) -> str | None:
            platform = terms.platform or self._platform
            return await Pull(door, reference, self._blobs).image(platform, progress)

        return await self._first(reference, "pull", terms.login, pull)

    async def tags(self, reference: Reference, terms: Terms = PLAIN) -> Sequence[str]:
        """All tags of the repository.  Raises as fetch."""

        async def read(door: Door) -> Sequence[str] | None:
            with contextlib.suppress(NotFound):
                return [tag async for tag in _tags(door)]
            return None

        return await self._first(reference, "pull", terms.login, read) or ()

    async def describe(self, reference: Reference, login: Login = NOBODY) -> tuple[Descriptor, Sequence[Platform]]:
        """What the name stands for, and for which platforms.  Raises NotFound, and as fetch."""

        async def look(door: Door) -> tuple[Descriptor, Sequence[Platform]] | None:
            pull = Pull(door, reference, self._blobs)
            try:
                raw, found = await pull.manifest(reference.digest or reference.tag)
            except NotFound:
                return None
            descriptor = Descriptor(found.media_type, digest_of(raw), len(raw))
            if isinstance(found, Index):
                return descriptor, [one.platform for one in found.manifests if one.platform]
            platform = parse_config(await pull.small_blob(found.config)).platform
            return descriptor, [platform]

        found = await self._first(reference, "pull", login, look)
        if found is None:
            said = f"manifest unknown: no registry has {reference.familiar}"
            raise NotFound(said, kind="Image", name=reference.familiar)
        return found

    async def check(self, registry: str, login: Login) -> None:
        """Whether the registry takes that user and password.  Raises Unauthenticated, Forbidden, Unavailable."""

        async def look(door: Door) -> bool:
            await door.ask(Ask("GET", door.root, good=(200,), attempts=1), _nothing)
            return True

        await self._first(Reference(registry, ""), "", login, look)

    async def push(
        self,
        reference: Reference,
        digest: str,
        known: Mapping[str, Sequence[str]],
        progress: Progress,
        login: Login = NOBODY,
    ) -> Descriptor:
        """Send the image whose manifest has that digest under that name; `known` as for push.Push.

        Raises: NotFound (it is not here), Unauthenticated, Forbidden, Unavailable, Invalid.
        """

        async def send(door: Door) -> Descriptor:
            await door.ask(Ask("GET", door.root, good=(200,), attempts=1), _nothing)  # this address, or the next
            return await Push(door, self._blobs, known, progress).image(digest, reference.tag)

        try:
            found = await self._first(reference, "push", login, send)
        except CloudError as error:
            raise to_push_error(error, reference.familiar_name) from error
        assert found is not None  # noqa: S101  # `send` gives one or raises
        return found

    async def _first(
        self, reference: Reference, right: str, login: Login, do: Callable[[Door], Awaitable[T | None]]
    ) -> T | None:
        """What the first address that can be asked says.  Raises the first failure where all fail."""
        failures: dict[str, CloudError] = {}  # by host: what it answers by http counts, though it has no https
        endpoints = self._mirrors.of(reference.registry)
        if not endpoints and right != "pull":
            raise Unavailable(f"no address is configured for the registry {reference.registry}")
        for endpoint in endpoints:
            if isinstance(failures.get(endpoint.host), (Unauthenticated, Forbidden)):
                continue  # it has answered: http would only lay bare what https protects
            try:
                async with self._door(endpoint, reference, right, login) as door:
                    found = await do(door)
            except (Unavailable, Unauthenticated, Forbidden) as error:
                failures[endpoint.host] = _more_telling(failures.get(endpoint.host), error)
                continue
            if found is not None:
                return found
            failures.pop(endpoint.host, None)
        for failure in failures.values():
            raise failure
        return None

    @contextlib.asynccontextmanager
    async def _door(self, endpoint: Endpoint, reference: Reference, right: str, login: Login) -> AsyncIterator[Door]:
        rights = {"pull": "pull", "push": "pull,push"}.get(right)
        async with open_session(endpoint, self._mirrors.trust) as session:
            yield Door(
                session,
                endpoint,
                self._clock,
                repository=reference.repository,
                name=reference.familiar_name if reference.repository else reference.registry,
                scope=[f"repository:{reference.repository}:{rights}"] if rights else [],
                login=login,
            )


def _more_telling(first: CloudError | None, second: CloudError) -> CloudError:
    """Of two failures the later one, unless it only says that nobody was there."""
    return first if first is not None and isinstance(second, Unreachable) else second


async def _tags(door: Door) -> AsyncIterator[str]:
    url, count = f"{door.base}/tags/list?n=1000", 0

    async def read(response: aiohttp.ClientResponse) -> tuple[list[str], str]:
        doc = parse_document(await read_body(response, MANIFEST_BYTES), "list of tags")
        listed = doc.get("tags") or []
        if not isinstance(listed, list):
            raise Invalid(message="a registry's list of tags is no list")
        more = _NEXT.search(response.headers.get("Link", ""))
        place = check_redirect(door.root, urljoin(str(response.url), more[1])) if more else ""
        return [check_tag(str(tag)) for tag in listed], place

    while url and count < MAX_TAGS:
        tags, url = await door.get(url, dict, read)
        for tag in tags:
            yield tag
        count += max(len(tags), 1)


async def _nothing(_response: aiohttp.ClientResponse) -> None:
    """What is in the answer does not matter."""
