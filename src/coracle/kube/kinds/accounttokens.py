"""Tokens of ServiceAccounts: what they say, how long and of what they hold.

A token may be bound to a Pod, a Secret or a Node: it ends with it.  Nothing is kept of the tokens given out.

Source: Kubernetes documentation, "Managing Service Accounts" (bound tokens), "Authenticating"; the TokenRequest API.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coracle.core.clock import Clock
from coracle.core.kind import Reader
from coracle.core.object import Key, Object
from coracle.kube.kinds import tokensecrets
from coracle.kube.kinds.tokens import BadToken, Claims, Signer, decode, encode

ACCOUNT, POD, SECRET, NODE = "ServiceAccount", "Pod", "Secret", "Node"
BINDABLE = (POD, SECRET, NODE)
PREFIX, GROUP = "system:serviceaccount:", "system:serviceaccounts"
_PRIVATE = "kubernetes.io"
_EXTRA = "authentication.kubernetes.io/"
_LEEWAY_S = 10.0  # a clock that was set back a little


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a token speaks for, as `userInfo`; `audiences` are those that it is for."""

    name: str
    uid: str
    groups: tuple[str, ...]
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)
    audiences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """A token as asked for: how long it shall hold, for whom (none: for this API) and what it is bound to."""

    seconds_s: int
    audiences: Sequence[str] = ()
    bound: Object | None = None
    node: Object | None = None  # of the pod that it is bound to


class Issuer:
    """Gives tokens out and says whose they are.  `name` is what tokens call us, and the audience of this API."""

    def __init__(self, name: str, signer: Signer, reader: Reader, clock: Clock) -> None:
        self.name, self.signer = name, signer
        self._reader, self._clock = reader, clock

    def issue(self, account: Object, wish: Wish) -> tuple[str, float]:
        """The token, and when it ends (seconds since 1970)."""
        now_s = int(self._clock.now_s())
        claims = claims_of(account, wish, now_s)
        claims |= {"iss": self.name, "aud": list(wish.audiences) or [self.name], "jti": str(uuid.uuid4())}
        return encode(claims, self.signer), now_s + wish.seconds_s

    def check(self, token: str, audiences: Sequence[str] = ()) -> Holder:
        """Whose token this is, where it holds for one of `audiences` (none: for this API).  Raises BadToken."""
        claims = decode(token, self.signer)
        wanted = audiences or (self.name,)
        if claims.get("iss") == tokensecrets.ISSUER:
            return self._check_kept(token, claims, wanted)
        fit = tuple(one for one in wanted if one in (claims.get("aud") or ()))
        if claims.get("iss") != self.name:
            raise BadToken("token was not issued here")
        if not fit:
            raise BadToken(_astray(claims.get("aud") or (), wanted))
        _check_time(claims, self._clock.now_s())
        self._check_bound(claims[_PRIVATE])
        return holder(claims, fit)

    def keep(self, account: Object, secret: Object) -> str:
        """A token that is to lie in `secret`, and holds as long as it does."""
        return encode(tokensecrets.claims_of(account, secret), self.signer)

    def _check_kept(self, token: str, claims: Claims, wanted: Sequence[str]) -> Holder:
        """Of a token that lies in a secret; it is for this API only."""
        if self.name not in wanted:
            raise BadToken(_astray((self.name,), wanted))
        said = tokensecrets.whose(claims)
        self._check_there(ACCOUNT, Key(said.namespace, said.account), said.uid)
        tokensecrets.check_kept(said, token, self._reader)
        groups = (GROUP, f"{GROUP}:{said.namespace}")
        return Holder(f"{PREFIX}{said.namespace}:{said.account}", said.uid, groups, {}, (self.name,))

    def _check_bound(self, private: Mapping[str, Any]) -> None:
        """Everything that it is bound to is still there, and the same."""
        namespace = private["namespace"]
        for type, named in ((ACCOUNT, "serviceaccount"), (POD, "pod"), (SECRET, "secret")):
            if named in private:
                self._check_there(type, Key(namespace, private[named]["name"]), private[named]["uid"])
        if "node" in private and "pod" not in private:
            self._check_there(NODE, Key("", private["node"]["name"]), private["node"]["uid"])

    def _check_there(self, type: str, key: Key, uid: str) -> None:
        entry = self._reader.find(type, key)
        if entry is None or entry.object().meta.uid != uid:
            raise BadToken("service account token has been invalidated")


def claims_of(account: Object, wish: Wish, now_s: int) -> dict[str, Any]:
    """Everything but who issues it and for whom."""
    private: dict[str, Any] = {"namespace": account.meta.namespace, "serviceaccount": _named(account)}
    if wish.bound is not None:
        private[wish.bound.kind.lower()] = _named(wish.bound)
    if wish.node is not None:
        private["node"] = _named(wish.node)
    return {
        "exp": now_s + wish.seconds_s,
        "iat": now_s,
        "nbf": now_s,
        "sub": f"{PREFIX}{account.meta.namespace}:{account.meta.name}",
        _PRIVATE: private,
    }


def holder(claims: Claims, audiences: tuple[str, ...]) -> Holder:
    private = claims[_PRIVATE]
    extra = {f"{_EXTRA}credential-id": (f"JTI={claims['jti']}",)}
    for named in ("pod", "node"):
        if named in private:
            extra[f"{_EXTRA}{named}-name"] = (private[named]["name"],)
            extra[f"{_EXTRA}{named}-uid"] = (private[named]["uid"],)
    groups = (GROUP, f"{GROUP}:{private['namespace']}")
    return Holder(claims["sub"], private["serviceaccount"]["uid"], groups, extra, audiences)


def _named(obj: Object) -> dict[str, str]:
    return {"name": obj.meta.name, "uid": obj.meta.uid}


def _astray(audiences: Iterable[str], wanted: Iterable[str]) -> str:
    """As Go prints lists: `["a" "b"]`."""
    told, asked = (" ".join(f'"{one}"' for one in names) for names in (audiences, wanted))
    return f"token audiences [{told}] is invalid for the target audiences [{asked}]"


def _check_time(claims: Claims, now_s: float) -> None:
    if now_s > claims["exp"]:
        raise BadToken("service account token has expired")
    if now_s + _LEEWAY_S < claims["nbf"]:
        raise BadToken("service account token is not valid yet")
