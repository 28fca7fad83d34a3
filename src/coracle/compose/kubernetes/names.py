"""Names as Kubernetes takes them.

Source: Kubernetes documentation, "Object Names and IDs", "Labels and Selectors".
"""

from __future__ import annotations

import re

from coracle.core.names import name_faults, qualified_faults

_LONGEST = 63
_PORT = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def label(text: str) -> str:
    """`text` as a DNS label: of small letters, digits and inner hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LONGEST].rstrip("-") or "x"


def object_name(text: str) -> str:
    """`text` as the name of a Service and what belongs to it: a label that begins with a letter."""
    found = label(text)
    return found if found[0].isalpha() else f"x-{found}"[:_LONGEST].rstrip("-")


def is_service_name(text: str) -> bool:
    return not name_faults("label-1035", text)


def is_port_name(text: str) -> bool:
    return len(text) <= 15 and bool(_PORT.fullmatch(text))


def is_key(text: str) -> bool:
    """Whether an annotation or label may be called so."""
    return not qualified_faults(text.lower())


def label_value(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:_LONGEST].strip("-_.")


def free(wanted: str, taken: set[str]) -> str:
    """`wanted`, or with a number where that is taken."""
    found, number = wanted, 2
    while found in taken:
        tail = f"-{number}"
        found, number = wanted[: _LONGEST - len(tail)].rstrip("-") + tail, number + 1
    return found
