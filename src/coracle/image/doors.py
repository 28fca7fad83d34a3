"""Requests to one registry address: authorization, redirects, trying again.

Source: OCI distribution specification 1.1, "Endpoints", "Error Codes"; distribution "Token Authentication", "OAuth 2".
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

from coracle.core.clock import Clock
from coracle.core.errors import CloudError, Forbidden, Invalid, NotFound, TooLarge, Unauthenticated, Unavailable
from coracle.core.tasks import offload
from coracle.image.challenges import (
    Challenge,
    check_redirect,
    is_loopback,
    is_same_server,
    may_know_password,
    parse_challenge,
)
from coracle.image.manifest import parse_document
from coracle.image.terms import NOBODY, Login
from coracle.image.trust import Trust

if TYPE_CHECKING:
    import ssl

    import aiohttp

T = TypeVar("T")

TOKEN_BYTES = 1 << 20
ERROR_BYTES = 1 << 16
ATTEMPTS = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
REDIRECTS = 5
CONNECT_S, SILENCE_S = 10, 60


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a registry.  `url` is https, or http on this machine; the password is for this address alone.

    plain      http is right although it is not on this machine
    verified   its certificate has to be good
    is_own     it is the registry itself, not a mirror: it may be told who a user is
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    plain: bool = False
    verified: bool = True
    is_own: bool = False

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def login(self, asked: Login) -> Login:
        """What it is told: the user's own, where it may know that, or what is configured for this address."""
        return asked if asked and self.is_own else Login(self.username, self.password)


class Unreachable(Unavailable):
    """Nobody answers at that address."""


@asynccontextmanager
async def open_session(endpoint: Endpoint, trust: Trust) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to that address, and to where it leads.  Raises Invalid (its certificates on our disk)."""
    import aiohttp

    context: ssl.SSLContext | bool = True
    if endpoint.url.startswith("https:"):
        context = await offload(lambda: trust.context(endpoint.host, verified=endpoint.verified))
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
    async with aiohttp.ClientSession(
        timeout=timeout,
        headers={"User-Agent": "coracle"},
        auto_decompress=False,
        trust_env=not is_loopback(urlsplit(endpoint.url).hostname or ""),  # proxies are for what is elsewhere
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(ssl=context),
    ) as session:
        yield session


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.  `headers` and `data` are made anew for each attempt; `good` are the statuses that mean success."""

    method: str
    url: str
    headers: Callable[[], Mapping[str, str]] = dict
    data: Callable[[], Any] = lambda: None
    good: Sequence[int] = (200, 206)
    attempts: int = ATTEMPTS


