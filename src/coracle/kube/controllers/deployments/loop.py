"""Keep each Deployment's ReplicaSets at the sizes that lead to what it asks for, and tell how far that is.

Decide: versions, sizes and progress, all pure.  Act: Deployments.reconcile(), one step of a rollout each time; the
ReplicaSets' statuses, changed by what the step does, wake it for the next one.

Source: Kubernetes documentation, "Deployments"; its Events, annotations and status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from coracle.core.collection import Deletion
from coracle.core.errors import AlreadyExists, CloudError
from coracle.core.informer import Index
from coracle.core.loop import Again, itself
from coracle.core.object import Json, Key, Object
from coracle.core.store import Event
from coracle.kube.controllers import history
from coracle.kube.controllers.deployments import progress, sizes, versions
from coracle.kube.controllers.deployments.versions import Family
from coracle.kube.controllers.means import Means
from coracle.kube.controllers.ownership import OF_DEPENDENTS, OF_OWNERS, OF_PODS, Terms, claimed, concerned, selector_of
from coracle.kube.kinds import deployment as deployments
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import replicaset as sets
from coracle.kube.kinds.words import is_of_ending_namespace, said

DEPLOYMENT, SET, POD = deployments.KIND.type, sets.KIND.type, pods.KIND.type
INDEXES: Mapping[str, Mapping[str, Index]] = {
    DEPLOYMENT: OF_OWNERS,
    SET: OF_OWNERS | OF_DEPENDENTS,
    POD: OF_PODS,
}
_PASSED_S = 1.0  # moments are told in whole seconds: a deadline is over a second later


class Deployments:
    name = "deployments"

    def __init__(self, means: Means) -> None:
        self._means, caches = means, means.caches
        self._deployments, self._sets, self._pods = caches[DEPLOYMENT], caches[SET], caches[POD]
        self._writer, self._set_writer = means.writers[DEPLOYMENT], means.writers[SET]
        self._recorder, self._clock = means.recorder, means.clock
        self.watches: Mapping[str, Callable[[Event], Iterable[Key]]] = {
            DEPLOYMENT: itself,
            SET: concerned(self._deployments, selector_of),
            POD: self._of_gone_pod,
        }

    async def reconcile(self, key: Key) -> Again | None:
        deployment = self._deployments.find(key)
        if deployment is None:
            return None  # deleted: its ReplicaSets go with it, by their owner
        mine = await claimed(deployment, self._sets, self._set_writer, Terms(selector_of(deployment)))
        conditions = progress.paused(deployment, self._clock.now_s())
        found = versions.family(deployment.with_status(conditions=conditions), mine)
        if deployment.meta.deleting:
            await self._tell(found, rolling=False)
            return None
        still = bool(deployment.spec.get("paused")) or sizes.is_scaling(found)
        return await (self._scale(found) if still else self._roll(found))

    # -- steps -----------------------------------------------------------------------------------------------------

    async def _scale(self, found: Family) -> Again | None:
        """Another number of replicas, or paused: no new version is made."""
        found = await self._resize(await self._mark(found), sizes.scale(found), all_marked=True)
        if found.deployment.spec.get("paused"):
            await self._tidy(found)
        return await self._tell(found, rolling=False)

    async def _roll(self, found: Family) -> Again | None:
        recreates = found.deployment.spec["strategy"]["type"] == deployments.RECREATE
        waits = recreates and (sizes.asked(found.old) > 0 or self._old_pods_left(found))
        if found.new is not None:
            found = await self._mark(found)
        elif not waits:
            made = await self._make(found)
            if made is None:
                return None  # the status it has now wakes us again
            found = made
        steps = sizes.recreate(found, self._old_pods_left(found)) if recreates else sizes.roll(found)
        found = await self._resize(found, steps)
        if not steps and progress.complete(found.deployment, progress.counts(found)):
            await self._tidy(found)
        return await self._tell(found, rolling=True)

    def _old_pods_left(self, found: Family) -> bool:
        """Whether pods of other versions are there that have not ended."""
        return any(self._pods.count_by("living", rs.meta.uid) for rs in found.old)

    # -- ReplicaSets -----------------------------------------------------------------------------------------------

    async def _make(self, found: Family) -> Family | None:
        """The family with a ReplicaSet of the present template; None where its name is taken or its room goes."""
        deployment = found.deployment
        replicas = sizes.new_size(found)
        wanted = versions.new_set(found, replicas)
        wanted = versions.sized(wanted, replicas, deployment, sizes.most(deployment))
        try:
            made = await self._set_writer.create(wanted)
        except AlreadyExists:
            await history.count_collision(deployment, self._writer)
            return None
        except CloudError as error:
            if is_of_ending_namespace(error):
                return None  # nothing more will be made there
            await self._could_not_make(found, wanted, error)
            raise
        if replicas:
            self._say(deployment, f"Scaled up replica set {made.meta.name} from 0 to {replicas}")
        done = f'Created new replica set "{made.meta.name}"'
        return Family(self._noting(deployment, progress.Said("True", "NewReplicaSetCreated", done)), made, found.old)

    async def _could_not_make(self, found: Family, wanted: Object, error: CloudError) -> None:
        failed = f'Failed to create new replica set "{wanted.meta.name}": {said(error)}'
        self._recorder.emit(found.deployment, "Warning", "ReplicaSetCreateError", failed)
        noted = self._noting(found.deployment, progress.Said("False", "ReplicaSetCreateError", failed))
        await self._tell(Family(noted, found.new, found.old), rolling=False)

    def _noting(self, deployment: Object, what: progress.Said) -> Object:
        """With this said of its progress, if it has a deadline."""
        if progress.deadline_s(deployment) is None:
            return deployment
        before: list[Json] = list(deployment.status.get("conditions") or ())
        after = progress.with_condition(before, progress.PROGRESSING, what, self._clock.now_s())
        return deployment.with_status(conditions=after)

    async def _mark(self, found: Family) -> Family:
        """Number the present version, and give it the Deployment's annotations."""
        new = found.new
        if new is None:
            return found
        new = await self._set_writer.change(new.key, lambda rs: versions.marked(rs, found))
        deployment = found.deployment
        if not any(entry.get("type") == progress.PROGRESSING for entry in deployment.status.get("conditions") or ()):
            there = f'Found new replica set "{new.meta.name}"'
            deployment = self._noting(deployment, progress.Said("True", "FoundNewReplicaSet", there))
        return Family(deployment, new, found.old)

    async def _resize(self, found: Family, wanted: sizes.Sizes, *, all_marked: bool = False) -> Family:
        """Give ReplicaSets these sizes; `all_marked`: the others learn too what the Deployment asks for."""
        changed = {}
        for rs in found.all:
            size, present = wanted.get(rs.meta.name, rs.spec["replicas"]), rs.spec["replicas"]
            if rs.meta.name in wanted or (all_marked and present):
                changed[rs.meta.name] = await self._size(found.deployment, rs, size)
            if size != present:
                direction = "up" if size > present else "down"
                self._say(found.deployment, f"Scaled {direction} replica set {rs.meta.name} from {present} to {size}")
        return found.with_sets(changed)

    async def _size(self, deployment: Object, rs: Object, size: int) -> Object:
        most = sizes.most(deployment)
        return await self._set_writer.change(rs.key, lambda rs: versions.sized(rs, size, deployment, most))

    async def _tidy(self, found: Family) -> None:
        for rs in versions.outdated(found):
            await self._set_writer.delete(rs.key, Deletion(uid=rs.meta.uid), missing_ok=True)

    def _say(self, deployment: Object, message: str) -> None:
        self._recorder.emit(deployment, "Normal", "ScalingReplicaSet", message)

    # -- status ----------------------------------------------------------------------------------------------------

    async def _tell(self, found: Family, *, rolling: bool) -> Again | None:
        now_s = self._clock.now_s()
        numbers = progress.counts(found)
        conditions = list(found.deployment.status.get("conditions") or ())
        conditions = progress.available(found, numbers, conditions, now_s)
        if rolling:
            conditions = progress.progressing(found, numbers, conditions, now_s)
        conditions = progress.failing(found.all, found.new, conditions)
        number = found.new.meta.annotations.get(versions.REVISION) if found.new is not None else None

        def told(present: Object) -> Object:
            if number is not None and present.meta.annotations.get(versions.REVISION) != number:
                present = present.with_meta(annotations={**present.meta.annotations, versions.REVISION: number})
            return present.with_body(status={**numbers, "conditions": conditions})

        await self._means.tell(found.deployment, told)
        left_s = progress.left_s(found.deployment, numbers, conditions, now_s)
        return Again(left_s + _PASSED_S) if left_s is not None else None

    # -- who is concerned --------------------------------------------------------------------------------------------

    def _of_gone_pod(self, event: Event) -> Sequence[Key]:
        """The Deployment that may have waited for a pod to be gone."""
        if event.type != "DELETED":
            return ()
        rs_keys = [key for uid in event.entry.owner_uids for key in self._sets.keys_by("uid", uid)]
        entries = [entry for key in rs_keys if (entry := self._sets.entry(key)) is not None]
        return [key for entry in entries for uid in entry.owner_uids for key in self._deployments.keys_by("uid", uid)]
