"""Questions about oneself and others: `kubectl auth whoami`, `kubectl auth can-i`.

They are kinds that are only created and never kept.
Source: authentication.k8s.io/v1 SelfSubjectReview, authorization.k8s.io/v1 *AccessReview, SelfSubjectRulesReview.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from coracle.core.errors import Invalid, Malformed, NotFound, Unsupported
from coracle.core.kind import Kind
from coracle.kube.api.auth import MASTERS, Attempt, groups_of, may
from coracle.kube.api.codec import read_document
from coracle.kube.api.negotiation import wanted_form
from coracle.kube.api.served import Place
from coracle.kube.kinds import reviews as rules
from coracle.kube.kinds.definitions import schema
from coracle.web.messages import Identity, Request, Response

Doc = dict[str, Any]
_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io/v1", "authorization.k8s.io/v1"


def _kind(api: str, name: str, *, namespaced: bool = False) -> Kind:
    return Kind(api=api, name=name, plural=name.lower() + "s", singular=name.lower(), namespaced=namespaced)


KINDS = (
    _kind(_AUTHENTICATION, "SelfSubjectReview"),
    _kind(_AUTHENTICATION, "TokenReview"),
    _kind(_AUTHORIZATION, "LocalSubjectAccessReview", namespaced=True),
    _kind(_AUTHORIZATION, "SelfSubjectAccessReview"),
    _kind(_AUTHORIZATION, "SelfSubjectRulesReview"),
    _kind(_AUTHORIZATION, "SubjectAccessReview"),
)
_BY_PLACE = {(kind.api, kind.plural): kind for kind in KINDS}


def find(place: Place) -> Kind | None:
    return _BY_PLACE.get((place.api, place.resource))


def answer(
    request: Request, identity: Identity, kind: Kind, place: Place, of_token: Callable[[Mapping[str, Any]], Doc]
) -> Response:
    """POST -> 201, the question with its answer as status; `of_token` answers a TokenReview.

    Raises: Malformed, Invalid, Unsupported (405; 406 where another form than the object is wanted), NotFound.
    """
    if place.name or (place.namespace is not None) != kind.namespaced:
        raise NotFound
    if request.method != "POST":
        raise Unsupported("the server does not allow this method on the requested resource")
    wanted_form(request, ("object",))
    doc = read_document(request)
    problems = schema(kind.api, kind.name).check(doc)
    if problems or not isinstance(doc, dict):
        said = problems[0].text if problems else "not an object"
        raise Malformed(f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: {said}')
    doc = {"metadata": {}, **doc, "apiVersion": kind.api, "kind": kind.name}
    _check(kind, doc, place.namespace or "")
    spec = doc.get("spec") or {}
    status = of_token(spec) if kind.name == "TokenReview" else _ANSWERS[kind.name](identity, spec)
    return Response.of(201, {**doc, "status": status})


def _check(kind: Kind, doc: Doc, namespace: str) -> None:
    """Raises Malformed, Invalid."""
    spec = doc.get("spec") or {}
    if kind.name == "TokenReview" and not spec.get("token"):
        raise Malformed("token is required for TokenReview in authentication")
    if kind.name == "SelfSubjectRulesReview" and not spec.get("namespace"):
        raise Malformed("no namespace on request")
    problems = rules.problems(kind.name, doc, namespace) if kind.name.endswith("AccessReview") else []
    if problems:
        raise Invalid(problems, kind=kind.type)


def _who(identity: Identity, _spec: Mapping[str, Any]) -> Doc:
    info: Doc = {"username": identity.name, "groups": groups_of(identity)}
    if identity.uid:
        info["uid"] = identity.uid
    if identity.extra:
        info["extra"] = {name: list(values) for name, values in identity.extra.items()}
    return {"userInfo": info}


def _own_access(identity: Identity, spec: Mapping[str, Any]) -> Doc:
    return _allowed(identity, spec)


def _access(_identity: Identity, spec: Mapping[str, Any]) -> Doc:
    return _allowed(Identity(spec.get("user") or "", tuple(spec.get("groups") or ())), spec)


def _rules(identity: Identity, _spec: Mapping[str, Any]) -> Doc:
    everything = MASTERS in identity.groups
    own = {"verbs": ["create"], "apiGroups": ["authentication.k8s.io", "authorization.k8s.io"], "resources": ["*"]}
    rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} if everything else own
    urls = {"verbs": ["*"] if everything else ["get"], "nonResourceURLs": ["*" if everything else "/api/*"]}
    return {"resourceRules": [rule], "nonResourceRules": [urls], "incomplete": False}


def _allowed(identity: Identity, spec: Mapping[str, Any]) -> Doc:
    asked = spec.get("resourceAttributes") or {}
    path = spec.get("nonResourceAttributes") or {}
    attempt = (
        Attempt(verb=path.get("verb") or "", path=path.get("path") or "")
        if path
        else Attempt(
            **{
                name: asked.get(name) or ""
                for name in ("verb", "group", "resource", "subresource", "namespace", "name")
            }
        )
    )
    allowed = may(identity, attempt)
    return {"allowed": allowed, "reason": f"user is in {MASTERS}"} if allowed else {"allowed": False}


_ANSWERS: dict[str, Callable[[Identity, Mapping[str, Any]], Doc]] = {
    "SelfSubjectReview": _who,
    "LocalSubjectAccessReview": _access,
    "SelfSubjectAccessReview": _own_access,
    "SelfSubjectRulesReview": _rules,
    "SubjectAccessReview": _access,
}
