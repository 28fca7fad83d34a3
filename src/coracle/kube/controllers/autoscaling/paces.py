"""How fast the number of pods may change: what was recommended lately, and how many have come and gone.  Pure.

Source: Kubernetes documentation, "Horizontal Pod Autoscaling", "Configurable scaling behavior", "Stabilization window".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from coracle.core.object import Json

DOWN_WINDOW_S = 300.0
_FASTEST, _FEW = 2, 4  # without rules: twice as many, or four
Rules = Mapping[str, Any]


class Change(NamedTuple):
    """A recommendation (`number` of pods), or that `number` pods were added or taken, at a time (seconds)."""

    at_s: float
    number: int


@dataclass(slots=True)
class History:
    """What is remembered of one autoscaler."""

    recommended: list[Change] = field(default_factory=list)
    added: list[Change] = field(default_factory=list)
    taken: list[Change] = field(default_factory=list)

    def scaled(self, before: int, after: int, now_s: float) -> None:
        if after > before:
            self.added.append(Change(now_s, after - before))
        elif after < before:
            self.taken.append(Change(now_s, before - after))

    def forget(self, now_s: float, longest_s: float = 3600.0) -> None:
        for changes in (self.recommended, self.added, self.taken):
            changes[:] = [change for change in changes if now_s - change.at_s <= longest_s]


class Pace(NamedTuple):
    """How many pods it shall be now, and the conditions AbleToScale and ScalingLimited."""

    replicas: int
    conditions: tuple[Json, Json]


def paced(spec: Rules, present: int, wanted: int, history: History, now_s: float) -> Pace:
    """`wanted` is remembered in `history`.  `present` is within the bounds of `spec`."""
    behavior = spec.get("behavior")
    up, down = _windows(behavior)
    history.recommended.append(Change(now_s, wanted))
    steady = _steady(present, history.recommended, now_s - up, now_s - down)
    able = _able(wanted, steady)
    limited, reason = _limited(spec, present, steady, history, now_s)
    changed = limited != steady
    said: Json = {"type": "ScalingLimited", "status": str(changed), "reason": reason, "message": _MESSAGES[reason]}
    return Pace(limited, (able, said))


def _windows(behavior: Rules | None) -> tuple[float, float]:
    if behavior is None:
        return 0.0, DOWN_WINDOW_S
    up, down = (behavior[name].get("stabilizationWindowSeconds") for name in ("scaleUp", "scaleDown"))
    return float(up or 0), DOWN_WINDOW_S if down is None else float(down)


def _steady(present: int, recommended: Sequence[Change], up_since_s: float, down_since_s: float) -> int:
    """The least of the recommendations for more, the most of those for fewer."""
    last = recommended[-1].number
    up = min([last, *(one.number for one in recommended if one.at_s > up_since_s)])
    down = max([last, *(one.number for one in recommended if one.at_s > down_since_s)])
    return min(max(present, up), down)


def _able(wanted: int, steady: int) -> Json:
    reason, message = "ReadyForNewScale", "recommended size matches current size"
    if steady > wanted:
        reason = "ScaleDownStabilized"
        message = "recent recommendations were higher than current one, applying the highest recent recommendation"
    elif steady < wanted:
        reason = "ScaleUpStabilized"
        message = "recent recommendations were lower than current one, applying the lowest recent recommendation"
    return {"type": "AbleToScale", "status": "True", "reason": reason, "message": message}


_MESSAGES = {
    "DesiredWithinRange": "the desired count is within the acceptable range",
    "TooFewReplicas": "the desired replica count is less than the minimum replica count",
    "TooManyReplicas": "the desired replica count is more than the maximum replica count",
    "ScaleUpLimit": "the desired replica count is increasing faster than the maximum scale rate",
    "ScaleDownLimit": "the desired replica count is decreasing faster than the maximum scale rate",
}


def _limited(spec: Rules, present: int, wanted: int, history: History, now_s: float) -> tuple[int, str]:
    least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
    reason = {True: "TooManyReplicas", False: "TooFewReplicas"}
    up, down = _bounds(spec.get("behavior"), present, history, now_s)
    if most > up and wanted > present:
        most, reason[True] = up, "ScaleUpLimit"
    if least < down and wanted < present:
        least, reason[False] = down, "ScaleDownLimit"
    if wanted > most:
        return most, reason[True]
    if wanted < least:
        return least, reason[False]
    return wanted, "DesiredWithinRange"


def _bounds(behavior: Rules | None, present: int, history: History, now_s: float) -> tuple[int, int]:
    """The most and the fewest pods that it may be now."""
    if behavior is None:
        return max(_FASTEST * present, _FEW), 0
    return (
        max(present, _most(behavior["scaleUp"], present, history, now_s)),
        min(present, _fewest(behavior["scaleDown"], present, history, now_s)),
    )


def _most(rules: Rules, present: int, history: History, now_s: float) -> int:
    if rules["selectPolicy"] == "Disabled":
        return present
    limits: list[int] = []
    for policy in rules["policies"]:
        start = present - _lately(history.added, policy, now_s) + _lately(history.taken, policy, now_s)
        share = math.ceil(start * (1 + policy["value"] / 100))
        limits.append(start + policy["value"] if policy["type"] == "Pods" else share)
    return min(limits) if rules["selectPolicy"] == "Min" else max(limits)


def _fewest(rules: Rules, present: int, history: History, now_s: float) -> int:
    if rules["selectPolicy"] == "Disabled":
        return present
    limits: list[int] = []
    for policy in rules["policies"]:
        start = present - _lately(history.added, policy, now_s) + _lately(history.taken, policy, now_s)
        share = int(start * (1 - policy["value"] / 100))
        limits.append(start - policy["value"] if policy["type"] == "Pods" else share)
    return max(limits) if rules["selectPolicy"] == "Min" else min(limits)


def _lately(changes: Sequence[Change], policy: Rules, now_s: float) -> int:
    return sum(change.number for change in changes if change.at_s > now_s - policy["periodSeconds"])
