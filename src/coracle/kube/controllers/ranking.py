"""Which pods to remove first when there are too many: those that are missed least.

Source: Kubernetes documentation, "ReplicaSet: Scaling a ReplicaSet" and "Pod deletion cost".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.podspec.notes import DELETION_COST

_PHASES = {"Pending": 0, "Unknown": 1}

Rank = tuple[bool, int, bool, int, int, int, int, int]


def doomed_first(owned: Sequence[Object], now_s: float) -> list[Object]:
    """`owned` in the order in which to remove them."""
    crowd = Counter(pod.spec.get("nodeName", "") for pod in owned if pods.active(pod))
    by_name = sorted(owned, key=lambda pod: pod.meta.name)
    return sorted(by_name, key=lambda pod: _rank(pod, crowd[pod.spec.get("nodeName", "")], now_s))


def _rank(pod: Object, neighbours: int, now_s: float) -> Rank:
    """Unscheduled, pending, not ready, cheap, crowded, young in readiness, restarted, young: the earlier the worse."""
    ready = pods.ready(pod)
    since = pods.condition(pod, "Ready").get("lastTransitionTime") or pod.meta.created
    return (
        bool(pod.spec.get("nodeName")),
        _PHASES.get(pod.status.get("phase", "Pending"), 2),
        ready,
        _cost(pod),
        -neighbours,
        _age_class(since, now_s) if ready else 0,
        -_restarts(pod),
        _age_class(pod.meta.created, now_s),
    )


def _cost(pod: Object) -> int:
    try:
        return int(pod.meta.annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _restarts(pod: Object) -> int:
    return max((status.get("restartCount", 0) for status in pod.status.get("containerStatuses") or ()), default=0)


def _age_class(moment: str, now_s: float) -> int:
    """The power of two of the age: pods of about one age are alike, so that not always the newest ones go."""
    age_s = max(1.0, now_s - from_rfc3339(moment)) if moment else 1.0
    return int(math.log2(age_s))
