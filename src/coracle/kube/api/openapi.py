"""/openapi/v3 and /openapi/v2: the types, for `kubectl explain` and apply; the paths, for what kubectl may leave to us.

A document is made when it is first asked for, from schemas that are JSON already, and kept compressed.
Source: Kubernetes documentation, "OpenAPI V3"; what kubectl reads: its query parameter verifier and explain templates.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from coracle.core.errors import NotFound, Unsupported
from coracle.core.kind import Kind
from coracle.kube.kinds import definitions
from coracle.web.messages import Request, Response

Doc = dict[str, Any]
_INFO = {"title": "Kubernetes", "version": "v1.36.0+coracle"}
_META_TYPES = ("DeleteOptions", "Status", "APIResourceList", "WatchEvent")
_OF_STATUS = ("get", "put", "patch")
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_LIST = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
)  # fmt: skip
_TYPES = {
    **dict.fromkeys(("allowWatchBookmarks", "sendInitialEvents", "watch", "force", "orphanDependents"), "boolean"),
    **dict.fromkeys(("limit", "timeoutSeconds", "gracePeriodSeconds"), "integer"),
}
_SAID = {
    "allowWatchBookmarks": "Ask for events of type BOOKMARK while watching.",
    "continue": "Where to go on: the token that came with the page before.",
    "dryRun": "All: go through everything, and keep nothing.",
    "fieldManager": "The name of who makes the change.",
    "fieldSelector": "A selector to restrict the list of returned objects by their fields. Defaults to everything.",
    "fieldValidation": "What to do about unknown and repeated fields: Ignore, Warn or Strict.",
    "force": "Take fields that others manage: of server-side apply only.",
    "gracePeriodSeconds": "How long the object may take to end; 0 means at once.",
    "labelSelector": "A selector to restrict the list of returned objects by their labels. Defaults to everything.",
    "limit": "The most objects of one answer; more come with continue.",
    "orphanDependents": "Deprecated: use propagationPolicy.",
    "propagationPolicy": "What becomes of dependents: Orphan, Background or Foreground.",
    "resourceVersion": "From which version on to answer.",
    "resourceVersionMatch": "How resourceVersion is meant: Exact or NotOlderThan.",
    "sendInitialEvents": "Begin a watch with what is there, and end that with a bookmark.",
    "timeoutSeconds": "After how long a list or watch ends.",
    "watch": "Watch for changes to the described resources and return them as a stream of notifications.",
}
_PATCHES = ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json")

# kubectl asks for the old document, and as protobuf only, about kinds that it did not find in the new one.  There they
# are not either, so a document without types is a true answer, with which it goes on to "no matches for kind".
_PROTOBUF = (
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
)
_EMPTY_V2 = b"\x0a\x032.0\x12\x0e\x0a\x0aKubernetes\x12\x00\x42\x00"  # swagger, info {title, version}, paths


class OpenApi:
    """The documents of the kinds being served, by group and version (`api/v1`, `apis/apps/v1`)."""

    def __init__(self, apis: Mapping[str, Sequence[Kind]]) -> None:
        self._apis = {("apis/" if "/" in api else "api/") + api: tuple(kinds) for api, kinds in apis.items()}
        self._packed: dict[str, bytes] = {}

    def index(self, _request: Request) -> Response:
        """GET /openapi/v3"""
        urls = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self._hash(path)}"} for path in self._apis}
        return Response.of(200, {"paths": urls})

    def v3(self, request: Request, path: str) -> Response:
        """GET /openapi/v3/{path}.  Raises NotFound."""
        if path not in self._apis:
            raise NotFound
        if path not in self._packed:
            self._packed[path] = gzip.compress(_v3(self._apis[path]), 5)
        return self._answer(request, path)

    def v2(self, request: Request) -> Response:
        """GET /openapi/v2.  Raises Unsupported (406)."""
        chosen = request.accepts("application/json", *_PROTOBUF)
        if chosen is None:
            raise Unsupported("only the following media types are accepted: application/json", status=406)
        if chosen in _PROTOBUF:
            return Response(200, _EMPTY_V2, content_type=_PROTOBUF[1])
        if "v2" not in self._packed:
            self._packed["v2"] = gzip.compress(_v2([kind for kinds in self._apis.values() for kind in kinds]), 5)
        return self._answer(request, "v2")

    def _answer(self, request: Request, name: str) -> Response:
        headers = {"Vary": "Accept-Encoding"}
        if request.query.get("hash"):
            headers["Cache-Control"] = "public, max-age=31536000, immutable"
        packed = self._packed[name]
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(200, packed, {**headers, "Content-Encoding": "gzip"})
        return Response(200, gzip.decompress(packed), headers)

    def _hash(self, path: str) -> str:
        """Of what the document is made from: making it only to name it would take too long."""
        text = " ".join([path, definitions.fingerprint(), *(_signature(kind) for kind in self._apis[path])])
        return hashlib.sha256(text.encode()).hexdigest().upper()


def _signature(kind: Kind) -> str:
    return f"{kind.plural} {kind.namespaced} {sorted(kind.subresources)}"


def _v3(kinds: Sequence[Kind]) -> bytes:
    head = {"openapi": "3.0.0", "info": _INFO, "paths": dict(_paths(kinds, _operation_v3))}
    schemas = b",".join(b'"%s":%s' % (name.encode(), raw) for name, raw in definitions.published(_names(kinds)))
    return orjson.dumps(head)[:-1] + b',"components":{"schemas":{' + schemas + b"}}}"


_ALL_OF = re.compile(rb'"allOf":\[\{"\$ref":"#/components/schemas/([^"]*)"\}\]')
_ONE_OF = re.compile(rb'"oneOf":\[\{"type":"[a-z]*"\},\{"type":"[a-z]*"\}\]')


def _v2(kinds: Sequence[Kind]) -> bytes:
    """The same in Swagger's words: references may stand beside descriptions, and there is no oneOf."""
    head = {"swagger": "2.0", "info": _INFO, "paths": dict(_paths(kinds, _operation_v2))}
    schemas = b",".join(b'"%s":%s' % (name.encode(), raw) for name, raw in definitions.published(_names(kinds)))
    schemas = _ALL_OF.sub(rb'"$ref":"#/definitions/\1"', schemas)
    schemas = _ONE_OF.sub(rb'"type":"string"', schemas).replace(b"#/components/schemas/", b"#/definitions/")
    return orjson.dumps(head)[:-1] + b',"definitions":{' + schemas + b"}}"


