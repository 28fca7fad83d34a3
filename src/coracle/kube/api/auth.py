"""Who is calling, and whether they may.

A client certificate says who (common name, organisations), or a ServiceAccount's token (`api.accounts`).  Members of
system:masters may do everything; the others look around and ask about themselves, until there are roles.

Source: Kubernetes documentation, "Authenticating" (X.509 client certificates, service account tokens), "Authorization
Overview".
"""

from __future__ import annotations

from dataclasses import dataclass

from coracle.core.errors import Forbidden, Unauthenticated
from coracle.web.messages import Identity, Request

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"

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
    return [*identity.groups, AUTHENTICATED]


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
    raise Forbidden(f'{about} is forbidden: User "{identity.name}" {said}')


def verb_of(request: Request, name: str) -> str:
    """`list`, `watch` and `deletecollection` where there is no name."""
    verb = _VERBS.get(request.method, request.method.lower())
    if verb == "get" and request.query.get("watch").lower() in ("true", "1"):
        return "watch"
    if not name:
        return {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    return verb
