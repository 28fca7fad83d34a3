"""ConfigMap: small files and values for pods.

Source: Kubernetes v1 API, ConfigMap; printed columns as `kubectl get configmaps`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from coracle.core.errors import Problem, forbidden, invalid
from coracle.core.kind import Kind, Problems
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema

LARGEST_BYTES = 1024 * 1024
_KEY = "[-._a-zA-Z0-9]+"


def key_problems(at: str, keys: Iterable[str]) -> list[Problem]:
    """What is wrong with the keys of a config map or secret: each becomes a file's name."""
    said = (
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',"
        f"  or 'key-name', regex used for validation is '{_KEY}')"
    )
    found = []
    for key in keys:
        if len(key) > 253:
            found.append(invalid(f"{at}[{key}]", key, "must be no more than 253 characters"))
        if not re.fullmatch(_KEY, key):
            found.append(invalid(f"{at}[{key}]", key, said))
        elif key in (".", ".."):
            found.append(invalid(f"{at}[{key}]", key, f"must not be '{key}'"))
        elif key.startswith(".."):
            found.append(invalid(f"{at}[{key}]", key, "must not start with '..'"))
    return found


def decoded_bytes(text: str) -> int:
    """How many bytes a base64 text stands for."""
    return len(text) * 3 // 4 - text[-2:].count("=")


def frozen_problems(new: Object, old: Object, fields: Iterable[str]) -> list[Problem]:
    """What an `immutable` config map or secret does not let happen."""
    if not old.body.get("immutable"):
        return []
    said = "field is immutable when `immutable` is set"
    changed = [name for name in ("immutable", *fields) if new.body.get(name) != old.body.get(name)]
    return [forbidden(name, said) for name in changed]


def validate(config: Object) -> Problems:
    data, binary = config.body.get("data") or {}, config.body.get("binaryData") or {}
    problems = key_problems("data", data) + key_problems("binaryData", binary)
    problems += [
        invalid(f"data[{key}]", key, "duplicate of key present in binaryData") for key in data if key in binary
    ]
    total_bytes = sum(len(value.encode()) for value in data.values()) + sum(
        decoded_bytes(value) for value in binary.values()
    )
    if total_bytes > LARGEST_BYTES:
        problems.append(Problem("", "too-long", f"Too long: may not be more than {LARGEST_BYTES} bytes"))
    return problems


def validate_change(new: Object, old: Object, part: str) -> Problems:
    return frozen_problems(new, old, ("data", "binaryData"))


KIND = Kind(
    name="ConfigMap",
    plural="configmaps",
    singular="configmap",
    short=("cm",),
    schema=schema("v1", "ConfigMap"),
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.number(
            "Data", lambda config: len(config.body.get("data") or ()) + len(config.body.get("binaryData") or ())
        ),
        printing.AGE,
    ),
    counts_generations=False,
)
