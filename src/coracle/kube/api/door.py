"""The Kubernetes door: joins the parts of the edge into one handler.

from coracle.kube.api.door import Insides, door
handler = door(collections, store, clock, Insides(streams, meter, issuer))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import CloudError, NotFound
from coracle.core.store import Store
from coracle.kube.api import (
    accounts,
    auth,
    components,
    deprecations,
    health,
    metrics,
    prettyanswers,
    proxies,
    reviews,
    versions,
    yamlanswers,
)
from coracle.kube.api.discovery import VERSION, Discovery, Resource, verbs_of
from coracle.kube.api.errors import speaker
from coracle.kube.api.evictions import BUDGET, Evictions
from coracle.kube.api.openapi import OpenApi
from coracle.kube.api.podstreams import PodVerbs
from coracle.kube.api.requests import check_timeout
from coracle.kube.api.resources import Resources
from coracle.kube.api.served import Place, Served, read_path
from coracle.kube.api.streams import PodStreams
from coracle.kube.api.subresources import BINDING, POD, Subresources
from coracle.kube.kinds.accounttokens import Issuer
from coracle.kube.kinds.metrics import Meter
from coracle.web.edge import edge
from coracle.web.messages import Answer, Handler, Identity, Request, Response
from coracle.web.router import Router

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Door:
    """What a server needs of us: the handler, and how we word what the server itself refuses."""

    handler: Handler
    say: Callable[[CloudError], Response]
    router: Router


async def _nobody(_request: Request) -> Answer:
    raise NotFound


@dataclass(frozen=True, slots=True)
class Insides:
    """What the edge asks of the rest of the cloud, beside what is stored.  `kubelet` answers for nodes/proxy."""

    streams: PodStreams
    meter: Meter
    issuer: Issuer
    kubelet: Handler = _nobody


def door(collections: Iterable[Collection], store: Store, clock: Clock, insides: Insides) -> Door:
    """The door over these collections."""
    stored = list(collections)
    served = Served([*versions.of(stored), *stored])
    resources = Resources(store, clock)
    tokens = accounts.Tokens(insides.issuer, store)
    verbs = {**PodVerbs(insides.streams, clock).verbs, "token": tokens.handle}
    verbs["eviction"] = Evictions(served.of(BUDGET), clock).handle
    subresources = Subresources(resources, clock, verbs)
    seen = (metrics.Measured(store, insides.meter, clock), components.Components(store, clock))
    rooms = _Rooms(served, resources, subresources, seen, tokens)
    router = Router()
    _route(router, rooms, health.Health(store))
    _route_proxies(router, rooms.proxied(proxies.Proxies(store, insides.kubelet)))
    say = speaker(served.kind)
    return Door(prettyanswers.over(edge(rooms.guarded(router.dispatch), say)), say, router)


class _Rooms:
    """The handlers behind the door, and the check in front of them."""

    def __init__(
        self,
        served: Served,
        resources: Resources,
        subresources: Subresources,
        seen: tuple[metrics.Measured, components.Components],
        tokens: accounts.Tokens,
    ) -> None:
        self._served, self._resources, self._subresources = served, resources, subresources
        self._measured, self._components = seen
        self.tokens = tokens
        apis: dict[str, list[Resource]] = {}
        stored = {kind.type: kind.api for kind in served.kinds if kind.shown is None}
        for api, kinds in served.apis.items():
            apis[api] = [Resource(kind, verbs_of(kind), stored[kind.type]) for kind in kinds]
        for kind in reviews.KINDS:
            apis.setdefault(kind.api, []).append(Resource(kind, ("create",)))
        self.openapi = OpenApi({api: [resource.kind for resource in found] for api, found in apis.items()})
        for kind in (*metrics.KINDS, *components.KINDS):
            apis.setdefault(kind.api, []).append(Resource(kind, metrics.VERBS))
        apis["v1"].append(Resource(BINDING, ("create",)))
        self.discovery = Discovery(apis)

    def guarded(self, handler: Handler) -> Handler:
        """Nobody unknown gets further than health and version."""

        async def checked(request: Request) -> Answer:
            check_timeout(request)
            if request.identity is None:
                request.identity = self.tokens.bearer(request)
            if not auth.is_public(request.path):
                request.identity = auth.acting(request, auth.identify(request))
            answer = await handler(request)
            return yamlanswers.in_yaml(answer) if yamlanswers.prefers(request) else answer

        return checked

    async def resource(self, request: Request) -> Answer:
        """Everything below /api/v1 and /apis/{group}/{version}."""
        identity, place = auth.identify(request), read_path(request.raw_path)
        attempt = auth.Attempt(
            verb=auth.verb_of(request, place.name),
            group=place.group,
            resource=place.resource,
            subresource=place.subresource,
            namespace=place.namespace or "",
            name=place.name,
        )
        auth.require(identity, attempt)
        return deprecations.told(await self._answer(request, identity, place), place)

    async def _answer(self, request: Request, identity: Identity, place: Place) -> Answer:
        review = reviews.find(place)
        if review is not None:
            return reviews.answer(request, identity, review, place, self.tokens.review)
        measured = metrics.find(place)
        if measured is not None:
            return await self._measured.handle(request, measured, place)
        component = components.find(place)
        if component is not None:
            return await self._components.handle(request, component, place)
        if (place.api, place.resource) == (BINDING.api, BINDING.plural):
            return await self._subresources.bind(request, self._served.of(POD), place)
        target = self._served.target(request)
        if target.subresource:
            return await self._subresources.handle(request, target)
        return await self._resources.handle(request, target)

    def proxied(self, through: proxies.Proxies) -> Handler:
        """Those who may, get through."""

        async def handler(request: Request) -> Answer:
            asked = proxies.read(request)
            attempt = auth.Attempt(
                verb=auth.verb_of(request, asked.name),
                resource=asked.resource,
                subresource="proxy",
                namespace=asked.namespace,
                name=asked.name,
            )
            auth.require(auth.identify(request), attempt)
            return await through.handle(request)

        return handler


def _route(router: Router, rooms: _Rooms, checks: health.Health) -> None:
    discovery, openapi = rooms.discovery, rooms.openapi
    pages: dict[str, Callable[[Request], Response]] = {
        "/version": lambda _request: Response.of(200, VERSION),
        "/": discovery.paths,
        "/api": discovery.api,
        "/apis": discovery.apis,
        "/api/{version}": lambda request: discovery.resources(request.params["version"]),
        "/apis/{group}": lambda request: discovery.group(request.params["group"]),
        "/apis/{group}/{version}": lambda request: discovery.resources("{group}/{version}".format(**request.params)),
        "/openapi/v3": openapi.index,
        "/openapi/v3/{rest:path}": lambda request: openapi.v3(request, request.params["rest"]),
        "/openapi/v2": openapi.v2,
        accounts.DISCOVERY: rooms.tokens.discovery,
        accounts.KEYS: rooms.tokens.keys,
    }
    for pattern, page in pages.items():
        router.add("GET", pattern, _at_once(page))
    for pattern in ("/version", "/api", "/apis", "/api/{version}", "/apis/{group}", "/apis/{group}/{version}"):
        router.add("GET", pattern + "/", _at_once(pages[pattern]))  # as go-restful takes them, and some clients ask
    for path in health.PATHS:
        router.add("GET", path, checks.handle)
        router.add("GET", path + "/{rest:path}", checks.handle)
    for method in _METHODS:
        router.add(method, "/api/{version}/{rest:path}", rooms.resource)
        router.add(method, "/apis/{group}/{version}/{rest:path}", rooms.resource)


def _route_proxies(router: Router, handler: Handler) -> None:
    for path in proxies.PATHS:
        for method in proxies.METHODS:
            router.add(method, path, handler, streaming=True)
            router.add(method, path + "/{rest:path}", handler, streaming=True)


def _at_once(page: Callable[[Request], Response]) -> Handler:
    async def handler(request: Request) -> Answer:
        return page(request)

    return handler
