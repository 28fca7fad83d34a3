"""Tokens at the API's edge: TokenRequest, TokenReview, and what others need to check our tokens themselves.

Source: authentication.k8s.io/v1 TokenRequest and TokenReview; Kubernetes documentation, "Service account issuer
discovery"; OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from coracle.core.clock import rfc3339
from coracle.core.errors import Conflict, Invalid, Malformed, NotFound, Problem, Unauthenticated, Unsupported, invalid
from coracle.core.kind import Reader
from coracle.core.object import Key, Object
from coracle.kube.api import sockets
from coracle.kube.api.codec import read_document
from coracle.kube.api.served import Target
from coracle.kube.kinds.accounttokens import BINDABLE, NODE, POD, Holder, Issuer, Wish
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.tokens import BadToken
from coracle.web.messages import Answer, Identity, Request, Response

API, KIND = "authentication.k8s.io/v1", "TokenRequest"
SHORTEST_S, USUAL_S, LONGEST_S = 600, 3600, 1 << 32
DISCOVERY, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
_TOO_SHORT = "may not specify a duration less than 10 minutes"
_TOO_LONG = "may not specify a duration larger than 2^32 seconds"


class Tokens:
    """`reader` finds accounts and what tokens are bound to."""

    def __init__(self, issuer: Issuer, reader: Reader) -> None:
        self._issuer, self._reader = issuer, reader

    def bearer(self, request: Request) -> Identity | None:
        """Who shows a token; None where nobody does.  Raises Unauthenticated."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token if scheme.lower() == "bearer" else sockets.bearer(request)
        if not token.strip():
            return None
        try:
            found = self._issuer.check(token.strip())
        except BadToken as error:
            raise Unauthenticated("Unauthorized") from error
        return Identity(found.name, found.groups, found.uid, found.extra)

    async def handle(self, request: Request, target: Target) -> Answer:
        """Raises Unsupported (405) and what `request` raises."""
        if request.method != "POST":
            raise Unsupported("the server does not allow this method on the requested resource")
        return await self.request(request, target)

    async def request(self, request: Request, target: Target) -> Answer:
        """POST .../serviceaccounts/{name}/token -> 201"""
        doc = _checked(read_document(request))
        account = target.collection.get(target.key)
        spec = {**(doc.get("spec") or {})}
        spec["expirationSeconds"] = seconds_s = spec.get("expirationSeconds", USUAL_S)
        problems = duration_problems(seconds_s)
        if problems:
            raise Invalid(problems, kind=f"{KIND}.{API.partition('/')[0]}", name=target.name)
        audiences = spec["audiences"] = spec.get("audiences") or [self._issuer.name]
        bound, node = self._bound(account, spec.get("boundObjectRef"))
        token, until_s = self._issuer.issue(account, Wish(seconds_s, audiences, bound, node))
        meta = {"name": target.name, "namespace": account.meta.namespace, "creationTimestamp": _now(until_s, seconds_s)}
        status = {"token": token, "expirationTimestamp": rfc3339(until_s)}
        return Response.of(201, {"kind": KIND, "apiVersion": API, "metadata": meta, "spec": spec, "status": status})

    def _bound(self, account: Object, ref: Mapping[str, Any] | None) -> tuple[Object | None, Object | None]:
        """What the token is to be bound to, and a pod's node.  Raises Malformed, NotFound, Conflict."""
        if not ref:
            return None, None
        kind, name = ref.get("kind") or "", ref.get("name") or ""
        if kind not in BINDABLE or ref.get("apiVersion") != "v1":
            said = f"cannot bind token for serviceaccount {account.meta.name!r} to a type of {kind!r}"
            raise Malformed(said.replace("'", '"'))
        entry = self._reader.find(kind, Key("" if kind == NODE else account.meta.namespace, name))
        if entry is None:
            raise NotFound(kind=kind, name=name)
        bound = entry.object()
        if ref.get("uid") not in (None, "", bound.meta.uid):
            said = (
                f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. The object "
                "might have been deleted and then recreated"
            )
            raise Conflict(said, kind=kind, name=name)
        if kind != POD:
            return bound, None
        if bound.spec.get("serviceAccountName") != account.meta.name:
            said = "to pod running with different serviceaccount name."
            raise Malformed(f'cannot bind token for serviceaccount "{account.meta.name}" {said}')
        found = self._reader.find(NODE, Key("", bound.spec.get("nodeName") or ""))
        return bound, found.object() if found is not None else None

    def review(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """The status of a TokenReview."""
        try:
            found = self._issuer.check(spec.get("token") or "", spec.get("audiences") or ())
        except BadToken as error:
            return {"user": {}, "error": f"[invalid bearer token, {error}]"}
        return {"authenticated": True, "user": user_info(found), "audiences": list(found.audiences)}

    def discovery(self, _request: Request) -> Response:
        """GET /.well-known/openid-configuration"""
        issuer = self._issuer
        said = {
            "issuer": issuer.name,
            "jwks_uri": issuer.name + KEYS,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [issuer.signer.algorithm],
        }
        return Response(200, orjson.dumps(said))

    def keys(self, _request: Request) -> Response:
        """GET /openid/v1/jwks"""
        said = orjson.dumps({"keys": [self._issuer.signer.key()]})
        return Response(200, said, content_type="application/jwk-set+json")


def user_info(found: Holder) -> dict[str, Any]:
    groups = [*found.groups, "system:authenticated"]
    extra = {name: list(values) for name, values in found.extra.items()}
    return {"username": found.name, "uid": found.uid, "groups": groups, "extra": extra}


def duration_problems(seconds_s: int) -> list[Problem]:
    at = "spec.expirationSeconds"
    if seconds_s < SHORTEST_S:
        return [invalid(at, seconds_s, _TOO_SHORT)]
    return [invalid(at, seconds_s, _TOO_LONG)] if seconds_s > LONGEST_S else []


def _now(until_s: float, seconds_s: int) -> str:
    return rfc3339(until_s - seconds_s)


def _checked(doc: Any) -> dict[str, Any]:
    problems = schema(API, KIND).check(doc)
    if problems or not isinstance(doc, dict):
        said = problems[0].text if problems else "not an object"
        raise Malformed(f'{KIND} in version "v1" cannot be handled as a {KIND}: {said}')
    return doc
