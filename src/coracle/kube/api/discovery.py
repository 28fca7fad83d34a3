"""What is served here, for clients that ask before they act: /api, /apis (plain and aggregated), /version, health.

Source: Kubernetes documentation, "The Kubernetes API", "Discovery API"; metav1.APIResourceList, apidiscovery/v2.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from coracle.core.errors import NotFound
from coracle.core.kind import Kind
from coracle.web.messages import Request, Response

Doc = dict[str, Any]

VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+coracle",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-11-23T00:00:00Z",
    "goVersion": "none",
    "compiler": "cpython",
    "platform": "linux/amd64",
}
_PATHS = (
    "/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3",
    "/openid/v1/jwks", "/readyz", "/version",
)  # fmt: skip
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


_ONE_BY_ONE = ("Namespace",)  # kinds that are not deleted by the collection


def verbs_of(kind: Kind) -> tuple[str, ...]:
    """What may be done with a stored kind."""
    return tuple(verb for verb in VERBS if verb != "deletecollection" or kind.type not in _ONE_BY_ONE)


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind and what may be done with it.  `stored` is the version it is kept in; "": it is not kept."""

    kind: Kind
    verbs: Sequence[str]
    stored: str = ""


# subresource -> (API of what it answers with, its kind; "": the parent's), verbs
_SUBRESOURCES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "status": ("", "", ("get", "patch", "update")),
    "finalize": ("", "", ("update",)),
    "approval": ("", "", ("get", "patch", "update")),
    "resize": ("", "", ("get", "patch", "update")),
    "ephemeralcontainers": ("", "", ("get", "patch", "update")),
    "scale": ("autoscaling/v1", "Scale", ("get", "patch", "update")),
    "log": ("v1", "Pod", ("get",)),
    "exec": ("v1", "PodExecOptions", ("create", "get")),
    "attach": ("v1", "PodAttachOptions", ("create", "get")),
    "portforward": ("v1", "PodPortForwardOptions", ("create", "get")),
    "binding": ("v1", "Binding", ("create",)),
    "eviction": ("policy/v1", "Eviction", ("create",)),
    "proxy": ("v1", "{kind}ProxyOptions", ("create", "delete", "get", "patch", "update")),
    "token": ("authentication.k8s.io/v1", "TokenRequest", ("create",)),
}
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"


