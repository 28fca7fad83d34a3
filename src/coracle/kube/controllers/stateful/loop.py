"""Keep each StatefulSet's pods, one for each ordinal, and their claims.

Decide: identity and plans, pure.  Act: StatefulSets.reconcile(), one step each time; the pods, changed by what the step
does, wake it for the next one.

Source: Kubernetes documentation, "StatefulSets"; its Events and status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from coracle.core.collection import Deletion
from coracle.core.errors import AlreadyExists, CloudError, NotFound, Unavailable
from coracle.core.informer import Index
from coracle.core.loop import Again, itself
from coracle.core.object import Key, Object
from coracle.core.store import Event
from coracle.kube.controllers import history
from coracle.kube.controllers.availability import next_available_s
from coracle.kube.controllers.batches import for_each
from coracle.kube.controllers.means import Means
from coracle.kube.controllers.ownership import OF_DEPENDENTS, OF_OWNERS, Terms, claimed, concerned, selector_of
from coracle.kube.controllers.stateful import identity, plans
from coracle.kube.controllers.stateful.plans import Roster
from coracle.kube.kinds import controllerrevision, persistentvolumeclaim, statefulset
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.words import is_of_ending_namespace, said

SET, REVISION = statefulset.KIND.type, controllerrevision.KIND.type
POD, CLAIM = pods.KIND.type, persistentvolumeclaim.KIND.type
INDEXES: Mapping[str, Mapping[str, Index]] = {SET: OF_OWNERS, REVISION: OF_DEPENDENTS, POD: OF_DEPENDENTS}
_LABEL = "controller.kubernetes.io/hash"
_TAKEN = (
    "PersistentVolumeClaim {name} has a conflicting OwnerReference that acts as a managing controller, the retention "
    "policy is ignored for this claim"
)


class StatefulSets:
    name = "statefulsets"

    def __init__(self, means: Means) -> None:
        self._means, caches = means, means.caches
        self._sets, self._revisions = caches[SET], caches[REVISION]
        self._pods, self._claims = caches[POD], caches[CLAIM]
        self._writers, self._recorder, self._clock = means.writers, means.recorder, means.clock
        self.watches: Mapping[str, Callable[[Event], Iterable[Key]]] = {
            SET: itself,
            POD: concerned(self._sets, selector_of),
            REVISION: concerned(self._sets, selector_of),
            CLAIM: self._of_gone_claim,
        }

    async def reconcile(self, key: Key) -> Again | None:
        stateful = self._sets.find(key)
        if stateful is None or stateful.meta.deleting:
            return None  # its pods go with it, by their owner
        selector = selector_of(stateful)
        revisions = await claimed(stateful, self._revisions, self._writers[REVISION], Terms(selector))
        update = await history.settled(stateful, revisions, self._writers[REVISION], _LABEL)
        if update is None:
            await history.count_collision(stateful, self._writers[SET])
            return None  # which wakes us again
        revisions = [*(one for one in revisions if one.key != update.key), update]
        terms = Terms(selector, lambda pod: identity.ordinal(stateful, pod) is not None)
        mine = await claimed(stateful, self._pods, self._writers[POD], terms)
        roster = self._roster(stateful, update, revisions, mine)
        try:
            await self._act(roster, {one.meta.name: one for one in revisions})
        finally:
            await self._tell(roster)
            await self._tidy(roster, revisions)
        wait_s = next_available_s(mine, stateful.spec.get("minReadySeconds") or 0, roster.now_s)
        return Again(wait_s) if wait_s else None

    def _roster(self, stateful: Object, update: Object, revisions: Iterable[Object], mine: Iterable[Object]) -> Roster:
        names = {one.meta.name for one in revisions}
        told = stateful.status.get("currentRevision") or ""
        current = told if told in names else update.meta.name
        by_ordinal = {number: pod for pod in mine if (number := identity.ordinal(stateful, pod)) is not None}
        return Roster(stateful, current, update.meta.name, by_ordinal, self._clock.now_s())

    # -- acting ----------------------------------------------------------------------------------------------------

    async def _act(self, roster: Roster, revisions: Mapping[str, Object]) -> None:
        """Raises the first failure, after having tried everything."""
        todo = plans.plan(roster)
        failures = await for_each(roster.pods.items(), lambda found: self._keep(roster, *found))
        failures += await for_each(todo.make, lambda number: self._make(roster, revisions, number))
        if not failures:
            self._mention_ended(roster, todo.remove)
            failures = await for_each(todo.remove, lambda pod: self._remove(roster.stateful, pod))
        if failures:
            raise failures[0]

    async def _keep(self, roster: Roster, number: int, pod: Object) -> None:
        """Give a pod that is there its labels, and its claims their owners."""
        wanted = identity.own_labels(pod.meta.name, number)
        if any(pod.meta.labels.get(name) != value for name, value in wanted.items()):
            labelled = {**pod.meta.labels, **wanted}
            await self._writers[POD].change(pod.key, lambda pod: pod.with_meta(labels=labelled))
        condemned = number not in identity.ordinals(roster.stateful)
        waits = pod.status.get("phase") == "Pending" and not pod.meta.deleting and not condemned
        for template in self._templates(roster):
            key = Key(pod.meta.namespace, identity.claim_name(roster.stateful, template, number))
            claim = self._claims.find(key)
            if claim is not None:
                await self._own(claim, roster, pod, condemned=condemned)
            elif waits:
                await self._make_claim(roster, template, number)

    def _templates(self, roster: Roster) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = roster.stateful.spec.get("volumeClaimTemplates") or ()
        return found

    async def _own(self, claim: Object, roster: Roster, pod: Object | None, *, condemned: bool) -> None:
        if identity.is_taken(claim, roster.stateful, pod):
            why = _TAKEN.format(name=claim.meta.name)
            self._recorder.emit(roster.stateful, "Warning", "ConflictingController", why)
        wanted = identity.kept_by(claim, roster.stateful, pod, condemned=condemned)
        if wanted is not claim:
            await self._writers[CLAIM].change(
                claim.key, lambda claim: identity.kept_by(claim, roster.stateful, pod, condemned=condemned)
            )

    async def _make(self, roster: Roster, revisions: Mapping[str, Object], number: int) -> None:
        """A pod, after its claims.  Raises Unavailable where a claim of an earlier pod is still going."""
        stateful, name = roster.stateful, roster.revision_of(number)
        pod = identity.stateful_pod(stateful, history.template_of(revisions[name]), name, number)
        about = f"create Pod {pod.meta.name} in StatefulSet {stateful.meta.name}"
        try:
            for template in self._templates(roster):
                await self._ensure_claim(roster, template, number)
            await self._writers[POD].create(pod)
        except CloudError as error:
            if is_of_ending_namespace(error):
                return
            self._recorder.emit(stateful, "Warning", "FailedCreate", f"{about} failed error: {said(error)}")
            raise
        self._recorder.emit(stateful, "Normal", "SuccessfulCreate", f"{about} successful")

    async def _ensure_claim(self, roster: Roster, template: Mapping[str, Any], number: int) -> None:
        key = Key(roster.stateful.meta.namespace, identity.claim_name(roster.stateful, template, number))
        claim = self._claims.find(key)
        if claim is None:
            await self._make_claim(roster, template, number)
        elif identity.is_stale(claim, None):
            raise Unavailable(f"pvc {key.name} is being deleted", kind=CLAIM, name=key.name)
        else:
            await self._own(claim, roster, None, condemned=False)

    async def _make_claim(self, roster: Roster, template: Mapping[str, Any], number: int) -> None:
        stateful = roster.stateful
        claim = identity.new_claim(stateful, template, number)
        owned = identity.kept_by(claim, stateful, None, condemned=False)
        try:
            await self._writers[CLAIM].create(owned)
        except AlreadyExists:
            return
        pod = f"{stateful.meta.name}-{number}"
        done = f"create Claim {claim.meta.name} Pod {pod} in StatefulSet {stateful.meta.name} success"
        self._recorder.emit(stateful, "Normal", "SuccessfulCreate", done)

    def _mention_ended(self, roster: Roster, removed: Iterable[Object]) -> None:
        """A pod that has ended is removed to be made anew, unless it is one too many."""
        about = roster.stateful
        for pod in removed:
            if not pods.ended(pod) or pod in roster.condemned:
                continue
            failed = pod.status["phase"] == "Failed"
            kind, reason = ("Warning", "RecreatingFailedPod") if failed else ("Normal", "RecreatingTerminatedPod")
            word = "failed" if failed else "terminated"
            mention = f"StatefulSet {about.key} is recreating {word} Pod {pod.meta.name}"
            self._recorder.emit(about, kind, reason, mention)

    async def _remove(self, stateful: Object, pod: Object) -> None:
        about = f"delete Pod {pod.meta.name} in StatefulSet {stateful.meta.name}"
        try:
            await self._writers[POD].delete(pod.key, Deletion(uid=pod.meta.uid))
        except NotFound:
            return
        except CloudError as error:
            self._recorder.emit(stateful, "Warning", "FailedDelete", f"{about} failed error: {said(error)}")
            raise
        self._recorder.emit(stateful, "Normal", "SuccessfulDelete", f"{about} successful")

    async def _tidy(self, roster: Roster, revisions: Sequence[Object]) -> None:
        live = {pod.meta.labels.get(history.HASH, "") for pod in roster.pods.values()}
        live |= {roster.current, roster.update}
        limit = roster.stateful.spec["revisionHistoryLimit"]
        await history.tidy(revisions, live, limit, self._writers[REVISION])

    async def _tell(self, roster: Roster) -> None:
        await self._means.tell(roster.stateful, lambda one: one.with_body(status=plans.status(roster, one.status)))

    # -- who is concerned ------------------------------------------------------------------------------------------

    def _of_gone_claim(self, event: Event) -> Iterable[Key]:
        """A claim that is gone may be waited for by a pod that is to have a new one."""
        if event.type != "DELETED":
            return ()
        sets = self._sets.by("namespace", event.entry.key.namespace)
        return [one.key for one in sets if identity.is_claim_of(one, event.entry.key.name)]
