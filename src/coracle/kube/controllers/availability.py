"""When a ready pod counts as available: after it has been ready for `minReadySeconds`.

Source: Kubernetes documentation, "ReplicaSet", "Deployment: Min Ready Seconds".
"""

from __future__ import annotations

from collections.abc import Iterable

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.conditions import condition


def available(pod: Object, wait_s: int, now_s: float) -> bool:
    return pods.ready(pod) and available_in_s(pod, wait_s, now_s) <= 0


def available_in_s(pod: Object, wait_s: int, now_s: float) -> float:
    """How long until a ready pod has been ready for `wait_s` seconds."""
    since = condition(pod, "Ready").get("lastTransitionTime")
    return from_rfc3339(since) + wait_s - now_s if wait_s and since else 0


def next_available_s(owned: Iterable[Object], wait_s: int, now_s: float) -> float:
    """How long until the next of the ready pods becomes available; 0 where there is nothing to wait for."""
    waits_s = [available_in_s(pod, wait_s, now_s) for pod in owned if pods.active(pod) and pods.ready(pod)]
    return min((left_s for left_s in waits_s if left_s > 0), default=0)
