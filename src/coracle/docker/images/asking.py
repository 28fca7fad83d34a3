"""What is asked about registries: is this password right, what does this name stand for, what is there to run.

Source: Docker Engine API 1.50, "SystemAuth", "DistributionInspect", "ImageSearch".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from coracle.core.errors import Forbidden, Malformed, Unauthenticated, Unavailable
from coracle.docker.bodies import Fields, body_of, number
from coracle.docker.door import Route
from coracle.docker.filters import Filters, parse_filters
from coracle.docker.images.logins import header_login, login_of
from coracle.image.catalogue import Catalogue, Recipe
from coracle.image.references import DEFAULT_REGISTRY, is_registry, parse_reference
from coracle.image.registry import Registries
from coracle.web.messages import Answer, Request, Response

_HUB = ("", "index.docker.io", "docker.io", "registry-1.docker.io")
_LONGEST_LIST = 100


class Asking:
    def __init__(self, registries: Registries, catalogue: Catalogue) -> None:
        self._registries, self._catalogue = registries, catalogue

    def routes(self) -> Iterable[Route]:
        return (
            Route("POST", "/auth", self.log_in),
            Route("GET", "/distribution/{name:path}/json", self.describe),
            Route("GET", "/images/search", self.search),
        )

    async def log_in(self, request: Request) -> Answer:
        """AuthConfig -> 200 {"Status", "IdentityToken"}; 401"""
        fields = Fields(body_of(request))
        registry = registry_of(fields.text("serveraddress"))
        login = login_of(fields)
        if not login:
            raise Unauthenticated("a username and a password are needed")
        try:
            await self._registries.check(registry, login)
        except (Unauthenticated, Forbidden) as error:
            said = f"login attempt to https://{registry}/v2/ failed: unauthorized: incorrect username or password"
            raise Unauthenticated(said) from error
        return Response.of(200, {"Status": "Login Succeeded", "IdentityToken": ""})

    async def describe(self, request: Request) -> Answer:
        """-> 200 {"Descriptor", "Platforms"}"""
        name = parse_reference(request.params["name"])
        try:
            descriptor, platforms = await self._registries.describe(name, header_login(request))
        except Unavailable as error:
            if name.registry != DEFAULT_REGISTRY:
                raise
            raise Forbidden(f"no registry is asked for {name.familiar}: {error}") from error
        except Unauthenticated as error:  # to the registry, not to us
            raise Forbidden(str(error)) from error
        shown = [
            {"architecture": one.architecture, "os": one.os, **({"variant": one.variant} if one.variant else {})}
            for one in platforms
        ]
        return Response.of(200, {"Descriptor": descriptor.to_json(), "Platforms": shown})

    async def search(self, request: Request) -> Answer:
        """?term&limit&filters -> 200 [{"name", "description", "is_official", "star_count", "is_automated"}]"""
        term, limit = request.query.get("term").strip(), number(request, "limit") or 0
        filters = parse_filters(request.query.get("filters"), ("is-automated", "is-official", "stars"))
        if not term:
            raise Malformed("the search needs a term")
        if not 0 <= limit <= _LONGEST_LIST:
            raise Malformed(f"invalid limit: {limit} is outside the range of [1, {_LONGEST_LIST}]")
        found = [_row(recipe) for recipe in self._catalogue.list() if _matches(recipe, term)]
        return Response.of(200, _allowed(found, filters)[: limit or 25])


def registry_of(address: str) -> str:
    """The name in references of what `docker login` calls `https://index.docker.io/v1/`.  Raises Malformed."""
    try:
        host = urlsplit(address if "//" in address else f"//{address}").netloc
    except ValueError:
        host = "?"
    if host in _HUB:
        return DEFAULT_REGISTRY
    if not is_registry(host):
        raise Malformed(f"invalid registry address {address[:200]!r}")
    return host


def _matches(recipe: Recipe, term: str) -> bool:
    wanted = term.lower()
    return wanted in recipe.name.lower() or wanted in recipe.description.lower()


def _row(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "description": recipe.description,
        "is_official": "/" not in recipe.name,
        "is_automated": False,
        "star_count": 0,
    }


def _allowed(rows: Sequence[dict[str, Any]], filters: Filters) -> list[dict[str, Any]]:
    is_official, is_automated = filters.flag("is-official"), filters.flag("is-automated")
    stars = 0
    for text in filters.get("stars"):
        if not text.isdecimal():
            raise Malformed(f"invalid filter 'stars={text[:40]}'")
        stars = max(stars, int(text))
    return [
        row
        for row in rows
        if is_official in (None, row["is_official"])
        and is_automated in (None, row["is_automated"])
        and row["star_count"] >= stars
    ]
