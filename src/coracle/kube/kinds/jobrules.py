"""The rules and defaults of a JobSpec, of a Job or of a CronJob's template.

Source: Kubernetes batch/v1 API, JobSpec; the messages of its validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.errors import invalid, required, too_long
from coracle.core.kind import Problems
from coracle.core.names import name_faults
from coracle.core.object import Json
from coracle.kube.kinds import workloads
from coracle.kube.kinds.blanks import absent, blank
from coracle.kube.kinds.jobpolicies import failure_policy, success_policy
from coracle.kube.kinds.podspec.rules import template_problems
from coracle.kube.kinds.rules import not_negative, unsupported

NON_INDEXED, INDEXED = "NonIndexed", "Indexed"
WHEN_FAILED, WHEN_GOING = "Failed", "TerminatingOrFailed"
OURS = "kubernetes.io/job-controller"
UNLIMITED = 2**31 - 1
_MANY, _FEWER = 100_000, 10_000
_LONGEST_MANAGER = 63
_NEEDS_INDEXES = "requires indexed completion mode"


def default(given: Mapping[str, Any] | None) -> Json:
    """Of a Job."""
    spec = default_template(given)
    spec = absent(spec, completionMode=NON_INDEXED, suspend=False, manualSelector=False)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    policy = WHEN_FAILED if spec.get("podFailurePolicy") else WHEN_GOING
    limit = UNLIMITED if spec.get("backoffLimitPerIndex") is not None else 6
    return blank(absent(spec, parallelism=1, backoffLimit=limit), podReplacementPolicy=policy)


def default_template(given: Mapping[str, Any] | None) -> Json:
    """Of a Job that is to be made later: what it leaves out is filled in then."""
    spec = workloads.with_template(given)
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
    found += _optional_word(f"{at}.completionMode", spec.get("completionMode"), (NON_INDEXED, INDEXED))
    replacements = (WHEN_FAILED,) if spec.get("podFailurePolicy") is not None else (WHEN_FAILED, WHEN_GOING)
    found += _optional_word(f"{at}.podReplacementPolicy", spec.get("podReplacementPolicy"), replacements)
    found += _managed_by(f"{at}.managedBy", spec.get("managedBy"))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        found.append(required(f"{at}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    found += _indexed(spec, at) if spec.get("completionMode") == INDEXED else _not_indexed(spec, at)
    return found + failure_policy(spec, f"{at}.podFailurePolicy") + _template(spec, at)


def _optional_word(at: str, value: str | None, choices: Sequence[str]) -> Problems:
    return [] if value is None or value in choices else [unsupported(at, value, choices)]


def _managed_by(at: str, value: str | None) -> Problems:
    if value is None:
        return []
    domain, slash, path = value.partition("/")
    if not slash or not domain or not path:
        return [invalid(at, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    faults = [invalid(at, value, fault) for fault in name_faults("subdomain", domain)]
    return faults if len(value) <= _LONGEST_MANAGER else [*faults, too_long(at, _LONGEST_MANAGER)]


def _indexed(spec: Mapping[str, Any], at: str) -> Problems:
    completions, parallelism, most = spec.get("completions"), spec.get("parallelism"), spec.get("maxFailedIndexes")
    found: Problems = []
    if completions is None:
        found.append(required(f"{at}.completions", f"when completion mode is {INDEXED}"))
    found += _limited(f"{at}.parallelism", parallelism, _MANY, f" when completion mode is {INDEXED}")
    if completions is not None and most is not None and most > completions:
        found.append(invalid(f"{at}.maxFailedIndexes", most, "must be less than or equal to completions"))
    found += _limited(f"{at}.maxFailedIndexes", most, _MANY)
    if completions is not None and completions > _MANY and spec.get("backoffLimitPerIndex") is not None:
        if most is None:
            said = f"must be specified when completions is above {_MANY}"
            found.append(required(f"{at}.maxFailedIndexes", said))
        why = f" when completions are above {_MANY} and used with backoff limit per index"
        found += _limited(f"{at}.parallelism", parallelism, _FEWER, why)
        found += _limited(f"{at}.maxFailedIndexes", most, _FEWER, why)
    return found + success_policy(spec, f"{at}.successPolicy")


def _limited(at: str, value: int | None, most: int, why: str = "") -> Problems:
    return [] if value is None or value <= most else [invalid(at, value, f"must be less than or equal to {most}{why}")]


def _not_indexed(spec: Mapping[str, Any], at: str) -> Problems:
    names = ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy")
    return [invalid(f"{at}.{name}", spec[name], _NEEDS_INDEXES) for name in names if spec.get(name) is not None]


# -- the template --------------------------------------------------------------------------------------------------


def _template(spec: Mapping[str, Any], at: str) -> Problems:
    template = spec["template"]
    found = template_problems(template, f"{at}.template")
    policy, policy_at = (template.get("spec") or {}).get("restartPolicy"), f"{at}.template.spec.restartPolicy"
    if policy in (None, "", "Always"):
        found.append(required(policy_at, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        found.append(unsupported(policy_at, policy, ("OnFailure", "Never")))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        found.append(invalid(policy_at, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    return found
