"""Fill in the secrets that are to hold a ServiceAccount's token, and remove them with their account.

Source: Kubernetes documentation, "Managing Service Accounts" (token controller).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coracle.core.collection import Collection, Deletion
from coracle.core.errors import Conflict, NotFound
from coracle.core.informer import Informer
from coracle.core.object import Key, Object
from coracle.core.store import Event
from coracle.kube.kinds import secret as secrets
from coracle.kube.kinds import serviceaccount
from coracle.kube.kinds.accounttokens import Issuer
from coracle.kube.kinds.tokensecrets import NAME, TYPE, belongs, filled, is_token

_TYPE = TYPE.encode()
SECRET, ACCOUNT = secrets.KIND.type, serviceaccount.KIND.type


def _tokens(event: Event) -> Iterable[Key]:
    """Without decoding the many that are none."""
    return (event.entry.key,) if _TYPE in event.entry.raw and is_token(event.entry.object()) else ()


class TokenSecrets:
    """`authority`: the certificate to trust the API by, as PEM text."""

    name = "serviceaccount-tokens"

    def __init__(
        self, caches: Mapping[str, Informer], writers: Mapping[str, Collection], issuer: Issuer, authority: str
    ) -> None:
        self._secrets, self._accounts = caches[SECRET], caches[ACCOUNT]
        self._writer, self._naming = writers[SECRET], writers[ACCOUNT]
        self._issuer, self._authority = issuer, authority
        self.watches = {SECRET: _tokens, ACCOUNT: self._of_account}

    async def reconcile(self, key: Key) -> None:
        secret = self._secrets.find(key)
        if secret is None:
            await self._forget(key)
            return
        if not is_token(secret) or secret.meta.deleting:
            return
        account = self._accounts.find(Key(key.namespace, secret.meta.annotations.get(NAME, "")))
        try:
            if account is None or not belongs(secret, account):
                await self._writer.delete(key, Deletion(uid=secret.meta.uid), missing_ok=True)
            else:
                await self._fill(secret, account)
        except (Conflict, NotFound):
            return  # it is another one by now

    async def _fill(self, secret: Object, account: Object) -> None:
        """A token is made only where there is none: making one is not for nothing."""
        there = (secret.body.get("data") or {}).get("token")
        token = "" if there else self._issuer.keep(account, secret)
        wanted = filled(secret, account, self._authority, token)
        if wanted != secret:
            await self._writer.update(wanted)

    async def _forget(self, key: Key) -> None:
        """A secret that is gone is no longer one of its account's."""
        for account in self._accounts.list(key.namespace):
            if any(ref.get("name") == key.name for ref in account.body.get("secrets") or ()):
                await self._naming.change(account.key, lambda now: _without(now, key.name))

    def _of_account(self, event: Event) -> Iterable[Key]:
        """Not for every change of an account: a new one may be another of the same name."""
        if event.type == "MODIFIED":
            return ()
        room, name = event.entry.key
        found = self._secrets.list(room)
        return [one.key for one in found if is_token(one) and one.meta.annotations.get(NAME) == name]


def _without(account: Object, name: str) -> Object:
    kept = [ref for ref in account.body.get("secrets") or () if ref.get("name") != name]
    return account.with_body(secrets=kept)
