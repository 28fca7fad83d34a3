"""Drive less important pods away for one that fits nowhere.

Decide: preemption.plan(), pure.  Act: Preemption.attempt().

Source: Kubernetes documentation, "Pod Priority and Preemption"; Events Preempted; condition DisruptionTarget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection, Deletion
from coracle.core.errors import Conflict, NotFound
from coracle.core.informer import Informer
from coracle.core.object import Key, Object
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import poddisruptionbudget as budgets
from coracle.kube.kinds.disruption import doomed, target
from coracle.kube.kinds.priorityclass import WAITS
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.scheduler import preemption
from coracle.kube.scheduler.choice import Choice, explain, explain_preemption
from coracle.kube.scheduler.state import NodeState, PodFacts

POD, BUDGET = pods.KIND.type, budgets.KIND.type
_WHY = target("PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod")
_WAITS = "not eligible due to preemptionPolicy=Never."
_UNDER_WAY = "not eligible due to a terminating pod on the nominated node."


class Attempt(NamedTuple):
    """What is said of the pod, and the node on which room is being made for it ("": none)."""

    said: str
    node: str = ""


class Preemption:
    def __init__(
        self, caches: Mapping[str, Informer], writer: Collection, recorder: EventRecorder, clock: Clock
    ) -> None:
        self._pods, self._budgets = caches[POD], caches[BUDGET]
        self._writer, self._recorder, self._clock = writer, recorder, clock

    async def attempt(self, pod: Object, wanted: PodFacts, nodes: Sequence[NodeState], choice: Choice) -> Attempt:
        if not choice.refused:
            return Attempt(choice.refusal)
        if pod.spec.get("preemptionPolicy") == WAITS:
            return Attempt(explain(choice.refused, _WAITS))
        promised = pod.status.get("nominatedNodeName") or ""
        if any(self._making_room(wanted, node) for node in nodes if node.name == promised):
            return Attempt(explain(choice.refused, _UNDER_WAY), promised)
        plan = preemption.plan(wanted, nodes, choice.refused, self._open_budgets())
        if not plan.node:
            return Attempt(explain(choice.refused, explain_preemption(plan.reasons or {})))
        for victim in plan.victims:
            await self._drive_away(victim, pod, plan.node)
        return Attempt(explain(choice.refused, ""), plan.node)

    @staticmethod
    def _making_room(wanted: PodFacts, node: NodeState) -> bool:
        return any(other.going and other.priority < wanted.priority for other in node.pods.values())

    def _open_budgets(self) -> list[preemption.Budget]:
        found = []
        for budget in self._budgets.list():
            chosen = budgets.selector(budget)
            if chosen is not None:
                allowed = budget.status.get("disruptionsAllowed") or 0
                found.append(preemption.Budget(budget.meta.namespace, chosen, allowed))
        return found

    async def _drive_away(self, key: Key, pod: Object, node: str) -> None:
        victim = self._pods.find(key)
        if victim is None:
            return
        now = rfc3339(self._clock.now_s())
        try:
            await self._writer.change(key, lambda one: doomed(one, victim.meta.uid, _WHY, now), part="status")
            await self._writer.delete(key, Deletion(uid=victim.meta.uid), missing_ok=True)
        except (Conflict, NotFound):
            return  # gone, or another pod by now
        self._recorder.emit(victim, "Normal", "Preempted", f"Preempted by pod {pod.meta.uid} on node {node}")
