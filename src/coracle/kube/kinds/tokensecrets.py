"""Secrets that hold the token of a ServiceAccount: whose, what is put into them, and what such a token says.

The token has no end of its own: it holds as long as the secret keeps it and the account is the same.

Source: Kubernetes documentation, "Managing Service Accounts" (long-lived tokens).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

from coracle.core.kind import Reader
from coracle.core.object import Key, Object
from coracle.kube.kinds.tokens import BadToken

TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
ISSUER = "kubernetes/serviceaccount"
_PREFIX = "kubernetes.io/serviceaccount/"
_ENDED = "service account token has been invalidated"


class Whose(NamedTuple):
    """What a token from a secret says."""

    namespace: str
    secret: str
    account: str
    uid: str


def is_token(secret: Object) -> bool:
    return secret.body.get("type") == TYPE


def belongs(secret: Object, account: Object | None) -> bool:
    """Whether `account` is the one that the secret names, and still the same."""
    said = secret.meta.annotations
    return account is not None and said.get(NAME) == account.meta.name and said.get(UID) in (None, "", account.meta.uid)


def claims_of(account: Object, secret: Object) -> dict[str, Any]:
    said = {
        "namespace": account.meta.namespace,
        "secret.name": secret.meta.name,
        "service-account.name": account.meta.name,
        "service-account.uid": account.meta.uid,
    }
    subject = f"system:serviceaccount:{account.meta.namespace}:{account.meta.name}"
    return {"iss": ISSUER, "sub": subject, **{_PREFIX + name: value for name, value in said.items()}}


def whose(claims: Mapping[str, Any]) -> Whose:
    """Raises BadToken."""
    names = ("namespace", "secret.name", "service-account.name", "service-account.uid")
    values = [claims.get(_PREFIX + name) for name in names]
    if not all(isinstance(value, str) and value for value in values):
        raise BadToken("token is malformed")
    return Whose(*(str(value) for value in values))


def check_kept(said: Whose, token: str, reader: Reader) -> None:
    """That the secret is there and still holds this token.  Raises BadToken."""
    entry = reader.find("Secret", Key(said.namespace, said.secret))
    if entry is None:
        raise BadToken(_ENDED)
    secret = entry.object()
    kept = (secret.body.get("data") or {}).get("token") or ""
    if secret.meta.deleting or base64.b64decode(kept) != token.encode():
        raise BadToken(_ENDED)


def filled(secret: Object, account: Object, authority: str, token: str) -> Object:
    """`secret` with all that it should have; a token that it has already stays."""
    data = secret.body.get("data") or {}
    wanted = {"ca.crt": _packed(authority)}
    kept = {"namespace": _packed(account.meta.namespace), "token": _packed(token)}
    data = {**data, **wanted, **{name: value for name, value in kept.items() if not data.get(name)}}
    annotations = {**secret.meta.annotations, NAME: account.meta.name, UID: account.meta.uid}
    return secret.with_meta(annotations=annotations).with_body(data=data)


def _packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
