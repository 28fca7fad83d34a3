"""Evict a pod where its disruption budget allows it: POST .../pods/{name}/eviction.

Source: Kubernetes documentation, "API-initiated Eviction"; policy/v1 Eviction; the words of the API server.
"""

from __future__ import annotations

from dataclasses import replace

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection, Deletion, check_preconditions
from coracle.core.errors import Broken, Forbidden, Malformed, NotFound, Throttled, Unsupported
from coracle.core.object import Json, Key, Object
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

        Raises: NotFound, Conflict (a precondition), Throttled (its budget), Broken (several budgets), Malformed.
        """
        if request.method != "POST":
            raise Unsupported("the server does not allow this method on the requested resource")
        doc = checked(read_document(request), "policy/v1", "Eviction")
        if (doc.get("metadata") or {}).get("name") != target.key.name:
            raise Malformed("name in URL does not match name in Eviction object")
        options = doc.get("deleteOptions") or {}
        how = _asked(options)
        dry_run = bool(options.get("dryRun")) or read_dry_run(request, "CreateOptions")
        await self._evict(target.collection, target.key, how, dry_run=dry_run)
        return success({}, 201)

    async def _evict(self, writer: Collection, key: Key, how: Deletion, *, dry_run: bool) -> None:
        pod = writer.get(key)
        check_preconditions(writer.kind, pod, how)
        await self._ask(pod, dry_run=dry_run)
        if not dry_run:
            now = rfc3339(self._clock.now_s())
            told = await writer.change(key, lambda one: doomed(one, pod.meta.uid, _WHY, now), "status")
            how = replace(how, revision=told.meta.revision) if how.revision else how
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


def _asked(options: Json) -> Deletion:
    """Raises Malformed."""
    conditions = options.get("preconditions") or {}
    revision = str(conditions.get("resourceVersion") or "0")
    if not revision.isdigit():
        raise Malformed("preconditions.resourceVersion must be a number")
    grace_s: int | None = options.get("gracePeriodSeconds")
    return Deletion(grace_s, uid=conditions.get("uid") or "", revision=int(revision))


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