class Discovery:
    """Documents about the resources, by group and version.  Small: made when asked for."""

    def __init__(self, apis: Mapping[str, Sequence[Resource]]) -> None:
        self._apis = {api: sorted(found, key=lambda r: r.kind.plural) for api, found in apis.items()}

    def api(self, request: Request) -> Response:
        """GET /api"""
        version = _aggregated(request)
        if version:
            return self._aggregate(request, version, [""])
        address = {"clientCIDR": "0.0.0.0/0", "serverAddress": request.headers.get("host", "")}
        return Response.of(200, {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address]})

    def apis(self, request: Request) -> Response:
        """GET /apis"""
        version = _aggregated(request)
        if version:
            return self._aggregate(request, version, self._groups())
        groups = [self._group(name) for name in self._groups()]
        return Response.of(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})

    def paths(self, _request: Request) -> Response:
        """GET /"""
        groups = [f"/apis/{name}" for name in self._groups()]
        apis = [f"/apis/{api}" for api in self._apis if "/" in api]
        return Response.of(200, {"paths": sorted({*_PATHS, *groups, *apis})})

    def group(self, name: str) -> Response:
        """GET /apis/{group}.  Raises NotFound."""
        if name not in self._groups():
            raise NotFound
        return Response.of(200, {"kind": "APIGroup", "apiVersion": "v1", **self._group(name)})

    def resources(self, api: str) -> Response:
        """GET /api/v1, /apis/{group}/{version}.  Raises NotFound."""
        if api not in self._apis:
            raise NotFound
        listed = [line for resource in self._apis[api] for line in _plain(resource)]
        return Response.of(
            200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api, "resources": listed}
        )

    def _groups(self) -> list[str]:
        return list(dict.fromkeys(api.rpartition("/")[0] for api in self._apis if "/" in api))

    def _versions(self, group: str) -> list[str]:
        return [api for api in self._apis if api.rpartition("/")[0] == group]

    def _group(self, name: str) -> Doc:
        versions = [{"groupVersion": api, "version": api.rpartition("/")[2]} for api in self._versions(name)]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def _aggregate(self, request: Request, version: str, groups: Sequence[str]) -> Response:
        items = [
            {
                "metadata": {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None},
                "versions": [
                    {
                        "version": api.rpartition("/")[2],
                        "resources": [_described(resource) for resource in self._apis[api]],
                        "freshness": "Current",
                    }
                    for api in self._versions(name)
                ],
            }
            for name in groups
        ]
        api = f"apidiscovery.k8s.io/{version}"
        body = orjson.dumps({"kind": "APIGroupDiscoveryList", "apiVersion": api, "metadata": {}, "items": items})
        tag = '"' + hashlib.sha256(body).hexdigest().upper() + '"'
        headers = {"ETag": tag, "Vary": "Accept", "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(304, headers=headers)
        return Response(200, body, headers, content_type=_AGGREGATED.format(version=version))


def _aggregated(request: Request) -> str:
    """The version of the aggregated form where the client prefers it; "" for the plain one."""
    for media in request.accepted():
        if media.type == "application/json" and media.params.get("as") == "APIGroupDiscoveryList":
            if media.params.get("v") in ("v2", "v2beta1"):
                return media.params["v"]
        elif media.covers("application/json"):
            return ""
    return ""


def _plain(resource: Resource) -> list[Doc]:
    """A resource and its subresources as lines of an APIResourceList."""
    kind = resource.kind
    line: Doc = {
        "name": kind.plural,
        "singularName": kind.singular or kind.name.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": list(resource.verbs),
    }
    if kind.short:
        line["shortNames"] = list(kind.short)
    if kind.categories:
        line["categories"] = list(kind.categories)
    if resource.stored:
        line["storageVersionHash"] = _storage_hash(resource.stored, kind.name)
    lines = [line]
    for name in sorted(kind.subresources & _SUBRESOURCES.keys()):
        api, answers, verbs = _answers(kind, name)
        group, _, version = api.rpartition("/")
        other = {"group": group, "version": version} if api != kind.api else {}
        sub = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced, **other}
        lines.append({**sub, "kind": answers, "verbs": list(verbs)})
    return lines


def _storage_hash(api: str, kind: str) -> str:
    """By which clients see that a kind is kept in another version than before: as apiserver makes it."""
    group, _, version = api.rpartition("/")
    return base64.b64encode(hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()[:8]).decode()


def _described(resource: Resource) -> Doc:
    """A resource and its subresources in the aggregated form."""
    kind = resource.kind
    doc: Doc = {
        "resource": kind.plural,
        "responseKind": _gvk(kind.api, kind.name),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular or kind.name.lower(),
        "verbs": list(resource.verbs),
    }
    if kind.short:
        doc["shortNames"] = list(kind.short)
    if kind.categories:
        doc["categories"] = list(kind.categories)
    subs = [(name, *_answers(kind, name)) for name in sorted(kind.subresources & _SUBRESOURCES.keys())]
    if subs:
        doc["subresources"] = [
            {"subresource": name, "responseKind": _gvk(api, answers), "verbs": list(verbs)}
            for name, api, answers, verbs in subs
        ]
    return doc


def _answers(kind: Kind, subresource: str) -> tuple[str, str, tuple[str, ...]]:
    api, name, verbs = _SUBRESOURCES[subresource]
    return api or kind.api, name.format(kind=kind.name) or kind.name, verbs


def _gvk(api: str, kind: str) -> Doc:
    group, _, version = api.rpartition("/")
    return {"group": group, "version": version, "kind": kind}
