"""What names, labels and annotations may look like, in Kubernetes' words.

The rule "record" is for the engine's own records: names as Docker allows them, and labels that are free texts.

Source: Kubernetes documentation, "Object Names and IDs", "Labels and Selectors"; apimachinery's validation messages.
"""

from __future__ import annotations

import ipaddress
import random
import re

from coracle.core.errors import Problem, forbidden, invalid, required, too_long
from coracle.core.object import Object

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"

# rule -> (pattern, longest, what is said)
_RULES = {
    "subdomain": (
        _SUBDOMAIN, 253,
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        f"and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')",
    ),
    "label": (
        _LABEL, 63,
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        f"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')",
    ),
    "label-1035": (
        _LABEL_1035, 63,
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation "
        f"is '{_LABEL_1035}')",
    ),
    "record": (
        "[a-zA-Z0-9][a-zA-Z0-9_.-]*", 255,
        "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    ),
}  # fmt: skip

TOTAL_ANNOTATIONS_BYTES = 256 * 1024


def name_faults(rule: str, value: str) -> list[str]:
    """What is wrong with a name under a rule of `Kind.name_rule`; empty when nothing is."""
    if rule == "address":
        return _address_faults(value)
    if rule == "path":
        if value in (".", ".."):
            return [f"may not be '{value}'"]
        return [f"may not contain '{bad}'" for bad in ("/", "%") if bad in value]
    pattern, longest, said = _RULES[rule]
    faults = [] if re.fullmatch(pattern, value) else [said]
    return faults if len(value) <= longest else [f"must be no more than {longest} bytes", *faults]


def _address_faults(value: str) -> list[str]:
    try:
        text = str(ipaddress.ip_address(value))
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return [] if text == value else [f'must be in canonical form ("{text}")']


def qualified_faults(value: str) -> list[str]:
    """What is wrong with a label or annotation key."""
    prefix, slash, name = value.rpartition("/")
    faults = []
    if slash:
        if not prefix:
            faults.append("prefix part must be non-empty")
        faults += [f"prefix part {fault}" for fault in name_faults("subdomain", prefix)] if prefix else []
    if not name:
        faults.append("name part must be non-empty")
    elif len(name) > 63:
        faults.append("name part must be no more than 63 bytes")
    if not re.fullmatch(_QUALIFIED, name):
        faults.append(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            f"'{_QUALIFIED}')"
        )
    return faults


def label_value_faults(value: str) -> list[str]:
    if len(value) > 63:
        return ["must be no more than 63 bytes"]
    if re.fullmatch(_VALUE, value):
        return []
    return [
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
        "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
        f"validation is '{_VALUE}')"
    ]


def label_problems(labels: object, field: str) -> list[Problem]:
    problems: list[Problem] = []
    for key, value in dict(labels or {}).items():  # type: ignore[call-overload]
        problems += [invalid(field, key, fault) for fault in qualified_faults(key)]
        problems += [invalid(field, value, fault) for fault in label_value_faults(value)]
    return problems


_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")  # without a domain: the API server's own


def meta_problems(obj: Object, rule: str, namespaced: bool) -> list[Problem]:
    """The rules that every object's metadata is held to."""
    meta, problems = obj.meta, []
    if not meta.name:
        problems.append(required("metadata.name", "name or generateName is required"))
    else:
        problems += [invalid("metadata.name", meta.name, fault) for fault in name_faults(rule, meta.name)]
    if namespaced and not meta.namespace:
        problems.append(required("metadata.namespace"))
    if not namespaced and meta.namespace:
        problems.append(forbidden("metadata.namespace", "not allowed on this type"))
    if rule != "record":
        problems += label_problems(meta.labels, "metadata.labels")
    for key in meta.annotations:
        problems += [invalid("metadata.annotations", key, fault) for fault in qualified_faults(key.lower())]
    if sum(len(key) + len(value) for key, value in meta.annotations.items()) > TOTAL_ANNOTATIONS_BYTES:
        problems.append(too_long("metadata.annotations", TOTAL_ANNOTATIONS_BYTES))
    for index, name in enumerate(meta.finalizers):
        problems += [invalid("metadata.finalizers", name, fault) for fault in qualified_faults(name)]
        if "/" not in name and name not in _FINALIZERS:
            said = "name is neither a standard finalizer name nor is it fully qualified"
            problems.append(invalid(f"metadata.finalizers[{index}]", name, said))
    if len([owner for owner in meta.owners if owner.controller]) > 1:
        shown = [owner.to_json() for owner in meta.owners]
        said = "Only one reference can have Controller set to true"
        problems.append(invalid("metadata.ownerReferences", shown, said))
    return problems


_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: no words by accident (apimachinery's rand)


def generated(prefix: str) -> str:
    """`prefix` and five random characters, as the API server completes generateName."""
    return prefix[:58] + "".join(random.choices(_SUFFIX, k=5))  # noqa: S311 - a name, not a secret
