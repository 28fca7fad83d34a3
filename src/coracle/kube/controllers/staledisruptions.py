"""Take back what a pod says of going away (condition DisruptionTarget) where after all it stays.

Who says so deletes the pod at once, in another write: one that was interrupted between the two leaves a pod that stays.
What the kubelet says stands, for it ends pods in its own time.

Decide: stale_in_s(), pure.  Act: StaleDisruptions.reconcile().

Source: Kubernetes documentation, "Disruptions: Pod disruption conditions".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coracle.core.clock import Clock, from_rfc3339, rfc3339
from coracle.core.collection import Collection
from coracle.core.errors import NotFound
from coracle.core.informer import Informer
from coracle.core.loop import Again
from coracle.core.object import Key, Object
from coracle.core.store import Event
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.conditions import condition, with_condition
from coracle.kube.kinds.disruption import TARGET

POD = pods.KIND.type
PATIENCE_S = 120.0
_OF_THE_KUBELET = "TerminationByKubelet"


def stale_in_s(pod: Object, now_s: float) -> float | None:
    """How long until nobody believes that the pod goes (0 or less: now); None where it does not say so, or goes."""
    said = condition(pod, TARGET)
    if said.get("status") != "True" or said.get("reason") == _OF_THE_KUBELET or not pods.active(pod):
        return None
    since = said.get("lastTransitionTime")
    return from_rfc3339(since) + PATIENCE_S - now_s if since else 0.0


def taken_back(pod: Object, now: str) -> Object:
    said = {"type": TARGET, "status": "False", "lastProbeTime": None}
    return pod.with_status(conditions=with_condition(pod.status.get("conditions"), said, now))


class StaleDisruptions:
    name = "stale disruptions"

    def __init__(self, caches: Mapping[str, Informer], writer: Collection, clock: Clock) -> None:
        self._pods, self._writer, self._clock = caches[POD], writer, clock
        self.watches = {POD: _saying_so}

    async def reconcile(self, key: Key) -> Again | None:
        pod = self._pods.find(key)
        left_s = stale_in_s(pod, self._clock.now_s()) if pod is not None else None
        if left_s is None:
            return None
        if left_s > 0:
            return Again(left_s)
        now_s = self._clock.now_s()

        def change(present: Object) -> Object:
            due_s = stale_in_s(present, now_s)
            return taken_back(present, rfc3339(now_s)) if due_s is not None and due_s <= 0 else present

        try:
            await self._writer.change(key, change, part="status")
        except NotFound:
            return None
        return None


def _saying_so(event: Event) -> Iterable[Key]:
    says = event.type != "DELETED" and TARGET.encode() in event.entry.raw
    return (event.entry.key,) if says else ()
