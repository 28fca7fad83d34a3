"""pods/proxy, services/proxy, nodes/proxy: any request, carried to what a pod, a Service or the kubelet serves.

    /api/v1/namespaces/shop/services/https:web:8443/proxy/cart?x=1    ->    https://10.32.0.7:443/cart?x=1

A name may have a scheme and a port: `web`, `web:8080`, `https:web:`.  Only what is the cluster's own is reached: a
pod's address, never one that somebody has written into Endpoints.

Source: Kubernetes documentation, "Access Services Running on Clusters"; the ResourceLocation functions of the API
server's pod, service and node registries; apimachinery's UpgradeAwareHandler.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from coracle.core.errors import Malformed, NotFound
from coracle.core.object import Key, Object
from coracle.core.store import Store
from coracle.kube.api.links import Links
from coracle.web.messages import Answer, Handler, Request, Response, Stream
from coracle.web.reverse import Fields, Unreachable, Upstream, carry, passed_on, switch

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PATHS = (
    "/api/v1/namespaces/{namespace}/pods/{name}/proxy",
    "/api/v1/namespaces/{namespace}/services/{name}/proxy",
    "/api/v1/nodes/{name}/proxy",
)
PAGE_BYTES = 8 * 1024 * 1024  # of a page whose links are told; a longer one passes as it is
_SECRET = ("authorization", "cookie2", "x-remote-user", "x-remote-group")
_ABOUT_US = ("impersonate-", "x-remote-extra-")  # as whom somebody asks this API is no matter of a pod's
_CORS = tuple(f"access-control-allow-{what}" for what in ("credentials", "headers", "methods", "origin"))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a path asks for.  `rest` begins with a slash, or is "" where the path ends with `proxy`."""

    resource: str
    namespace: str
    name: str
    prefix: str
    rest: str


