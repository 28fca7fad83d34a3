"""Remove the oldest pods that have ended where there are very many: nobody else may ever do so.

Decide: surplus(), pure.  Act: EndedPods.reconcile().

Source: Kubernetes documentation, "Pod Lifecycle: Garbage collection of Pods"; `--terminated-pod-gc-threshold`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from coracle.core.collection import Collection, Deletion
from coracle.core.informer import Index, Informer
from coracle.core.object import Key, Object
from coracle.core.sameness import delete_same
from coracle.core.store import Entry, Event
from coracle.core.tasks import offload
from coracle.kube.controllers.batches import for_each
from coracle.kube.kinds import pod as pods

POD = pods.KIND.type
MOST = 12_500  # as in Kubernetes
_AT_ONCE = 250  # removed beyond what must be: looking at so many is not done for every pod that ends
_EVICTED = "Evicted"
_ALL = Key("", "ended")


def _ended(pod: Object) -> Iterable[str]:
    return ("",) if pods.ended(pod) and not pod.meta.deleting else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {POD: {"ended": _ended}}


def surplus(entries: Iterable[Entry], count: int) -> Sequence[Object]:
    """The `count` pods that are missed least: those that were evicted, then the oldest."""
    ranked = sorted((entry.object() for entry in entries), key=_rank)
    return ranked[:count]


def _rank(pod: Object) -> tuple[bool, str, str]:
    evicted = pod.status.get("phase") == "Failed" and pod.status.get("reason") == _EVICTED
    return not evicted, pod.meta.created, pod.meta.name


class EndedPods:
    name = "ended pods"

    def __init__(self, caches: Mapping[str, Informer], writer: Collection, most: int = MOST) -> None:
        self._pods, self._writer, self._most = caches[POD], writer, most
        self.watches = {POD: self._too_many}

    async def reconcile(self, _key: Key) -> None:
        excess = self._pods.count_by("ended", "") - self._most
        if excess <= 0:
            return
        entries = self._pods.entries_by("ended", "")
        # In a thread: reading so many takes a second.
        doomed = await offload(surplus, entries, min(excess + _AT_ONCE, self._most))
        failures = await for_each(doomed, self._remove)
        if failures:
            raise failures[0]

    async def _remove(self, pod: Object) -> None:
        await delete_same(self._writer, pod, Deletion(grace_s=0))

    def _too_many(self, event: Event) -> Iterable[Key]:
        return (_ALL,) if event.type != "DELETED" and self._pods.count_by("ended", "") > self._most else ()