class Door:
    """One address, as one user of one repository goes through it.

    `name` is the repository as people write it, for messages; `scope` what a token has to allow ("" is nothing).
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        clock: Clock,
        *,
        repository: str = "",
        name: str = "",
        scope: Sequence[str] = (),
        login: Login = NOBODY,
    ) -> None:
        self._session, self._endpoint, self._clock = session, endpoint, clock
        self._name, self._scope = name or endpoint.url, tuple(scope)
        self._login = endpoint.login(login)
        self._authorization = ""
        self.root = f"{endpoint.url.rstrip('/')}/v2/"
        self.base = f"{self.root}{repository}"

    def may_also(self, scope: str) -> None:
        """Ask for one more right with the next token."""
        if scope not in self._scope:
            self._scope, self._authorization = (*self._scope, scope), ""

    async def get(
        self,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        read: Callable[[aiohttp.ClientResponse], Awaitable[T]],
    ) -> T:
        """GET and read, again after growing waits while the failure is one that may pass.  Raises as `_once`."""
        return await self.ask(Ask("GET", url, headers), read)

    async def ask(self, ask: Ask, read: Callable[[aiohttp.ClientResponse], Awaitable[T]]) -> T:
        """The same with any method."""
        import aiohttp

        wait_s = FIRST_WAIT_S
        for attempt in range(ask.attempts):
            try:
                async with self._once(ask) as response:
                    return await read(response)
            except Unavailable:
                if attempt == ask.attempts - 1:
                    raise
            except aiohttp.ClientConnectorCertificateError as error:
                why = error.certificate_error
                raise Forbidden(f"registry {self._endpoint.url} has no valid certificate: {why}") from None
            except aiohttp.ClientConnectorError as error:  # nobody there: the next address rather than the next attempt
                raise Unreachable(f"registry {self._endpoint.url} cannot be reached: {error.strerror}") from None
            except UnicodeError as error:  # a label of more than 63 bytes
                raise Unreachable(f"registry {self._endpoint.url} cannot be reached: {error}") from None
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                if attempt == ask.attempts - 1:
                    raise Unavailable(f"registry {self._endpoint.url} broke off: {type(error).__name__}") from None
            await self._clock.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        raise Unavailable(f"registry {self._endpoint.url} does not answer")

    @asynccontextmanager
    async def _once(self, ask: Ask) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask with whatever authorization is asked for, through redirects.

        Raises: NotFound, Unauthenticated, Forbidden, Unavailable, Invalid (a redirect), aiohttp's errors.
        """
        async with self._follow(ask) as response:
            if response.status in ask.good:
                yield response
                return
            if response.status != 401:
                raise await self._refusal(response)
            challenge = response.headers.get("WWW-Authenticate", "")
        await self._authorize(challenge)  # the token may have grown old
        async with self._follow(ask) as response:
            if response.status not in ask.good:
                raise await self._refusal(response)
            yield response

    @asynccontextmanager
    async def _follow(self, ask: Ask) -> AsyncIterator[aiohttp.ClientResponse]:
        """Through redirects; the authorization goes to the registry itself only."""
        url = ask.url
        for _ in range(REDIRECTS):
            headers, data = {**ask.headers(), **self._own(url)}, ask.data()
            async with self._session.request(
                ask.method, url, headers=headers, data=data, allow_redirects=False
            ) as response:
                target = response.headers.get("Location")
                if response.status not in (301, 302, 303, 307, 308) or target is None:
                    yield response
                    return
                url = check_redirect(url, urljoin(url, target))
        raise Invalid(message=f"registry {self._endpoint.url} redirects without end")

    def _own(self, url: str) -> Mapping[str, str]:
        if self._authorization and is_same_server(self._endpoint.url, url):
            return {"Authorization": self._authorization}
        return {}

    async def _authorize(self, header: str) -> None:
        """Get what the registry asks for.  Raises Unauthenticated, Forbidden, Unavailable."""
        challenge = parse_challenge(header)
        if challenge.scheme == "bearer":
            self._authorization = f"Bearer {self._login.bearer or await self._token(challenge)}"
        elif self._login.username:
            self._authorization = self._basic()
        else:
            raise Unauthenticated(f"registry {self._endpoint.url} refuses: no basic auth credentials")

    def _basic(self) -> str:
        words = f"{self._login.username}:{self._login.password}".encode()
        return "Basic " + base64.b64encode(words).decode()

    async def _token(self, challenge: Challenge) -> str:
        realm = check_redirect(self._endpoint.url, challenge.realm)
        scopes = self._scope or ((challenge.scope,) if challenge.scope else ())
        knows = may_know_password(self._endpoint.url, realm)
        if self._login.identity and knows:
            doc = await self._exchange(realm, challenge, scopes)
        else:
            params = [("service", challenge.service), *(("scope", scope) for scope in scopes)]
            headers = {}
            if self._login.username and knows:
                headers["Authorization"] = self._basic()
                params.append(("account", self._login.username))
            params = [(name, text) for name, text in params if text]
            async with self._session.get(realm, params=params, headers=headers, allow_redirects=False) as response:
                doc = await self._read_token(response)
        token = doc.get("token") or doc.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Forbidden(f"registry {self._endpoint.url} gave no token")
        return token

    async def _exchange(self, realm: str, challenge: Challenge, scopes: Sequence[str]) -> dict[str, Any]:
        """A token for the one that stands for the password."""
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._login.identity,
            "service": challenge.service,
            "scope": " ".join(scopes),
            "client_id": "coracle",
        }
        async with self._session.post(realm, data=form, allow_redirects=False) as response:
            return await self._read_token(response)

    async def _read_token(self, response: aiohttp.ClientResponse) -> dict[str, Any]:
        if response.status != 200:
            raise await self._refusal(response)
        return parse_document(await read_body(response, TOKEN_BYTES), "token")

    async def _refusal(self, response: aiohttp.ClientResponse) -> CloudError:
        """The error for a status that is not success."""
        status, said = response.status, await said_in(response)
        if status == 404:
            return NotFound(said, kind="Image", name=self._name)
        if status == 401 and self._login:
            return Unauthenticated(said or "unauthorized: authentication required")
        if status in (401, 403):
            return Forbidden(
                f"pull access denied for {self._name}, repository does not exist or may require 'docker login': "
                f"{said or 'denied'}"
            )
        if status == 416:  # what we have is not a beginning of what there is
            return Invalid(message=f"blob of {self._name} is not as long as the manifest says", kind="Image")
        if status == 429 or status >= 500:
            return Unavailable(f"registry {self._endpoint.url} answers {status}{said and f': {said}'}")
        return Forbidden(f"registry {self._endpoint.url} answers {status} for {self._name}{said and f': {said}'}")


async def said_in(response: aiohttp.ClientResponse) -> str:
    """The first error in a registry's answer, as dockerd puts it: "manifest unknown: manifest unknown"; "" for none."""
    try:
        doc = json.loads(await read_body(response, ERROR_BYTES))
        first = doc["errors"][0]
        code, message = str(first["code"]), str(first.get("message") or "")
    except (CloudError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    return f"{code.lower().replace('_', ' ')}: {message}"[:300]


async def read_body(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """A whole small body.  Raises TooLarge."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > limit_bytes:
            raise TooLarge(f"answer of {response.url.host} is larger than {limit_bytes} bytes")
    return bytes(body)
