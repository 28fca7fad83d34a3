"""The rules and defaults of a JobSpec, of a Job or of a CronJob's template.

Source: Kubernetes batch/v1 API, JobSpec; the messages of its validation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.errors import duplicate, invalid, required
from coracle.core.kind import Problems
from coracle.core.names import name_faults
from coracle.core.object import Json
from coracle.kube.kinds import workloads
from coracle.kube.kinds.blanks import absent, blank
from coracle.kube.kinds.podspec.rules import template_problems
from coracle.kube.kinds.rules import not_negative, one_of, unsupported

NON_INDEXED, INDEXED = "NonIndexed", "Indexed"
WHEN_FAILED, WHEN_GOING = "Failed", "TerminatingOrFailed"
OURS = "kubernetes.io/job-controller"
UNLIMITED = 2**31 - 1
_MOST_INDEXES = 100_000
_MOST_RULES, _MOST_CODES = 20, 255
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_NEEDS_INDEXES = "requires indexed completion mode"


def default(given: Mapping[str, Any] | None) -> Json:
    spec = workloads.with_template(given, completionMode=NON_INDEXED, suspend=False)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    policy = WHEN_FAILED if spec.get("podFailurePolicy") else WHEN_GOING
    limit = UNLIMITED if spec.get("backoffLimitPerIndex") is not None else 6
    spec = blank(absent(spec, parallelism=1, backoffLimit=limit), podReplacementPolicy=policy)
    if spec.get("podFailurePolicy"):
        rules = [_failure_rule(rule) for rule in spec["podFailurePolicy"].get("rules") or ()]
        spec["podFailurePolicy"] = {**spec["podFailurePolicy"], "rules": rules}
    return spec


def _failure_rule(rule: Json) -> Json:
    patterns = rule.get("onPodConditions")
    return {**rule, "onPodConditions": [blank(one, status="True") for one in patterns]} if patterns else rule


def problems(spec: Mapping[str, Any], at: str) -> Problems:
    found: Problems = []
    for name in (
        "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
        "backoffLimitPerIndex", "maxFailedIndexes",
    ):  # fmt: skip
        found += not_negative(f"{at}.{name}", spec.get(name))
    found += one_of(f"{at}.completionMode", spec.get("completionMode"), (INDEXED, NON_INDEXED))
    found += one_of(f"{at}.podReplacementPolicy", spec.get("podReplacementPolicy"), (WHEN_FAILED, WHEN_GOING))
    found += _managed_by(f"{at}.managedBy", spec.get("managedBy"))
    found += _indexed(spec, at) if spec.get("completionMode") == INDEXED else _not_indexed(spec, at)
    found += _failure_policy(spec, at) + _success_policy(spec, at)
    return found + _template(spec, at)


def _managed_by(at: str, value: str | None) -> Problems:
    if value is None:
        return []
    domain, slash, path = value.partition("/")
    if not slash or not domain or not path:
        return [invalid(at, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    faults = [invalid(at, value, fault) for fault in name_faults("subdomain", domain)]
    return faults if len(value) <= 63 else [*faults, invalid(at, value, "may not be more than 63 bytes")]


def _indexed(spec: Mapping[str, Any], at: str) -> Problems:
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    found: Problems = []
    if completions is None:
        found.append(required(f"{at}.completions", f"when completion mode is {INDEXED}"))
    for name, value in (("completions", completions), ("parallelism", parallelism)):
        if value is not None and value > _MOST_INDEXES:
            found.append(invalid(f"{at}.{name}", value, f"must be less than or equal to {_MOST_INDEXES}"))
    most = spec.get("maxFailedIndexes")
    if most is not None and spec.get("backoffLimitPerIndex") is None:
        found.append(required(f"{at}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if most is not None and completions is not None and most > completions:
        found.append(invalid(f"{at}.maxFailedIndexes", most, "must be less than or equal to completions"))
    return found


def _not_indexed(spec: Mapping[str, Any], at: str) -> Problems:
    names = ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy")
    return [invalid(f"{at}.{name}", spec[name], _NEEDS_INDEXES) for name in names if spec.get(name) is not None]


# -- policies ------------------------------------------------------------------------------------------------------


def _failure_policy(spec: Mapping[str, Any], at: str) -> Problems:
    policy = spec.get("podFailurePolicy")
    if policy is None:
        return []
    pod, found = (spec.get("template") or {}).get("spec") or {}, []
    if pod.get("restartPolicy") != "Never":
        said = 'only "Never" is supported when podFailurePolicy is specified'
        found.append(invalid(f"{at}.template.spec.restartPolicy", pod.get("restartPolicy"), said))
    if spec.get("podReplacementPolicy") != WHEN_FAILED:
        policy_at = f"{at}.podReplacementPolicy"
        found.append(unsupported(policy_at, spec.get("podReplacementPolicy"), (WHEN_FAILED,)))
    rules = policy.get("rules") or ()
    if len(rules) > _MOST_RULES:
        found.append(invalid(f"{at}.podFailurePolicy.rules", len(rules), f"must have at most {_MOST_RULES} items"))
    names = [c.get("name") for kind in ("containers", "initContainers") for c in pod.get(kind) or ()]
    for index, rule in enumerate(rules):
        found += _rule(f"{at}.podFailurePolicy.rules[{index}]", rule, names, spec)
    return found


def _rule(at: str, rule: Json, names: Sequence[str], spec: Mapping[str, Any]) -> Problems:
    found = one_of(f"{at}.action", rule.get("action"), _ACTIONS)
    if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        found.append(invalid(f"{at}.action", "FailIndex", "requires the backoffLimitPerIndex to be set"))
    codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
    if codes is not None and patterns:
        found.append(invalid(at, rule, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if codes is None and not patterns:
        found.append(invalid(at, rule, "specifying one of OnExitCodes and OnPodConditions is required"))
    if codes is not None:
        found += _exit_codes(f"{at}.onExitCodes", codes, names)
    for index, pattern in enumerate(patterns):
        here = f"{at}.onPodConditions[{index}]"
        found += [] if pattern.get("type") else [required(f"{here}.type")]
        found += one_of(f"{here}.status", pattern.get("status"), ("False", "True", "Unknown"))
    return found


def _exit_codes(at: str, codes: Json, names: Sequence[str]) -> Problems:
    found = one_of(f"{at}.operator", codes.get("operator"), ("In", "NotIn"))
    if codes.get("containerName") is not None and codes["containerName"] not in names:
        said = "must be one of the container or initContainer names in the pod template"
        found.append(invalid(f"{at}.containerName", codes["containerName"], said))
    values = codes.get("values") or ()
    if not values:
        found.append(invalid(f"{at}.values", list(values), "at least one value is required"))
    if len(values) > _MOST_CODES:
        found.append(invalid(f"{at}.values", len(values), f"must have at most {_MOST_CODES} items"))
    for index, value in enumerate(values):
        if value == 0 and codes.get("operator") == "In":
            found.append(invalid(f"{at}.values[{index}]", 0, "must not be 0 for the In operator"))
        if value in values[:index]:
            found.append(duplicate(f"{at}.values[{index}]", value))
    return found


def _success_policy(spec: Mapping[str, Any], at: str) -> Problems:
    policy = spec.get("successPolicy")
    if policy is None or spec.get("completionMode") != INDEXED:
        return []
    rules, at = policy.get("rules") or (), f"{at}.successPolicy.rules"
    if not rules:
        return [required(at, "at least one rules must be specified when the successPolicy is specified")]
    found: Problems = []
    for index, rule in enumerate(rules):
        found += _success_rule(f"{at}[{index}]", rule, spec.get("completions") or 0)
    return found


def _success_rule(at: str, rule: Json, completions: int) -> Problems:
    text, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if text is None and count is None:
        return [required(at, "at least one of succeededCount or succeededIndexes must be specified")]
    total = completions
    found: Problems = []
    if text is not None:
        try:
            total = len(parse_indexes(text, completions))
        except ValueError as error:
            found.append(invalid(f"{at}.succeededIndexes", text, f"error parsing succeededIndexes: {error}"))
    if count is not None and count <= 0:
        found.append(invalid(f"{at}.succeededCount", count, "must be greater than 0"))
    elif count is not None and count > total:
        said = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        found.append(invalid(f"{at}.succeededCount", count, said))
    return found


# -- indexes -------------------------------------------------------------------------------------------------------


def parse_indexes(text: str, completions: int) -> set[int]:
    """`1,3-5` as a set.  Raises ValueError where it is no such text, or not in order, or has others than there are."""
    found: set[int] = set()
    last = -1
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None:
            raise ValueError(f'cannot convert string to integer for index: "{part}"')
        first, end = int(match[1]), int(match[2] or match[1])
        if first <= last or end < first:
            raise ValueError(f"non-increasing order, previous: {last}, current: {first}")
        if end >= completions:
            raise ValueError(f'too large index: "{end}"')
        found.update(range(first, end + 1))
        last = end
    return found


# -- the template --------------------------------------------------------------------------------------------------


def _template(spec: Mapping[str, Any], at: str) -> Problems:
    template = spec.get("template")
    if template is None:
        return [required(f"{at}.template")]
    found = template_problems(template, f"{at}.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        found.append(unsupported(f"{at}.template.spec.restartPolicy", policy, ("OnFailure", "Never")))
    return found