def read(request: Request) -> Asked:
    """`request` of one of PATHS."""
    parts = request.raw_path.split("/")
    namespace = request.params.get("namespace", "")
    at = 7 if namespace else 5  # of the word `proxy`
    rest = "/".join(parts[at + 1 :])
    prefix = "/".join(parts[: at + 1])
    return Asked(parts[at - 2], namespace, request.params["name"], prefix, f"/{rest}" if len(parts) > at + 1 else "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """`https:web:8443` taken apart; "" where a part is not given."""

    scheme: str
    name: str
    port: str


def split_name(text: str) -> Wanted | None:
    """None where it is no name of this form."""
    parts = text.split(":")
    if len(parts) > 3:
        return None
    scheme, name, port = ("", *parts, "")[:3] if len(parts) < 3 else parts
    return Wanted(scheme, name, port) if name and scheme in ("", "http", "https") else None


class Proxies:
    """Handlers of the three subresources.  `kubelet` answers what is asked of a node itself."""

    def __init__(self, store: Store, kubelet: Handler) -> None:
        self._store, self._kubelet = store, kubelet

    async def handle(self, request: Request) -> Answer:
        """ANY .../{name}/proxy[/{path}] -> what is answered there.

        Raises: Malformed (no such name of a place), NotFound, Unreachable (503).
        """
        asked = read(request)
        if not asked.rest and request.method in ("GET", "HEAD") and not request.upgrade:
            query = request.target[len(request.raw_path) :]
            return Response(301, headers={"Location": f"{request.raw_path}/{query}"}, content_type="")
        wanted = split_name(asked.name)
        if wanted is None:
            raise Malformed(f"invalid {asked.resource.removesuffix('s')} request {_quoted(asked.name)}")
        upstream = self._upstream(asked, wanted)
        target = (asked.rest or "/") + request.target[len(request.raw_path) :]
        if upstream is None:
            return await self._kubelet(_inner(request, target))
        return await carried(request, upstream, target, asked.prefix)

    def _upstream(self, asked: Asked, wanted: Wanted) -> Upstream | None:
        match asked.resource:
            case "pods":
                return of_pod(self._get("Pod", asked.namespace, wanted.name), wanted)
            case "services":
                return self._of_service(asked, wanted)
        return of_node(self._get("Node", "", wanted.name), wanted)

    def _of_service(self, asked: Asked, wanted: Wanted) -> Upstream:
        port = wanted.port
        if port.isdigit():
            service = self._get("Service", asked.namespace, wanted.name)
            port = port_name(service, int(port))
        found = self._get("Endpoints", asked.namespace, wanted.name)
        subsets = found.body.get("subsets") or ()
        if not subsets:
            raise Unreachable(f"no endpoints available for service {_quoted(wanted.name)}")
        places = [place for place in behind(subsets, port) if self._is_pods(asked.namespace, *place)]
        if not places:
            raise Unreachable(f"no endpoints available for service {_quoted(asked.name)}")
        address, number = random.choice(places)  # noqa: S311 - spread, not secrecy
        return Upstream(address["ip"], number, wanted.scheme == "https")

    def _is_pods(self, namespace: str, address: Mapping[str, Any], _port: int) -> bool:
        """Whether it is the address of the pod that it says: Endpoints may say anything."""
        target = address.get("targetRef") or {}
        entry = self._store.find("Pod", Key(namespace, target.get("name") or ""))
        return entry is not None and entry.object().status.get("podIP") == address["ip"]

    def _get(self, type: str, namespace: str, name: str) -> Object:
        entry = self._store.find(type, Key(namespace, name))
        if entry is None:
            raise NotFound(kind=type, name=name)
        return entry.object()


def of_pod(pod: Object, wanted: Wanted) -> Upstream:
    """Where `pod` is asked: at the first port it names where none is given.  Raises Malformed, Unreachable."""
    named = (port for one in pod.spec.get("containers") or () for port in one.get("ports") or ())
    port = wanted.port or str(next((one["containerPort"] for one in named), 443 if wanted.scheme == "https" else 80))
    return _at(str(pod.status.get("podIP") or ""), port, wanted.scheme)


def of_node(node: Object, wanted: Wanted) -> Upstream | None:
    """Where a port of `node` is asked; None: it is the kubelet's.  Raises Malformed, Unreachable."""
    own = ((node.status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
    if wanted.port in ("", str(own)):
        return None
    addresses = {one["type"]: one["address"] for one in node.status.get("addresses") or ()}
    return _at(addresses.get("InternalIP", ""), wanted.port, wanted.scheme)


def _at(address: str, port: str, scheme: str) -> Upstream:
    """Raises Malformed, Unreachable."""
    if not _is_global(address):
        raise Malformed("address not allowed")
    return Upstream(address, _number(port), scheme == "https")


def port_name(service: Object, number: int) -> str:
    """The name of the port of `service` with this number.  Raises Unreachable."""
    for port in service.spec.get("ports") or ():
        if port.get("port") == number:
            return str(port.get("name") or "")
    raise Unreachable(f"no service port {number} found for service {_quoted(service.meta.name)}")


def behind(subsets: Sequence[Mapping[str, Any]], port: str) -> Iterator[tuple[Mapping[str, Any], int]]:
    """The ready addresses that offer the port of this name, each with its number."""
    for subset in subsets:
        numbers = [one["port"] for one in subset.get("ports") or () if (one.get("name") or "") == port]
        yield from ((address, numbers[0]) for address in subset.get("addresses") or () if numbers)


def _is_global(address: str) -> bool:
    """Whether it is somebody's in particular, who is not this host alone."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified)


def _number(port: str) -> int:
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise _refused(f"dial tcp: lookup tcp/{port}: unknown port")
    return int(port)


def _refused(why: str) -> Unreachable:
    return Unreachable(f"error trying to reach service: {why}")


def _quoted(text: str) -> str:
    return f'"{text}"'


def _inner(request: Request, target: str) -> Request:
    """The same request, to be answered here, below another path."""
    inner = Request(request.method, target, request.headers, request.body)
    inner.peer, inner.identity, inner.inbox, inner.upgrade = (
        request.peer, request.identity, request.inbox, request.upgrade,
    )  # fmt: skip
    return inner


# -- the way there and back --------------------------------------------------------------------------------------------


async def carried(request: Request, upstream: Upstream, target: str, prefix: str) -> Answer:
    """What `upstream` answers for `target`, as the client of a proxy at `prefix` reads it.  Raises Unreachable."""
    about_us = (name for name in request.headers if name.startswith(_ABOUT_US))
    headers = passed_on(request, (*_SECRET, *about_us))
    headers["X-Forwarded-Uri"] = prefix + target.partition("?")[0]
    try:
        if request.upgrade:
            return await switch(request, upstream, target, headers)
        answer = await carry(request, upstream, target, headers)
    except Unreachable as error:
        raise _refused(error.message) from error
    links = Links(prefix, frozenset((upstream.authority, upstream.host, request.headers.get("host", ""))))
    return await _told(answer, links) if request.method != "HEAD" else answer


async def _told(answer: Stream, links: Links) -> Answer:
    """The answer with its links told: where it leads, else those of a page."""
    fields = Fields(answer.headers.items()).without(_CORS)
    place = fields.get("location")
    if place:
        told = ("Location", links.told(place))
        return replace(answer, headers=Fields((*fields.without(("location",)).pairs, told)))
    encoding = fields.get("content-encoding", "")
    if fields.get("content-type", "").partition(";")[0].strip() != "text/html" or encoding not in ("", "gzip"):
        return replace(answer, headers=fields)
    begin, rest = await _begin(answer.chunks)
    page = None if rest is not None else _plain(begin, encoding)
    if page is None:
        return replace(answer, headers=fields, chunks=_Again(begin, rest))
    return Response(answer.status, links.page(page), fields.without(("content-encoding",)), "")


async def _begin(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes] | None]:
    """What is read of a page; and what still comes of one that is too long, None: that was all."""
    read = bytearray()
    async for chunk in chunks:
        read += chunk
        if len(read) > PAGE_BYTES:
            return bytes(read), chunks
    return bytes(read), None


def _plain(page: bytes, encoding: str) -> bytes | None:
    """None where it is not what it says, or too much."""
    if not encoding:
        return page
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacking.decompress(page, PAGE_BYTES)
    except zlib.error:
        return None
    return plain if unpacking.eof else None


class _Again:
    """What was read, and what comes after it."""

    def __init__(self, begin: bytes, rest: AsyncIterator[bytes] | None) -> None:
        self._begin, self._rest = begin, rest

    def __aiter__(self) -> _Again:
        return self

    async def __anext__(self) -> bytes:
        begin, self._begin = self._begin, b""
        if begin:
            return begin
        if self._rest is None:
            raise StopAsyncIteration
        return await anext(self._rest)

    async def aclose(self) -> None:
        close = getattr(self._rest, "aclose", None)
        if close is not None:
            await close()