def _names(kinds: Iterable[Kind]) -> list[str]:
    own = [definitions.name_of(kind.api, name) for kind in kinds for name in (kind.name, kind.name + "List")]
    return own + [definitions.META + name for name in _META_TYPES]


def _paths(kinds: Iterable[Kind], operation: Any) -> Iterable[tuple[str, Doc]]:
    for kind in kinds:
        root = f"/apis/{kind.api}" if "/" in kind.api else f"/api/{kind.api}"
        base = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
        if not definitions.is_listed(kind.api, kind.name):
            yield base, {"post": operation(kind, "post", _WRITE), "parameters": _in_path(kind, "namespace")}
            continue
        yield (
            base,
            {
                "get": operation(kind, "list", _LIST),
                "post": operation(kind, "post", _WRITE),
                "delete": operation(
                    kind, "deletecollection", (*_LIST, "dryRun", "gracePeriodSeconds", "propagationPolicy")
                ),
                "parameters": _in_path(kind, "namespace"),
            },
        )
        item = {
            "get": operation(kind, "get", ()),
            "put": operation(kind, "put", _WRITE),
            "patch": operation(kind, "patch", (*_WRITE, "force")),
            "delete": operation(
                kind, "delete", ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
            ),
            "parameters": _in_path(kind, "namespace", "name"),
        }
        yield f"{base}/{{name}}", item
        if "status" in kind.subresources:
            named = {name: {**item[name], "operationId": item[name]["operationId"] + "Status"} for name in _OF_STATUS}
            yield f"{base}/{{name}}/status", {**named, "parameters": item["parameters"]}
        if kind.namespaced:
            everywhere = operation(kind, "list", _LIST)
            name = everywhere["operationId"].replace("Namespaced", "", 1) + "ForAllNamespaces"
            yield f"{root}/{kind.plural}", {"get": {**everywhere, "operationId": name}}


def _in_path(kind: Kind, *names: str) -> list[Doc]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
        if name != "namespace" or kind.namespaced
    ]


def _operation(kind: Kind, action: str) -> Doc:
    verb = {"post": "create", "put": "replace", "get": "read", "deletecollection": "delete"}.get(action, action)
    names = [*(kind.group.removesuffix(".k8s.io") or "core").split("."), kind.version]
    names += ["collection"] * (action == "deletecollection") + ["namespaced"] * kind.namespaced
    return {
        "operationId": verb + "".join(name.title() for name in names) + kind.name,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.name},
    }


def _answer_type(kind: Kind, action: str) -> str:
    if action == "deletecollection":
        return definitions.META + "Status"
    return definitions.name_of(kind.api, kind.name + ("List" if action == "list" else ""))


def _operation_v3(kind: Kind, action: str, parameters: Sequence[str]) -> Doc:
    ref = {"$ref": "#/components/schemas/" + definitions.name_of(kind.api, kind.name)}
    answer = {"$ref": "#/components/schemas/" + _answer_type(kind, action)}
    doc = _operation(kind, action)
    doc["parameters"] = [
        {**_parameter(name), "schema": {"type": _TYPES.get(name, "string"), "uniqueItems": True}} for name in parameters
    ]
    if action in ("post", "put"):
        doc["requestBody"] = {"content": {"*/*": {"schema": ref}}, "required": True}
    elif action == "patch":
        content = {f"application/{name}": {"schema": {"type": "object"}} for name in _PATCHES}
        doc["requestBody"] = {"content": content, "required": True}
    doc["responses"] = {"200": {"description": "OK", "content": {"application/json": {"schema": answer}}}}
    return doc


def _parameter(name: str) -> Doc:
    return {"name": name, "in": "query", "description": _SAID[name]}


def _operation_v2(kind: Kind, action: str, parameters: Sequence[str]) -> Doc:
    ref = {"$ref": "#/definitions/" + definitions.name_of(kind.api, kind.name)}
    doc = _operation(kind, action)
    doc["parameters"] = [
        {**_parameter(name), "type": _TYPES.get(name, "string"), "uniqueItems": True} for name in parameters
    ]
    if action in ("post", "put", "patch"):
        schema = {"type": "object"} if action == "patch" else ref
        doc["parameters"].append({"name": "body", "in": "body", "required": True, "schema": schema})
    answer = {"$ref": "#/definitions/" + _answer_type(kind, action)}
    doc["responses"] = {"200": {"description": "OK", "schema": answer}}
    return doc
