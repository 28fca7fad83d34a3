"""How many pods the use of a resource asks for.  Pure; amounts are in thousandths of their unit.

    wanted = ceil(pods * use / target)      unless use / target is within the tolerance of 1

Pods that start up, and those of which nothing is known, count as using nothing before more are asked for, and as using
all they asked for before fewer are.

Source: Kubernetes documentation, "Horizontal Pod Autoscaling", "Algorithm details".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object
from coracle.core.quantity import parse
from coracle.kube.kinds.conditions import condition
from coracle.kube.kinds.metrics import Amounts, Measurement

TOLERANCE = 0.1
STARTING_S, FIRST_READY_S = 300.0, 30.0  # a pod's cpu says little so soon after its start


class Unmeasured(Exception):
    """There is not enough to go by; the text is for people."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked of a resource: `percent` of what the pods request, or `each_milli` of each; `container` "": all.

    `tolerances`: how far below and above the goal is near enough.
    """

    resource: str
    percent: int | None = None
    each_milli: int | None = None
    container: str = ""
    tolerances: tuple[float, float] = (TOLERANCE, TOLERANCE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many pods, and what was measured: of one pod on average, and in percent where the goal is."""

    replicas: int
    average_milli: int
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class _Groups:
    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


def replicas(
    goal: Goal, present: int, found: Sequence[Object], measured: Mapping[str, Measurement], now_s: float
) -> Verdict:
    """For `present` pods, of which `found` are the selector's; `measured` by uid.  Raises Unmeasured."""
    used = amounts(goal, found, measured)
    if not used:
        said = "no metrics returned from resource metrics API"
        raise Unmeasured(f"unable to get metrics for resource {goal.resource}: {said}")
    groups = _grouped(goal, found, used, measured, now_s)
    used = {uid: milli for uid, milli in used.items() if uid not in groups.ignored | groups.unready}
    if not used:
        raise Unmeasured("did not receive metrics for targeted pods (pods might be unready)")
    requests = requested(goal, found) if goal.percent is not None else {}
    average = sum(used.values()) // len(used)
    percent = _percent(used, requests) if goal.percent is not None else None
    ratio = _ratio(goal, used, requests)
    return Verdict(_wanted(goal, present, ratio, groups, (used, requests)), average, percent)


def _wanted(
    goal: Goal,
    present: int,
    ratio: float,
    groups: _Groups,
    amounts: tuple[Mapping[str, int], Mapping[str, int]],
) -> int:
    used, requests = amounts
    starting = bool(groups.unready) and ratio > 1
    if not starting and not groups.missing:
        return present if _near(goal, ratio) else math.ceil(ratio * groups.ready)
    assumed = dict(used)
    for uid in groups.missing:
        assumed[uid] = _assumed(goal, ratio, requests.get(uid, 0))
    if starting:
        assumed |= dict.fromkeys(groups.unready, 0)
    again = _ratio(goal, assumed, requests)
    if _near(goal, again) or (ratio < 1) != (again < 1):
        return present
    wanted = math.ceil(again * len(assumed))
    return present if (again < 1 and wanted > present) or (again > 1 and wanted < present) else wanted


def _assumed(goal: Goal, ratio: float, request_milli: int) -> int:
    """What a pod of which nothing is known is taken to use."""
    if ratio >= 1:
        return 0
    if goal.percent is None:
        return goal.each_milli or 0
    return request_milli * max(100, goal.percent) // 100


def _near(goal: Goal, ratio: float) -> bool:
    below, above = goal.tolerances
    return 1 - below <= ratio <= 1 + above


def _ratio(goal: Goal, used: Mapping[str, int], requests: Mapping[str, int]) -> float:
    if goal.percent is not None:
        return _percent(used, requests) / goal.percent
    return (sum(used.values()) / len(used)) / (goal.each_milli or 1)


def _percent(used: Mapping[str, int], requests: Mapping[str, int]) -> int:
    total = sum(requests[uid] for uid in used)
    if not total:
        raise Unmeasured("no metrics returned matched known pods")
    return sum(used.values()) * 100 // total


# -- pods ------------------------------------------------------------------------------------------------------------


def _grouped(
    goal: Goal, found: Iterable[Object], used: Mapping[str, int], measured: Mapping[str, Measurement], now_s: float
) -> _Groups:
    groups: dict[str, set[str]] = {name: set() for name in ("ready", "unready", "missing", "ignored")}
    for pod in found:
        groups[_group_of(pod, goal, used, measured, now_s)].add(pod.meta.uid)
    unready, missing, ignored = (frozenset(groups[name]) for name in ("unready", "missing", "ignored"))
    return _Groups(len(groups["ready"]), unready, missing, ignored)


def _group_of(
    pod: Object, goal: Goal, used: Mapping[str, int], measured: Mapping[str, Measurement], now_s: float
) -> str:
    uid, phase = pod.meta.uid, pod.status.get("phase")
    if pod.meta.deleting or phase == "Failed":
        return "ignored"
    if phase == "Pending":
        return "unready"
    if uid not in used:
        return "missing"
    return "unready" if goal.resource == "cpu" and _starting(pod, measured[uid], now_s) else "ready"


def _starting(pod: Object, measurement: Measurement, now_s: float) -> bool:
    said, started = condition(pod, "Ready"), pod.status.get("startTime")
    if not said or not started:
        return True
    is_ready = said.get("status") == "True"
    since_s = from_rfc3339(said.get("lastTransitionTime") or started)
    started_s = from_rfc3339(started)
    if started_s + STARTING_S > now_s:
        return not is_ready or measurement.at_s < since_s + measurement.window_s
    return not is_ready and started_s + FIRST_READY_S > since_s


def amounts(goal: Goal, found: Iterable[Object], measured: Mapping[str, Measurement]) -> dict[str, int]:
    """What each pod uses, by uid; those of which nothing is known are left out.  Raises Unmeasured."""
    used = {}
    for pod in found:
        each = measured[pod.meta.uid].amounts if pod.meta.uid in measured else {}
        if goal.container and each and goal.container not in each:
            said = f"container {goal.container} not present in metrics for pod {pod.meta.namespace}/{pod.meta.name}"
            raise Unmeasured(said)
        counted = [one for name, one in each.items() if goal.container in ("", name)]
        if counted:
            used[pod.meta.uid] = sum(_milli(goal.resource, one) for one in counted)
    return used


def _milli(resource: str, amounts: Amounts) -> int:
    return -(-amounts.cpu_nano // 10**6) if resource == "cpu" else amounts.memory_bytes * 1000


def requested(goal: Goal, found: Iterable[Object]) -> dict[str, int]:
    """What each pod asks for, by uid.  Raises Unmeasured where a container asks for nothing."""
    return {pod.meta.uid: _requested(goal, pod) for pod in found}


def _requested(goal: Goal, pod: Object) -> int:
    whole = (pod.spec.get("resources") or {}).get("requests") or {}
    if not goal.container and goal.resource in whole:
        return parse(whole[goal.resource]).milli
    sidecars = [one for one in pod.spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    total = 0
    for container in (*pod.spec["containers"], *sidecars):
        if goal.container not in ("", container["name"]):
            continue
        asked: Any = ((container.get("resources") or {}).get("requests") or {}).get(goal.resource)
        if asked is None:
            said = f"missing request for {goal.resource} in container {container['name']} of Pod {pod.meta.name}"
            raise Unmeasured(said)
        total += parse(asked).milli
    return total
