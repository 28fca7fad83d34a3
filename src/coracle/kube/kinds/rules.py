"""Rules that several kinds share, each giving the problems of one field, in Kubernetes' words.

Source: Kubernetes documentation of the fields; the messages of apimachinery's validation.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from coracle.core.errors import Problem, duplicate, invalid, not_supported, required
from coracle.core.names import label_problems, label_value_faults, name_faults, qualified_faults
from coracle.core.quantity import parse

NOT_NEGATIVE = "must be greater than or equal to 0"
PORT_NUMBER = "must be between 1 and 65535, inclusive"
LARGEST_INT32 = 2**31 - 1


def named(rule: str, field: str, value: str | None) -> list[Problem]:
    """A required name under a rule of `Kind.name_rule`."""
    if not value:
        return [required(field)]
    return [invalid(field, value, fault) for fault in name_faults(rule, value)]


def optional_name(rule: str, field: str, value: str | None) -> list[Problem]:
    return named(rule, field, value) if value else []


def one_of(field: str, value: Any, choices: Sequence[str]) -> list[Problem]:
    """A required word out of several."""
    if not value:
        return [required(field)]
    return [] if value in choices else [unsupported(field, value, choices)]


def unsupported(field: str, value: Any, choices: Sequence[str]) -> Problem:
    """As `core.errors.not_supported`, in the order of `choices`, which is Kubernetes' own for each field."""
    listed = ", ".join(f'"{choice}"' for choice in choices)
    problem = not_supported(field, value, ())
    return Problem(field, problem.reason, problem.text + listed)


def not_negative(field: str, value: int | None) -> list[Problem]:
    return [invalid(field, value, NOT_NEGATIVE)] if value is not None and value < 0 else []


def port_number(field: str, value: int) -> list[Problem]:
    return [] if 1 <= value <= 65535 else [invalid(field, value, PORT_NUMBER)]


def port(field: str, value: int | str | None) -> list[Problem]:
    """A port by number or by name (`80`, `http`)."""
    if isinstance(value, str):
        return [invalid(field, value, fault) for fault in port_name_faults(value)]
    return port_number(field, value or 0)


def port_name_faults(value: str) -> list[str]:
    """What is wrong with an IANA service name."""
    rules = (
        (len(value) <= 15, "must be no more than 15 characters"),
        (re.fullmatch("[-a-z0-9]+", value), "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
        (re.search("[a-z]", value), "must contain at least one letter (a-z)"),
        ("--" not in value, "must not contain consecutive hyphens"),
        (not value.startswith("-") and not value.endswith("-"), "must not begin or end with a hyphen"),
    )
    return [said for kept, said in rules if not kept]


def address(field: str, value: str) -> list[Problem]:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return [invalid(field, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
    return []


def unique(field: Callable[[int], str], values: Iterable[Any]) -> list[Problem]:
    """Every value once; blank ones do not count.  `field` gives the path of the value with that index."""
    seen: set[Any] = set()
    problems = []
    for index, value in enumerate(values):
        if value and value in seen:
            problems.append(duplicate(field(index), value))
        seen.add(value)
    return problems


def quantity(field: str, value: Any) -> list[Problem]:
    """An amount that is not negative."""
    try:
        amount = parse(value)
    except ValueError as error:
        return [invalid(field, value, str(error))]
    return [invalid(field, str(amount), NOT_NEGATIVE)] if amount.nano < 0 else []


_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")


def label_selector(field: str, selector: Mapping[str, Any] | None) -> list[Problem]:
    """A metav1.LabelSelector."""
    if not selector:
        return []
    problems = label_problems(selector.get("matchLabels"), f"{field}.matchLabels")
    for index, need in enumerate(selector.get("matchExpressions") or ()):
        problems += _expression(f"{field}.matchExpressions[{index}]", need)
    return problems


def _expression(at: str, need: Mapping[str, Any]) -> list[Problem]:
    operator, values = need.get("operator"), need.get("values") or ()
    problems = []
    if operator in ("In", "NotIn") and not values:
        problems.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist") and values:
        said = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        problems.append(Problem(f"{at}.values", "forbidden", f"Forbidden: {said}"))
    elif operator not in _OPERATORS:
        problems.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
    problems += [invalid(f"{at}.key", need.get("key", ""), fault) for fault in qualified_faults(need.get("key") or "")]
    for index, value in enumerate(values):
        problems += [invalid(f"{at}.values[{index}]", value, fault) for fault in label_value_faults(value)]
    return problems
