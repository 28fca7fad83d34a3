"""Who is calling, and whether they may.

A client certificate says who (common name, organisations), or a ServiceAccount's token (`api.accounts`).  Members of
system:masters may do everything; the others look around and ask about themselves, until there are roles.

Source: Kubernetes documentation, "Authenticating" (X.509 client certificates, service account tokens), "User
impersonation", "Authorization Overview".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from coracle.core.errors import Broken, Forbidden, Unauthenticated
from coracle.kube.kinds.accounttokens import GROUP, PREFIX
from coracle.web.messages import Identity, Request

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
_AUTHENTICATION = "authentication.k8s.io"
_EXTRA = "impersonate-extra-"

# Open to everybody: whether it lives, and what it is.
_PUBLIC = ("/healthz", "/livez", "/readyz", "/version")
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody wants to do: a verb on a resource, or on a `path` that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def is_public(path: str) -> bool:
    return path.rstrip("/") in _PUBLIC or path.startswith(("/healthz/", "/livez/", "/readyz/"))


def identify(request: Request) -> Identity:
    """Raises Unauthenticated."""
    if request.identity is None or not request.identity.name:
        raise Unauthenticated("Unauthorized")
    return request.identity


def groups_of(identity: Identity) -> list[str]:
    return list(dict.fromkeys((*identity.groups, AUTHENTICATED)))


def acting(request: Request, identity: Identity) -> Identity:
    """As whom `identity` wants this to be done (`kubectl --as`); itself where it does not say.

    Raises: Forbidden (it may not act as that one), Broken (groups and others without a user).
    """
    user, groups, uid, extra = _wish(request)
    if not user:
        if groups or uid or extra:
            raise Broken(f"requested {[*groups, uid, *extra]} without impersonating a user")
        return identity
    own: tuple[str, ...] = ()
    attempts = [Attempt("impersonate", resource="users", name=user)]
    account = user.removeprefix(PREFIX).split(":") if user.startswith(PREFIX) else []
    if len(account) == 2:
        attempts = [Attempt("impersonate", resource="serviceaccounts", namespace=account[0], name=account[1])]
        own = (GROUP, f"{GROUP}:{account[0]}")
    attempts += [Attempt("impersonate", resource="groups", name=name) for name in groups]
    attempts += [Attempt("impersonate", _AUTHENTICATION, "uids", name=uid)] if uid else []
    attempts += [Attempt("impersonate", _AUTHENTICATION, "userextras", key, name=one) for key, one in _pairs(extra)]
    for attempt in attempts:
        require(identity, attempt)
    return Identity(user, tuple(groups) or own, uid, extra)


def _wish(request: Request) -> tuple[str, list[str], str, dict[str, list[str]]]:
    """(user, groups, uid, extra) of the headers Impersonate-*; values of one name come joined."""
    headers = request.headers
    extra = {
        unquote(name.removeprefix(_EXTRA)): value.split(", ")
        for name, value in headers.items()
        if name.startswith(_EXTRA)
    }
    groups = headers.get("impersonate-group", "")
    return (
        headers.get("impersonate-user", ""),
        groups.split(", ") if groups else [],
        headers.get("impersonate-uid", ""),
        extra,
    )


def _pairs(extra: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [(key, one) for key, values in extra.items() for one in values]


def may(identity: Identity, attempt: Attempt) -> bool:
    """Everybody who is known may look around (discovery) and ask about themselves."""
    if MASTERS in identity.groups:
        return True
    if attempt.path:
        return attempt.verb == "get" and attempt.path.startswith(("/api", "/openapi", "/version", "/healthz"))
    return attempt.resource.startswith("selfsubject") and attempt.verb == "create"


def require(identity: Identity, attempt: Attempt) -> None:
    """Raises Forbidden, in RBAC's words."""
    if may(identity, attempt):
        return
    if attempt.path:
        raise Forbidden(f'forbidden: User "{identity.name}" cannot {attempt.verb} path "{attempt.path}"')
    resource = f"{attempt.resource}/{attempt.subresource}" if attempt.subresource else attempt.resource
    plural = f"{attempt.resource}.{attempt.group}" if attempt.group else attempt.resource
    about = f'{plural} "{attempt.name}"' if attempt.name else plural
    where = f'in the namespace "{attempt.namespace}"' if attempt.namespace else "at the cluster scope"
    said = f'cannot {attempt.verb} resource "{resource}" in API group "{attempt.group}" {where}'
    refused = f'{about} is forbidden: User "{identity.name}" {said}'
    raise Forbidden(refused, kind=attempt.resource, name=attempt.name)


def verb_of(request: Request, name: str) -> str:
    """`list`, `watch` and `deletecollection` where there is no name."""
    verb = _VERBS.get(request.method, request.method.lower())
    if verb == "get" and request.query.get("watch").lower() in ("true", "1"):
        return "watch"
    if not name:
        return {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    return verb
