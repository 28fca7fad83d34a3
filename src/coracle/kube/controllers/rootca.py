"""See that every namespace says whom to trust as the API: the config map kube-root-ca.crt.

Source: Kubernetes documentation, "Managing Service Accounts"; kube-controller-manager's root CA publisher.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists, Forbidden, NotFound
from coracle.core.informer import Informer
from coracle.core.loop import itself
from coracle.core.object import Key, Meta, Object
from coracle.core.store import Event
from coracle.kube.kinds import configmap, namespace
from coracle.kube.kinds.podaccounts import AUTHORITY

NAMESPACE, CONFIG = namespace.KIND.type, configmap.KIND.type
_ABOUT = "kubernetes.io/description"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


def _room(event: Event) -> Iterable[Key]:
    return (Key("", event.entry.key.namespace),) if event.entry.key.name == AUTHORITY else ()


class RootCertificates:
    """`authority`: the certificate, as PEM text."""

    name = "rootca"
    watches = {NAMESPACE: itself, CONFIG: _room}

    def __init__(self, caches: Mapping[str, Informer], writer: Collection, authority: str) -> None:
        self._namespaces, self._configs, self._writer = caches[NAMESPACE], caches[CONFIG], writer
        self._data = {"ca.crt": authority}

    async def reconcile(self, key: Key) -> None:
        room = self._namespaces.find(key)
        if room is None or room.meta.deleting:
            return
        wanted = Object(
            configmap.KIND.name,
            Meta(name=AUTHORITY, namespace=key.name, annotations={_ABOUT: _DESCRIPTION}),
            {"data": self._data},
        )
        present = self._configs.find(wanted.key)
        try:
            if present is None:
                await self._writer.create(wanted)
            elif present.body.get("data") != self._data:
                await self._writer.change(wanted.key, lambda now: now.with_body(**wanted.body))
        except (AlreadyExists, Forbidden, NotFound):
            return  # somebody was quicker, or the namespace is going
