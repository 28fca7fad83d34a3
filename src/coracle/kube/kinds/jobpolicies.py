"""The rules of a JobSpec's two policies: which failures of pods count, and which successes are enough.

Source: Kubernetes batch/v1 API, PodFailurePolicy, SuccessPolicy; the messages of its validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.errors import Problem, duplicate, invalid, required, too_long, too_many
from coracle.core.kind import Problems
from coracle.core.names import qualified_faults
from coracle.core.object import Json
from coracle.kube.kinds import jobindexes
from coracle.kube.kinds.rules import not_negative, unsupported

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATES = ("False", "True", "Unknown")
_MOST_RULES, _MOST_PATTERNS, _MOST_CODES = 20, 20, 255
_LONGEST_INDEXES = 64 * 1024


def failure_policy(spec: Mapping[str, Any], at: str) -> Problems:
    policy = spec.get("podFailurePolicy")
    if policy is None:
        return []
    pod, rules = (spec.get("template") or {}).get("spec") or {}, policy.get("rules") or ()
    names = [c.get("name") for kind in ("containers", "initContainers") for c in pod.get(kind) or ()]
    found = _at_most(f"{at}.rules", rules, _MOST_RULES)
    for index, rule in enumerate(rules):
        found += _failure_rule(f"{at}.rules[{index}]", rule, names, spec)
    return found


def _failure_rule(at: str, rule: Json, names: Sequence[str], spec: Mapping[str, Any]) -> Problems:
    found = _word(f"{at}.action", rule.get("action"), _ACTIONS)
    if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        found.append(invalid(f"{at}.action", "FailIndex", "requires the backoffLimitPerIndex to be set"))
    codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
    if codes is not None:
        found += _exit_codes(f"{at}.onExitCodes", codes, names)
    found += _at_most(f"{at}.onPodConditions", patterns, _MOST_PATTERNS)
    for index, pattern in enumerate(patterns):
        found += _pattern(f"{at}.onPodConditions[{index}]", pattern)
    if codes is not None and patterns:
        found.append(_wrong(at, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if codes is None and not patterns:
        found.append(_wrong(at, "specifying one of OnExitCodes and OnPodConditions is required"))
    return found


def _pattern(at: str, pattern: Json) -> Problems:
    type = pattern.get("type") or ""
    found = [invalid(f"{at}.type", type, fault) for fault in qualified_faults(type)]
    return found + _word(f"{at}.status", pattern.get("status"), _STATES)


def _exit_codes(at: str, codes: Json, names: Sequence[str]) -> Problems:
    found = _word(f"{at}.operator", codes.get("operator"), _OPERATORS)
    if codes.get("containerName") is not None and codes["containerName"] not in names:
        said = "must be one of the container or initContainer names in the pod template"
        found.append(invalid(f"{at}.containerName", codes["containerName"], said))
    values = codes.get("values") or []
    if not values:
        found.append(invalid(f"{at}.values", codes.get("values"), "at least one value is required"))
    found += _at_most(f"{at}.values", values, _MOST_CODES)
    for index, value in enumerate(values[:_MOST_CODES]):
        if value == 0 and codes.get("operator") == "In":
            found.append(invalid(f"{at}.values[{index}]", 0, "must not be 0 for the In operator"))
        if value in values[:index]:
            found.append(duplicate(f"{at}.values[{index}]", value))
    if values != sorted(values):
        found.append(invalid(f"{at}.values", values, "must be ordered"))
    return found


# -- success -------------------------------------------------------------------------------------------------------


def success_policy(spec: Mapping[str, Any], at: str) -> Problems:
    """Of an indexed Job that says how many completions it has."""
    policy, completions = spec.get("successPolicy"), spec.get("completions")
    if policy is None or completions is None:
        return []
    rules = policy.get("rules") or ()
    if not rules:
        said = "at least one rules must be specified when the successPolicy is specified"
        return [required(f"{at}.rules", said)]
    found = _at_most(f"{at}.rules", rules, _MOST_RULES)
    for index, rule in enumerate(rules):
        found += _success_rule(f"{at}.rules[{index}]", rule, completions)
    return found


def _success_rule(at: str, rule: Json, completions: int) -> Problems:
    text, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if text is None and count is None:
        return [required(at, "at least one of succeededCount or succeededIndexes must be specified")]
    found = not_negative(f"{at}.succeededCount", count)
    if count is not None and count > completions:
        said = f"must be less than or equal to {completions} (the number of specified completions)"
        found.append(invalid(f"{at}.succeededCount", count, said))
    if text is None:
        return found
    if len(text) > _LONGEST_INDEXES:
        found.append(too_long(f"{at}.succeededIndexes", _LONGEST_INDEXES))
    try:
        total = jobindexes.size(jobindexes.spans(text, completions))
    except ValueError as error:
        return [*found, invalid(f"{at}.succeededIndexes", text, f"error parsing succeededIndexes: {error}")]
    if count is not None and count > total:
        said = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        found.append(invalid(f"{at}.succeededCount", count, said))
    return found


# -- words ---------------------------------------------------------------------------------------------------------


def _word(at: str, value: str | None, choices: Sequence[str]) -> Problems:
    if not value:
        listed = " ".join(f'"{choice}"' for choice in choices)
        return [required(at, f"valid values: [{listed}]")]
    return [] if value in choices else [unsupported(at, value, choices)]


def _at_most(at: str, values: Sequence[Any], most: int) -> Problems:
    if len(values) <= most:
        return []
    return [too_many(at, len(values), most)]


def _wrong(at: str, said: str) -> Problem:
    """About a whole object, which is not shown."""
    return Problem(at, "invalid", f"Invalid value: {said}")
