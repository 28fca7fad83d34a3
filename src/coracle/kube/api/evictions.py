"""Evict a pod where its disruption budget allows it: POST .../pods/{name}/eviction.

Source: Kubernetes documentation, "API-initiated Eviction"; policy/v1 Eviction; the words of the API server.
"""

from __future__ import annotations

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection, Deletion
from coracle.core.errors import Broken, Conflict, Forbidden, NotFound, Throttled, Unsupported
from coracle.core.object import Key, Object
from coracle.kube.api.codec import read_document
from coracle.kube.api.deletions import read_dry_run
from coracle.kube.api.errors import success
from coracle.kube.api.served import Target
from coracle.kube.api.subresources import checked
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import poddisruptionbudget as budgets
from coracle.kube.kinds.disruption import doomed, target
from coracle.web.messages import Request, Response

BUDGET = budgets.KIND.type
MOST_NOTED = 2000
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
_WHY = target("EvictionByEvictionAPI", "Eviction API: evicting")


class Evictions:
    """`budgets`: the collection of PodDisruptionBudgets."""

    def __init__(self, budgets: Collection, clock: Clock) -> None:
        self._budgets, self._clock = budgets, clock

    async def handle(self, request: Request, target: Target) -> Response:
        """POST .../pods/{name}/eviction -> 201

        Raises: NotFound, Conflict (uid), Throttled (its budget), Broken (several budgets), Malformed.
        """
        if request.method != "POST":
            raise Unsupported("the server does not allow this method on the requested resource")
        doc = checked(read_document(request), "policy/v1", "Eviction")
        options = doc.get("deleteOptions") or {}
        conditions = options.get("preconditions") or {}
        how = Deletion(grace_s=options.get("gracePeriodSeconds"), uid=conditions.get("uid") or "")
        dry_run = bool(options.get("dryRun")) or read_dry_run(request, "CreateOptions")
        await self._evict(target.collection, target.key, how, dry_run=dry_run)
        return success({}, 201)

    async def _evict(self, writer: Collection, key: Key, how: Deletion, *, dry_run: bool) -> None:
        pod = writer.get(key)
        if how.uid and pod.meta.uid != how.uid:
            said = f"Precondition failed: UID in precondition: {how.uid}, UID in object meta: {pod.meta.uid}"
            raise Conflict(said, kind=writer.kind.type, name=key.name)
        await self._ask(pod, dry_run=dry_run)
        if not dry_run:
            now = rfc3339(self._clock.now_s())
            await writer.change(key, lambda one: doomed(one, pod.meta.uid, _WHY, now), "status")
        if await writer.delete(key, how, dry_run=dry_run) is None:
            raise NotFound(kind=writer.kind.type, name=key.name)

    async def _ask(self, pod: Object, *, dry_run: bool) -> None:
        """Take one disruption from the pod's budget, where it has one."""
        if pods.ended(pod) or pod.meta.deleting or pod.status.get("phase") == "Pending":
            return
        room = pod.meta.namespace
        covering = [one for one in self._budgets.list(room) if budgets.covers(one, room, pod.meta.labels)]
        if len(covering) > 1:
            raise Broken(_SEVERAL)
        if not covering or (not pods.ready(pod) and _lets_unhealthy_go(covering[0])):
            return
        if dry_run:
            _taken(covering[0], pod, "")
            return
        now = rfc3339(self._clock.now_s())
        await self._budgets.change(covering[0].key, lambda budget: _taken(budget, pod, now), "status")


def _lets_unhealthy_go(budget: Object) -> bool:
    if budget.spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    healthy, desired = budget.status.get("currentHealthy") or 0, budget.status.get("desiredHealthy") or 0
    return desired > 0 and healthy >= desired


def _taken(budget: Object, pod: Object, now: str) -> Object:
    """The budget with one disruption less, for `pod`.  Raises Throttled, Forbidden."""
    name, status = budget.meta.name, budget.status
    noted, allowed = status.get("disruptedPods") or {}, status.get("disruptionsAllowed") or 0
    if (status.get("observedGeneration") or 0) < budget.meta.generation:
        said = f"The disruption budget {name} is still being processed by the server."
        raise Throttled(_REFUSED, cause=said, after_s=10)
    if len(noted) > MOST_NOTED:
        raise Forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if allowed <= 0:
        needs, has = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
        said = f"The disruption budget {name} needs {needs} healthy pods and has {has} currently"
        raise Throttled(_REFUSED, cause=said)
    return budget.with_status(disruptionsAllowed=allowed - 1, disruptedPods={**noted, pod.meta.name: now})
