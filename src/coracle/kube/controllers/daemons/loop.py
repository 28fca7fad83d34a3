"""Keep one pod of each DaemonSet on every node that it is for.

Decide: nodes and plans, pure.  Act: Daemons.reconcile().

Source: Kubernetes documentation, "DaemonSet"; its Events and status.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from coracle.core.informer import Index
from coracle.core.loop import Again, itself
from coracle.core.object import Key, Object
from coracle.core.store import Event
from coracle.kube.controllers import history
from coracle.kube.controllers.availability import next_available_s
from coracle.kube.controllers.backoff import Backoff
from coracle.kube.controllers.batches import for_each, slow_start
from coracle.kube.controllers.daemons import plans
from coracle.kube.controllers.daemons.nodes import daemon_pod, fit, node_of
from coracle.kube.controllers.daemons.plans import Crew, Plan
from coracle.kube.controllers.means import Means
from coracle.kube.controllers.ownership import OF_DEPENDENTS, OF_OWNERS, Terms, claimed, concerned, selector_of
from coracle.kube.kinds import controllerrevision, daemonset
from coracle.kube.kinds import node as nodes
from coracle.kube.kinds import pod as pods

DAEMONS, REVISION = daemonset.KIND.type, controllerrevision.KIND.type
POD, NODE = pods.KIND.type, nodes.KIND.type
INDEXES: Mapping[str, Mapping[str, Index]] = {DAEMONS: OF_OWNERS, REVISION: OF_DEPENDENTS, POD: OF_DEPENDENTS}
_ENDINGS = {
    "Failed": ("Warning", "FailedDaemonPod", "failed"),
    "Succeeded": ("Normal", "SucceededDaemonPod", "succeeded"),
}


class Daemons:
    name = "daemonsets"

    def __init__(self, means: Means) -> None:
        self._means, caches = means, means.caches
        self._sets, self._revisions = caches[DAEMONS], caches[REVISION]
        self._pods, self._nodes = caches[POD], caches[NODE]
        self._patience = Backoff(first_s=1.0, longest_s=900.0)  # with pods that end, by (uid, node)
        self.watches: Mapping[str, Callable[[Event], Iterable[Key]]] = {
            DAEMONS: itself,
            POD: concerned(self._sets, selector_of),
            REVISION: concerned(self._sets, selector_of),
            NODE: self._every,
        }

    async def reconcile(self, key: Key) -> Again | None:
        daemons = self._sets.find(key)
        if daemons is None or daemons.meta.deleting:
            return None  # its pods go with it, by their owner
        terms = Terms(selector_of(daemons))
        writers = self._means.writers
        revisions = await claimed(daemons, self._revisions, writers[REVISION], terms)
        present = await history.settled(daemons, revisions, writers[REVISION])
        if present is None:
            await history.count_collision(daemons, writers[DAEMONS])
            return None  # which wakes us again
        crew = self._crew(daemons, present, await claimed(daemons, self._pods, writers[POD], terms))
        try:
            return await self._act(crew)
        finally:
            await self._tidy(crew, [*(one for one in revisions if one.key != present.key), present])
            await self._tell(crew)

    # -- acting ----------------------------------------------------------------------------------------------------

    def _crew(self, daemons: Object, present: Object, mine: Iterable[Object]) -> Crew:
        by_node: dict[str, list[Object]] = defaultdict(list)
        for pod in mine:
            by_node[node_of(pod)].append(pod)
        found = {node.meta.name: fit(daemons, node) for node in self._nodes.list()}
        return Crew(daemons, present.meta.labels[history.HASH], found, by_node, now_s=self._means.clock.now_s())

    async def _act(self, crew: Crew) -> Again | None:
        """Raises the first failure, after having tried everything."""
        todo = plans.keep(crew)
        if not todo.make and not todo.remove and not todo.ended:
            todo = plans.roll(crew)
        daemons = crew.daemons
        wanted = [daemon_pod(daemons, node, crew.hash) for node in todo.make]
        failures = await slow_start(wanted, lambda pod: self._means.make_pod(daemons, pod))
        failures += await for_each(todo.remove, lambda doomed: self._means.remove_pod(daemons, doomed))
        wait_s = await self._clear(crew, todo)
        if failures:
            raise failures[0]
        owned = [pod for there in crew.pods.values() for pod in there]
        ready_s = next_available_s(owned, crew.daemons.spec.get("minReadySeconds") or 0, crew.now_s)
        waits_s = [one for one in (wait_s, ready_s) if one > 0]
        return Again(min(waits_s)) if waits_s else None

    async def _clear(self, crew: Crew, todo: Plan) -> float:
        """Remove pods that ended, ever more slowly where they keep ending.

        Returns how long it is until the next of them may go (seconds; 0: there is none).
        """
        waits_s = []
        for pod in todo.ended:
            wait_s = self._patience.wait_s((crew.daemons.meta.uid, node_of(pod)), crew.now_s)
            if wait_s > 0:
                waits_s.append(wait_s)
                continue
            kind, reason, word = _ENDINGS[pod.status["phase"]]
            said = f"Found {word} daemon pod {pod.key} on node {node_of(pod)}, will try to delete it"
            self._means.recorder.emit(crew.daemons, kind, reason, said)
            await self._means.remove_pod(crew.daemons, pod.key)
        return min(waits_s, default=0)

    async def _tidy(self, crew: Crew, revisions: list[Object]) -> None:
        hashes = {pod.meta.labels.get(history.HASH) for there in crew.pods.values() for pod in there} | {crew.hash}
        live = {one.meta.name for one in revisions if one.meta.labels.get(history.HASH) in hashes}
        await history.tidy(revisions, live, crew.daemons.spec["revisionHistoryLimit"], self._means.writers[REVISION])

    async def _tell(self, crew: Crew) -> None:
        await self._means.tell(crew.daemons, lambda one: one.with_body(status=plans.status(crew, one.status)))

    # -- who is concerned ------------------------------------------------------------------------------------------

    def _every(self, event: Event) -> Iterable[Key]:
        """A node that is new, gone, or has other labels or taints concerns every DaemonSet; its heartbeat none."""
        if event.type == "MODIFIED" and event.before is not None and event.before.labels == event.entry.labels:
            before, after = event.before.object().spec, event.entry.object().spec
            if before == after:
                return ()
        return [entry.key for entry in self._sets.entries()]
