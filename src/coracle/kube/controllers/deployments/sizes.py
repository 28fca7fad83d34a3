"""How many pods each ReplicaSet of a Deployment is to have next.

    replicas 4, 25 % surge, 25 % unavailable: at most 5 pods, at least 3 of them available

    old 4 ready                 new 0       begin: the new one takes what is free
    old 4 -> 3                  new 1 -> 2  one old pod may go at once, so one more new one may come
    old 3                       new 2       ... until new ones are ready, and each takes the place of an old one
    old 0                       new 4

Source: Kubernetes documentation, "Deployment: Strategy", "Proportional scaling".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coracle.core.object import Object
from coracle.kube.controllers.deployments.versions import DESIRED, MAX, Family
from coracle.kube.kinds import workloads
from coracle.kube.kinds.deployment import RECREATE, ROLLING

Sizes = Mapping[str, int]  # replicas by the ReplicaSet's name


# -- bounds --------------------------------------------------------------------------------------------------------


def surge(deployment: Object) -> int:
    """How many pods there may be beyond `replicas`."""
    return _bounds(deployment)[0]


def unavailable(deployment: Object) -> int:
    """How many of `replicas` need not be available; at least one where nothing may surge."""
    return min(_bounds(deployment)[1], int(deployment.spec["replicas"]))


def _bounds(deployment: Object) -> tuple[int, int]:
    strategy, replicas = deployment.spec["strategy"], deployment.spec["replicas"]
    if strategy["type"] != ROLLING or not replicas:
        return 0, 0
    rolling = strategy["rollingUpdate"]
    more = workloads.resolve(rolling["maxSurge"], replicas, up=True)
    fewer = workloads.resolve(rolling["maxUnavailable"], replicas, up=False)
    return more, fewer if more or fewer else 1


def most(deployment: Object) -> int:
    return int(deployment.spec["replicas"]) + surge(deployment)


def asked(sets: Iterable[Object]) -> int:
    return sum(rs.spec["replicas"] for rs in sets)


def told(sets: Iterable[Object], what: str) -> int:
    """The sum of a number in the statuses: `replicas`, `availableReplicas`."""
    return sum(rs.status.get(what, 0) for rs in sets)


# -- rolling -------------------------------------------------------------------------------------------------------


def new_size(found: Family) -> int:
    """How many pods the present version may have now."""
    deployment, new = found.deployment, found.new
    wanted, present = int(deployment.spec["replicas"]), int(new.spec["replicas"]) if new is not None else 0
    if deployment.spec["strategy"]["type"] == RECREATE or present >= wanted:
        return wanted
    free = most(deployment) - asked(found.all)
    return present + max(0, min(free, wanted - present))


def roll(found: Family) -> Sizes:
    """The next step: first the present version grows, then old ones shrink as far as enough pods stay available."""
    new = found.new
    if new is None:
        return {}
    size = new_size(found)
    if size != new.spec["replicas"]:
        return {new.meta.name: size}
    spare = _spare(found)
    if spare <= 0 or not asked(found.old):
        return {}
    sizes = _without_unhealthy(found.old, spare)
    return {**sizes, **_without_surplus(found, sizes)}


def _spare(found: Family) -> int:
    """How many pods are there beyond those that must be available and those of the present version that are not yet."""
    new = found.new
    waiting = new.spec["replicas"] - new.status.get("availableReplicas", 0) if new is not None else 0
    return asked(found.all) - _fewest(found.deployment) - int(waiting)


def _fewest(deployment: Object) -> int:
    return int(deployment.spec["replicas"]) - unavailable(deployment)


def _without_unhealthy(old: Iterable[Object], spare: int) -> dict[str, int]:
    """Old pods that are not available are missed by nobody."""
    sizes: dict[str, int] = {}
    for rs in old:
        ill = min(spare, rs.spec["replicas"] - rs.status.get("availableReplicas", 0))
        if rs.spec["replicas"] and ill > 0:
            sizes[rs.meta.name] = rs.spec["replicas"] - ill
            spare -= ill
    return sizes


def _without_surplus(found: Family, sizes: Sizes) -> dict[str, int]:
    """Old pods that are available, as long as enough stay."""
    surplus = told(found.all, "availableReplicas") - _fewest(found.deployment)
    shrunk: dict[str, int] = {}
    for rs in found.old:
        present = sizes.get(rs.meta.name, rs.spec["replicas"])
        going = min(present, surplus)
        if going > 0:
            shrunk[rs.meta.name] = present - going
            surplus -= going
    return shrunk


# -- recreating ----------------------------------------------------------------------------------------------------


def recreate(found: Family, old_pods_left: bool) -> Sizes:
    """Everything old goes first; the present version comes when the last old pod is gone."""
    active = {rs.meta.name: 0 for rs in found.old if rs.spec["replicas"]}
    if active or old_pods_left or found.new is None:
        return active
    wanted = found.deployment.spec["replicas"]
    return {found.new.meta.name: wanted} if found.new.spec["replicas"] != wanted else {}


# -- scaling -------------------------------------------------------------------------------------------------------


def is_scaling(found: Family) -> bool:
    """Whether `replicas` is another than the ReplicaSets were made for."""
    wanted = str(found.deployment.spec["replicas"])
    return any(rs.meta.annotations.get(DESIRED, wanted) != wanted for rs in found.all if rs.spec["replicas"])


def scale(found: Family) -> Sizes:
    """The sizes for another number of replicas, or while paused: versions keep their shares of the whole."""
    deployment, new = found.deployment, found.new
    active, wanted = [rs for rs in found.all if rs.spec["replicas"]], deployment.spec["replicas"]
    if len(active) <= 1:
        only = active[0] if active else (new or (found.old[-1] if found.old else None))
        return {only.meta.name: wanted} if only is not None else {}
    if new is not None and _saturated(deployment, new):
        return {rs.meta.name: 0 for rs in found.old if rs.spec["replicas"]}
    return _shares(deployment, active) if deployment.spec["strategy"]["type"] == ROLLING else {}


def _saturated(deployment: Object, rs: Object) -> bool:
    """Whether the present version alone is what is asked for."""
    wanted = deployment.spec["replicas"]
    return bool(
        rs.spec["replicas"] == wanted
        and rs.meta.annotations.get(DESIRED) == str(wanted)
        and rs.status.get("availableReplicas", 0) == wanted
    )


def _shares(deployment: Object, active: list[Object]) -> Sizes:
    allowed = most(deployment) if deployment.spec["replicas"] else 0
    more, given = allowed - asked(active), 0
    youngest_first = sorted(active, key=lambda rs: rs.meta.created, reverse=more > 0)
    by_size = sorted(youngest_first, key=lambda rs: rs.spec["replicas"], reverse=True)
    sizes = {}
    for rs in by_size:
        share = _share(rs, deployment, more, given)
        sizes[rs.meta.name] = rs.spec["replicas"] + share
        given += share
    first = by_size[0].meta.name
    sizes[first] = max(0, sizes[first] + more - given)  # what rounding left over
    return sizes


def _share(rs: Object, deployment: Object, more: int, given: int) -> int:
    if not more:
        return 0
    share = _fraction(rs, deployment)
    return min(share, more - given) if more > 0 else max(share, more - given)


def _fraction(rs: Object, deployment: Object) -> int:
    """How much the ReplicaSet grows where the whole grows from what its annotations say."""
    size = int(rs.spec["replicas"])
    if not deployment.spec["replicas"]:
        return -size
    before = _number(rs.meta.annotations.get(MAX)) or deployment.status.get("replicas", 0)
    return _half_up(size * most(deployment) / before) - size if before else 0


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _half_up(value: float) -> int:
    return int(value + 0.5)
