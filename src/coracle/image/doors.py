"""Requests to one registry address: authorization, redirects, trying again.

Source: OCI distribution specification 1.1, "Endpoints", "Error Codes"; distribution "Token Authentication".
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin

from coracle.core.clock import Clock
from coracle.core.errors import CloudError, Forbidden, Invalid, NotFound, TooLarge, Unauthenticated, Unavailable
from coracle.image.challenges import Challenge, check_redirect, is_same_server, may_know_password, parse_challenge
from coracle.image.manifest import parse_document
from coracle.image.references import Reference

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

TOKEN_BYTES = 1 << 20
ATTEMPTS = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a registry.  `url` is https, or http on this machine; the password is for this address alone."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    headers = {"User-Agent": "coracle"}
    async with aiohttp.ClientSession(
        timeout=timeout, headers=headers, auto_decompress=False, trust_env=True, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield session


class Door:
    """One address, as the puller of one repository goes through it."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint, reference: Reference, clock: Clock) -> None:
        self._session, self._endpoint, self._reference, self._clock = session, endpoint, reference, clock
        self._authorization = ""
        self.base = f"{endpoint.url.rstrip('/')}/v2/{reference.repository}"

    async def get(
        self,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        read: Callable[[aiohttp.ClientResponse], Awaitable[T]],
    ) -> T:
        """GET and read, again after growing waits while the failure is one that may pass.  Raises as `_once`."""
        import aiohttp

        wait_s = FIRST_WAIT_S
        for attempt in range(ATTEMPTS):
            try:
                async with self._once(url, headers()) as response:
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
    async def _once(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
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
            doc = parse_document(await read_body(response, TOKEN_BYTES), "token")
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


async def read_body(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """A whole small body.  Raises TooLarge."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > limit_bytes:
            raise TooLarge(f"answer of {response.url.host} is larger than {limit_bytes} bytes")
    return bytes(body)
