"""Images from registries: the pull half of the distribution protocol.

Called by the engine as a source of images; fills the blob store.  Nothing is believed that was not checked: manifests
and blobs against their digests and sizes, redirects against `challenges`, documents against `manifest` and `config`.
A transfer that breaks off is continued where it stopped.

Async; files are written from threads.  aiohttp is imported with the first request, so that a cloud that never pulls
does not carry it.

Source: OCI distribution specification 1.1, "Pull"; distribution "Token Authentication".
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin

from coracle.core.clock import Clock
from coracle.core.errors import (
    CloudError,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from coracle.core.tasks import offload
from coracle.image.blobs import BlobStore, BlobWriter
from coracle.image.challenges import (
    Challenge,
    check_redirect,
    check_url,
    is_same_server,
    may_know_password,
    parse_challenge,
)
from coracle.image.config import parse_config
from coracle.image.digests import PREFIX, digest_of, is_digest
from coracle.image.manifest import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Index,
    Manifest,
    Platform,
    choose_platform,
    host_platform,
    parse_document,
    parse_manifest,
)
from coracle.image.references import DEFAULT_REGISTRY, Reference

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")
Progress = Callable[[str, int, int], None]

MANIFEST_BYTES = 4 << 20
TOKEN_BYTES = 1 << 20
WRITE_BYTES = 1 << 20  # what is gathered before it is written: each write costs a change of thread
PARALLEL = 4
ATTEMPTS = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a registry.  `url` is https, or http on this machine; the password is for this address alone."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where to ask for each registry, the first one that answers has the say.

    Shape: `endpoints` maps a registry's name in references (`docker.io`, `localhost:5000`) to addresses in order.  A
           registry that is not listed is asked at https://<its name>; docker.io only where it is listed, since names
           without a registry mean it and are mostly answered by the catalogue.
    """

    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises Invalid."""
        for listed in self.endpoints.values():
            for endpoint in listed:
                check_url(endpoint.url)

    def of(self, registry: str) -> tuple[Endpoint, ...]:
        if registry in self.endpoints:
            return self.endpoints[registry]
        return () if registry == DEFAULT_REGISTRY else (Endpoint(f"https://{registry}"),)


class Registries:
    """A source of images (`engine.images.Source`)."""

    name = "registries"
    remote = True

    def __init__(
        self, blobs: BlobStore, clock: Clock, mirrors: Mirrors | None = None, *, platform: Platform | None = None
    ) -> None:
        self._blobs, self._clock, self._mirrors = blobs, clock, mirrors or Mirrors()
        self._platform = platform or host_platform()

    async def fetch(self, reference: Reference, progress: Progress) -> str | None:
        """Bring the image into the blob store; its manifest's digest, None where no registry knows the name.

        Raises: Unavailable, Unauthenticated, Forbidden, Invalid, Malformed, NotFound (the platform), TooLarge.
        """
        failure: CloudError | None = None
        for endpoint in self._mirrors.of(reference.registry):
            async with _session() as session:
                pull = _Pull(session, endpoint, reference, self._blobs, self._clock)
                try:
                    found = await pull.image(self._platform, progress)
                except (Unavailable, Unauthenticated, Forbidden) as error:
                    failure = failure or error
                    continue
            if found is not None:
                return found
        if failure is not None:
            raise failure
        return None


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    headers = {"User-Agent": "coracle"}
    async with aiohttp.ClientSession(
        timeout=timeout, headers=headers, auto_decompress=False, trust_env=True, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield session


class _Pull:
    """One image from one address."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        reference: Reference,
        blobs: BlobStore,
        clock: Clock,
    ) -> None:
        self._session, self._endpoint, self._reference = session, endpoint, reference
        self._blobs, self._clock = blobs, clock
        self._authorization = ""
        self._base = f"{endpoint.url.rstrip('/')}/v2/{reference.repository}"

    async def image(self, platform: Platform, progress: Progress) -> str | None:
        """The digest of the manifest for `platform`, with all its blobs stored; None where the name is unknown."""
        try:
            raw, found = await self._manifest(self._reference.digest or self._reference.tag)
        except NotFound:
            return None
        if isinstance(found, Index):
            chosen = choose_platform(found, platform)
            raw, found = await self._manifest(chosen.digest, chosen)
        if isinstance(found, Index):
            raise Invalid(message=f"{self._reference.familiar} is an index of indexes", kind="Image")
        await self._bring(found, progress)
        return (await offload(self._blobs.put, raw)).digest

    async def _manifest(self, name: str, promised: Descriptor | None = None) -> tuple[bytes, Manifest | Index]:
        """A manifest or index by tag or digest, checked.  Raises NotFound."""
        accept = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))

        async def read(response: aiohttp.ClientResponse) -> tuple[bytes, str, str]:
            raw = await _read(response, MANIFEST_BYTES)
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
            return raw, kind, response.headers.get("Docker-Content-Digest", "")

        raw, kind, said = await self._retry(f"{self._base}/manifests/{name}", lambda: {"Accept": accept}, read)
        digest = digest_of(raw)
        if is_digest(name) and digest != name:
            raise Invalid(message=f"manifest {name} arrived as {digest}", kind="Image", name=name)
        if said.startswith(PREFIX) and said != digest:
            raise Invalid(
                message=f"manifest of {self._reference.familiar} arrived as {digest}, not {said}", kind="Image"
            )
        if promised is not None and len(raw) != promised.size_bytes:
            raise Invalid(message=f"manifest {name} has {len(raw)} bytes, not {promised.size_bytes}", kind="Image")
        return raw, parse_manifest(raw, kind)

    async def _bring(self, manifest: Manifest, progress: Progress) -> None:
        """Store configuration and layers, some at a time; the configuration first, since it may be refused."""
        await self._blob(manifest.config, lambda *_: None)
        config = parse_config(await offload(self._blobs.read, manifest.config.digest))
        if len(config.diff_ids) != len(manifest.layers):
            raise Invalid(
                message=f"{self._reference.familiar}: configuration and manifest differ in layers", kind="Image"
            )
        places = asyncio.Semaphore(PARALLEL)

        async def one(layer: Descriptor) -> None:
            async with places:
                await self._blob(layer, progress)

        try:
            async with asyncio.TaskGroup() as group:
                for layer in {layer.digest: layer for layer in manifest.layers}.values():
                    group.create_task(one(layer))
        except* CloudError as errors:
            raise errors.exceptions[0] from None

    async def _blob(self, blob: Descriptor, progress: Progress) -> None:
        """Store one blob, continuing what an earlier attempt left."""
        step = f"layer {blob.digest[len(PREFIX) :][:12]}"
        if await offload(self._blobs.has, blob.digest):
            progress(step, blob.size_bytes, blob.size_bytes)
            return
        url = f"{self._base}/blobs/{blob.digest}"

        async def receive(response: aiohttp.ClientResponse) -> None:
            await self._receive(writer, response, lambda done: progress(step, done, blob.size_bytes))

        with await offload(self._blobs.writer, blob.digest, blob.size_bytes) as writer:
            if writer.offset < blob.size_bytes:
                await self._retry(url, lambda: {"Range": f"bytes={writer.offset}-"} if writer.offset else {}, receive)
            await offload(writer.commit)
        progress(step, blob.size_bytes, blob.size_bytes)

    async def _receive(self, writer: BlobWriter, response: aiohttp.ClientResponse, tell: Callable[[int], None]) -> None:
        """Write a body, or the rest of one, to `writer`.  Raises Unavailable where it ends early."""
        if writer.offset and not _continues(response, writer.offset):
            await offload(writer.restart)
        gathered = bytearray()
        async for chunk in response.content.iter_chunked(1 << 16):
            gathered += chunk
            if len(gathered) >= WRITE_BYTES:
                await offload(writer.write, bytes(gathered))
                gathered.clear()
                tell(writer.offset)
        await offload(writer.write, bytes(gathered))

    async def _retry(
        self,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        read: Callable[[aiohttp.ClientResponse], Awaitable[T]],
    ) -> T:
        """GET and read, again after growing waits while the failure is one that may pass.  Raises as `_get`."""
        import aiohttp

        wait_s = FIRST_WAIT_S
        for attempt in range(ATTEMPTS):
            try:
                async with self._get(url, headers()) as response:
                    return await read(response)
            except Unavailable:
                if attempt == ATTEMPTS - 1:
                    raise
            except aiohttp.ClientConnectorCertificateError as error:
                raise Unavailable(f"registry {self._endpoint.url} has no valid certificate: {error}") from None
            except aiohttp.ClientConnectorError as error:  # nobody there: the next address rather than the next attempt
                raise Unavailable(f"registry {self._endpoint.url} cannot be reached: {error.strerror}") from None
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                if attempt == ATTEMPTS - 1:
                    raise Unavailable(f"registry {self._endpoint.url} broke off: {type(error).__name__}") from None
            await self._clock.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        raise Unavailable(f"registry {self._endpoint.url} does not answer")

    @asynccontextmanager
    async def _get(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """GET with whatever authorization is asked for, through redirects.

        Raises: NotFound, Unauthenticated, Forbidden, Unavailable, Invalid (a redirect), aiohttp's errors.
        """
        async with self._follow(url, headers) as response:
            if response.status not in (200, 206, 401):
                raise self._refusal(response)
            if response.status != 401:
                yield response
                return
            challenge = response.headers.get("WWW-Authenticate", "")
        await self._authorize(challenge)  # the token may have grown old
        async with self._follow(url, headers) as response:
            if response.status not in (200, 206):
                raise self._refusal(response)
            yield response

    @asynccontextmanager
    async def _follow(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """GET through redirects; the authorization goes to the registry itself only."""
        origin = url
        for _ in range(REDIRECTS):
            own = {"Authorization": self._authorization} if self._authorization and is_same_server(origin, url) else {}
            async with self._session.get(url, headers={**headers, **own}, allow_redirects=False) as response:
                target = response.headers.get("Location")
                if response.status not in (301, 302, 303, 307, 308) or target is None:
                    yield response
                    return
                url = check_redirect(url, urljoin(url, target))
        raise Invalid(message=f"registry {self._endpoint.url} redirects without end")

    async def _authorize(self, header: str) -> None:
        """Get what the registry asks for.  Raises Unauthenticated, Forbidden, Unavailable."""
        challenge = parse_challenge(header)
        if challenge.scheme == "bearer":
            self._authorization = f"Bearer {await self._token(challenge)}"
        elif self._endpoint.username:
            self._authorization = self._basic()
        else:
            raise Unauthenticated(f"registry {self._endpoint.url} wants a user and a password")

    def _basic(self) -> str:
        words = f"{self._endpoint.username}:{self._endpoint.password}".encode()
        return "Basic " + base64.b64encode(words).decode()

    async def _token(self, challenge: Challenge) -> str:
        realm = check_redirect(self._endpoint.url, challenge.realm)
        asked = {
            "service": challenge.service,
            "scope": challenge.scope or f"repository:{self._reference.repository}:pull",
        }
        headers = {}
        if self._endpoint.username and may_know_password(self._endpoint.url, realm):
            headers["Authorization"] = self._basic()
        params = {name: text for name, text in asked.items() if text}
        async with self._session.get(realm, params=params, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise self._refusal(response)
            doc = parse_document(await _read(response, TOKEN_BYTES), "token")
        token = doc.get("token") or doc.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Forbidden(f"registry {self._endpoint.url} gave no token")
        return token

    def _refusal(self, response: aiohttp.ClientResponse) -> CloudError:
        """The error for a status that is not success."""
        name, status = self._reference.familiar_name, response.status
        if status == 404:
            return NotFound(kind="Image", name=self._reference.familiar)
        if status in (401, 403):
            error = Unauthenticated if status == 401 and self._endpoint.username else Forbidden
            return error(f"pull access denied for {name}, repository does not exist or may require a login")
        if status == 416:  # what we have is not a beginning of what there is
            return Invalid(message=f"blob of {name} is not as long as the manifest says", kind="Image")
        if status == 429 or status >= 500:
            return Unavailable(f"registry {self._endpoint.url} answers {status}")
        return Forbidden(f"registry {self._endpoint.url} answers {status} for {name}")


def _continues(response: aiohttp.ClientResponse, offset: int) -> bool:
    """Whether the body goes on from `offset`."""
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")


async def _read(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """A whole small body.  Raises TooLarge."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > limit_bytes:
            raise TooLarge(f"answer of {response.url.host} is larger than {limit_bytes} bytes")
    return bytes(body)
