"""Keep every ResourceQuota's status true: what may be taken, and what is.

Source: Kubernetes documentation, "Resource Quotas".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from coracle.core.collection import Collection
from coracle.core.informer import Informer
from coracle.core.kind import Kind
from coracle.core.loop import itself
from coracle.core.object import Json, Key, Object
from coracle.core.quantity import ZERO
from coracle.core.sameness import change_same
from coracle.core.store import Event
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import resourcequota
from coracle.kube.kinds.quotausage import Usage, concerns, total, usage

QUOTA = resourcequota.KIND.type
_COUNT = "count/"


def status(quota: Object, used: Usage) -> Json:
    hard = dict(quota.spec.get("hard") or {})
    return {"hard": hard, "used": {name: str(used.get(name, ZERO)) for name in hard}}


class Quotas:
    """`writers`: the collections of all kinds; those of namespaced kinds are counted."""

    name = "resourcequota"

    def __init__(self, caches: Mapping[str, Informer], writers: Mapping[str, Collection]) -> None:
        self._caches, self._quotas, self._writer = caches, caches[QUOTA], writers[QUOTA]
        self._kinds = [one.kind for one in writers.values() if one.kind.namespaced and one.kind.name != "Event"]
        self.watches = {kind.type: partial(self._near, kind) for kind in self._kinds} | {QUOTA: self._near_quotas}

    async def reconcile(self, key: Key) -> None:
        quota = self._quotas.find(key)
        if quota is None:
            return
        hard = quota.spec.get("hard") or {}
        used = total(self._used(kind, quota) for kind in self._kinds if _matters(kind, hard))
        told = status(quota, used)
        await change_same(self._writer, quota, lambda present: present.with_body(status=told), "status")

    def _used(self, kind: Kind, quota: Object) -> Usage:
        there = self._caches[kind.type].list(quota.meta.namespace)
        return total(usage(kind, obj) for obj in there if concerns(quota, obj))

    # -- who is concerned ----------------------------------------------------------------------------------------

    def _near(self, kind: Kind, event: Event) -> Iterable[Key]:
        """All quotas of the namespace; not for every word that a pod's status says."""
        room = event.entry.key.namespace
        keys = [entry.key for entry in self._quotas.entries(room)]
        if not keys or event.before is None or event.type == "DELETED":
            return keys
        new, old = event.entry.object(), event.before.object()
        same = new.spec == old.spec and (kind.type != pods.KIND.type or pods.ended(new) == pods.ended(old))
        return () if same else keys

    def _near_quotas(self, event: Event) -> Iterable[Key]:
        others = [entry.key for entry in self._quotas.entries(event.entry.key.namespace)]
        return {*itself(event), *(others if event.type != "MODIFIED" else ())}


def _matters(kind: Kind, hard: Mapping[str, str]) -> bool:
    """Whether anything of that kind is counted."""
    if f"{_COUNT}{kind.resource}" in hard or kind.type in (pods.KIND.type, "PersistentVolumeClaim", "Service"):
        return True
    return not kind.group and kind.plural in hard
