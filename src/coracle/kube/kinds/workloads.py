"""What the kinds that make pods from a template share: rules, defaults, numbers in percent, columns.

Source: Kubernetes apps/v1 and v1 APIs; the messages of their validation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Problem, forbidden, invalid, not_supported, required
from coracle.core.kind import Column, Problems
from coracle.core.object import Json, Object
from coracle.core.selectors import from_label_selector, selector_text
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.podspec import defaults
from coracle.kube.kinds.podspec.rules import template_problems
from coracle.kube.kinds.rules import label_selector, not_negative

_PERCENT = "[0-9]+%"
_NO_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    f"validation is '{_PERCENT}')"
)

# -- defaults ------------------------------------------------------------------------------------------------------


def with_template(given: Mapping[str, Any] | None, **said: Any) -> Json:
    """A spec with its template filled in, and `said` where a field is not there."""
    spec = absent(given, **said)
    return {**spec, "template": defaults.template(spec.get("template"))}


def template_labels(owner: Object) -> dict[str, str]:
    """The labels that the owner's pods get."""
    template = owner.spec.get("template") or {}
    labels: dict[str, str] = (template.get("metadata") or {}).get("labels") or {}
    return labels


# -- rules ---------------------------------------------------------------------------------------------------------


def selector_problems(spec: Mapping[str, Any], empty: str) -> Problems:
    """A required selector that selects something; `empty` is what is said of one that has no requirement."""
    selector = spec.get("selector")
    if selector is None:
        return [required("spec.selector")]
    problems = label_selector("spec.selector", selector)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        problems.append(invalid("spec.selector", selector, empty))
    return problems


def own_template(spec: Mapping[str, Any], kind: str) -> Problems:
    """The template of a workload whose pods run for ever: it fits the selector, and nothing in it makes pods end."""
    template = spec["template"]
    selector, labels = spec.get("selector"), (template.get("metadata") or {}).get("labels")
    problems: Problems = []
    if not label_selector("", selector) and not from_label_selector(selector).accepts(labels or {}):
        problems.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    return problems + template_problems(template, "spec.template") + runs_for_ever(template, kind)


def runs_for_ever(template: Mapping[str, Any], kind: str) -> Problems:
    """Restarted always, and with no deadline."""
    spec, problems = template.get("spec") or {}, []
    if spec.get("restartPolicy") != "Always":
        problems.append(not_supported("spec.template.spec.restartPolicy", spec.get("restartPolicy"), ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        said = f"activeDeadlineSeconds in {kind} is not Supported"
        problems.append(forbidden("spec.template.spec.activeDeadlineSeconds", said))
    return problems


def same_selector(new: Object, old: Object) -> Problems:
    """A selector stays as it was made."""
    if new.spec.get("selector") == old.spec.get("selector"):
        return []
    return [invalid("spec.selector", new.spec.get("selector"), "field is immutable")]


# -- numbers and percents --------------------------------------------------------------------------------------------


def portion(field: str, value: Any) -> list[Problem]:
    """A number that is not negative, or a percentage."""
    if isinstance(value, str):
        return [] if re.fullmatch(_PERCENT, value) else [invalid(field, value, _NO_PERCENT)]
    return not_negative(field, value)


def at_most_all(field: str, value: Any) -> list[Problem]:
    """Not more than 100 %."""
    if isinstance(value, str) and re.fullmatch(_PERCENT, value) and int(value[:-1]) > 100:
        return [invalid(field, value, "must not be greater than 100%")]
    return []


def is_nothing(value: Any) -> bool:
    """`0` and `0%`."""
    return int(value[:-1]) == 0 if isinstance(value, str) and re.fullmatch(_PERCENT, value) else value == 0


def resolve(value: Any, total: int, *, up: bool) -> int:
    """How many of `total` `3` or `25%` are, a fraction rounded up or down."""
    if not isinstance(value, str):
        return int(value or 0)
    share = int(value.removesuffix("%")) * total / 100
    return math.ceil(share) if up else math.floor(share)


# -- columns -------------------------------------------------------------------------------------------------------


def template_columns() -> tuple[Column, Column]:
    return (
        printing.wide("Containers", lambda obj: printing.containers(obj.spec.get("template"))[0]),
        printing.wide("Images", lambda obj: printing.containers(obj.spec.get("template"))[1]),
    )


SELECTOR = printing.wide("Selector", lambda obj: selector_text(obj.spec.get("selector")) or printing.NONE)
