"""See that every namespace has its `default` ServiceAccount, as whom pods run that name no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists, Forbidden
from coracle.core.informer import Informer
from coracle.core.loop import itself
from coracle.core.object import Key, Meta, Object
from coracle.core.store import Event
from coracle.kube.kinds import namespace, serviceaccount

DEFAULT = "default"
NAMESPACE, ACCOUNT = namespace.KIND.type, serviceaccount.KIND.type


def _room(event: Event) -> Iterable[Key]:
    return (Key("", event.entry.key.namespace),) if event.type == "DELETED" else ()


class DefaultAccounts:
    name = "serviceaccounts"
    watches = {NAMESPACE: itself, ACCOUNT: _room}

    def __init__(self, caches: Mapping[str, Informer], writer: Collection) -> None:
        self._namespaces, self._accounts, self._writer = caches[NAMESPACE], caches[ACCOUNT], writer

    async def reconcile(self, key: Key) -> None:
        room = self._namespaces.find(key)
        if room is None or room.meta.deleting or self._accounts.find(Key(key.name, DEFAULT)) is not None:
            return
        try:
            await self._writer.create(Object("ServiceAccount", Meta(name=DEFAULT, namespace=key.name)))
        except (AlreadyExists, Forbidden):
            return  # somebody was quicker, or the namespace is going
