"""What a Job's policies say: of a pod that failed, and of indexes that succeeded.

Source: Kubernetes documentation, "Job: Pod failure policy", "Success policy".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any, NamedTuple

from coracle.core.object import Json, Object
from coracle.kube.kinds.jobindexes import size, spans


class Judgement(NamedTuple):
    """What is to be done about a failed pod, and why."""

    action: str  # "Count", "Ignore", "FailIndex" or "FailJob"
    message: str = ""


def judge(job: Object, pod: Object) -> Judgement:
    """By the first rule that matches; a pod that none matches counts."""
    policy = job.spec.get("podFailurePolicy") or {}
    if pod.status.get("phase") != "Failed":
        return Judgement("Count")
    for index, rule in enumerate(policy.get("rules") or ()):
        said = _by_exit_code(rule, pod) or _by_condition(rule, pod)
        if said:
            return Judgement(rule["action"], f"{said} matching {rule['action']} rule at index {index}")
    return Judgement("Count")


def _by_exit_code(rule: Json, pod: Object) -> str:
    wanted = rule.get("onExitCodes")
    if wanted is None:
        return ""
    for status in _statuses(pod):
        ended = (status.get("state") or {}).get("terminated")
        named = wanted.get("containerName") in (None, status.get("name"))
        code = (ended or {}).get("exitCode", 0)
        if named and code and (code in wanted["values"]) == (wanted["operator"] == "In"):
            return f"Container {status.get('name', '')} for pod {pod.key} failed with exit code {code}"
    return ""


def _statuses(pod: Object) -> Iterable[Mapping[str, Any]]:
    return [*(pod.status.get("containerStatuses") or ()), *(pod.status.get("initContainerStatuses") or ())]


def _by_condition(rule: Json, pod: Object) -> str:
    for pattern in rule.get("onPodConditions") or ():
        for present in pod.status.get("conditions") or ():
            if present.get("type") == pattern["type"] and present.get("status") == pattern["status"]:
                return f"Pod {pod.key} has condition {present['type']}"
    return ""


def success(job: Object, completed: Set[int]) -> str:
    """Which rule of the success policy is met; "" for none."""
    policy, completions = job.spec.get("successPolicy") or {}, job.spec.get("completions") or 0
    for index, rule in enumerate(policy.get("rules") or ()):
        text, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        meant = spans(text, completions) if text is not None else [range(completions)]
        done = sum(1 for index in completed if any(index in span for span in meant))
        if done >= (count if count is not None else size(meant)):
            return f"Matched rules at index {index}"
    return ""
