"""Which pods to remove first when there are too many: those that are missed least.

Source: Kubernetes documentation, "ReplicaSet: Scaling a ReplicaSet" and "Pod deletion cost".
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.conditions import condition
from coracle.kube.kinds.podspec.notes import DELETION_COST

_PHASES = {"Pending": 0, "Unknown": 1}
_NANOSECONDS = 1e9


def doomed_first(owned: Iterable[Object], near: Iterable[Object], now_s: float) -> list[Object]:
    """`owned` in the order in which a ReplicaSet removes them; `near`: whose neighbours they should not be."""
    crowd = Counter(pod.spec.get("nodeName", "") for pod in near if pods.active(pod))

    def compare(one: Object, other: Object) -> int:
        return _signed(_needed(one, crowd), _needed(other, crowd)) or _by_life(one, other, now_s)

    by_name = sorted(owned, key=lambda pod: pod.meta.name)
    return sorted(by_name, key=functools.cmp_to_key(compare))


def youngest_first(owned: Iterable[Object]) -> list[Object]:
    """`owned` in the order in which a Job removes them."""
    by_name = sorted(owned, key=lambda pod: pod.meta.name)
    return sorted(by_name, key=lambda pod: (*_begun(pod), -_moment(_ready_since(pod)), _restarts(pod), -_made(pod)))


# -- what is compared ------------------------------------------------------------------------------------------------


def _begun(pod: Object) -> tuple[bool, int, bool]:
    """Unscheduled, pending, not ready: the earlier the less it is missed."""
    phase = _PHASES.get(pod.status.get("phase", "Pending"), 2)
    return bool(pod.spec.get("nodeName")), phase, pods.ready(pod)


def _needed(pod: Object, crowd: Mapping[str, int]) -> tuple[object, ...]:
    """Then the cheap, and those in a crowd."""
    return *_begun(pod), _cost(pod), -crowd[pod.spec.get("nodeName", "")]


def _by_life(one: Object, other: Object, now_s: float) -> int:
    """Then those that are ready since shortly, that were restarted often, that were made shortly."""
    found = 0
    if pods.ready(one) and pods.ready(other):
        found = _by_age(one, other, (_ready_since(one), _ready_since(other)), now_s)
    found = found or _signed(_restarts(one), _restarts(other))
    return found or _by_age(one, other, (one.meta.created, other.meta.created), now_s)


def _by_age(one: Object, other: Object, moments: tuple[str, str], now_s: float) -> int:
    """Pods of about one age are alike, and go by chance, so that it is not always the newest ones."""
    if moments[0] == moments[1]:
        return 0
    if not all(moments):
        return -1 if not moments[0] else 1
    ages = [_age_class(now_s - from_rfc3339(moment)) for moment in moments]
    return _signed(*ages) or _signed(one.meta.uid, other.meta.uid)


def _age_class(age_s: float) -> int:
    """The power of two of the age in nanoseconds."""
    return int(math.log2(age_s * _NANOSECONDS)) if age_s > 0 else -1


def _cost(pod: Object) -> int:
    try:
        return int(pod.meta.annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _restarts(pod: Object) -> tuple[int, int]:
    """The most of a container that does the work, and of a sidecar; negative, for the most go first."""
    sidecars = {c["name"] for c in pod.spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    initial = [one for one in pod.status.get("initContainerStatuses") or () if one.get("name") in sidecars]
    return -_most(pod.status.get("containerStatuses") or ()), -_most(initial)


def _most(statuses: Sequence[Mapping[str, int]]) -> int:
    return max((status.get("restartCount", 0) for status in statuses), default=0)


def _ready_since(pod: Object) -> str:
    return str(condition(pod, "Ready").get("lastTransitionTime") or "") if pods.ready(pod) else ""


def _made(pod: Object) -> float:
    return _moment(pod.meta.created)


def _moment(text: str) -> float:
    return from_rfc3339(text) if text else math.inf


def _signed(one: Any, other: Any) -> int:
    """Negative where `one` comes first."""
    return int(one > other) - int(one < other)
