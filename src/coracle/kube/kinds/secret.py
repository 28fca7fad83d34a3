"""Secret: small files and values for pods, not for every eye.  `stringData` is for writing only.

Source: Kubernetes v1 API, Secret; printed columns as `kubectl get secrets`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping

from coracle.core.errors import Problem, invalid, required
from coracle.core.kind import Kind, Problems
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.configmap import LARGEST_BYTES, frozen_problems, key_problems
from coracle.kube.kinds.definitions import schema

_DOCKER_JSON = ".dockerconfigjson"
# type -> the keys it must have
_REQUIRED = {
    "kubernetes.io/dockerconfigjson": (_DOCKER_JSON,),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def default(secret: Object) -> Object:
    """`stringData` is folded into `data`."""
    body = {name: value for name, value in secret.body.items() if value is not None}
    plain: Mapping[str, str] = body.pop("stringData", None) or {}
    if plain:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        body["data"] = {**(body.get("data") or {}), **encoded}
    return Object(secret.kind, secret.meta, {"type": "Opaque", **body}, secret.api)


def validate(secret: Object) -> Problems:
    data = secret.body.get("data") or {}
    problems = key_problems("data", data)
    if sum(len(value) * 3 // 4 for value in data.values()) > LARGEST_BYTES:
        problems.append(Problem("data", "too-long", f"Too long: may not be more than {LARGEST_BYTES} bytes"))
    problems += [
        invalid(f"data[{key}]", "<secret contents redacted>", "must be base64")
        for key in data
        if not _decodes(data[key])
    ]
    for key in _REQUIRED.get(secret.body.get("type", ""), ()):
        problems += [] if key in data else [required(f"data[{key}]")]
    if (
        not problems
        and secret.body.get("type") == "kubernetes.io/dockerconfigjson"
        and not _is_json(data[_DOCKER_JSON])
    ):
        problems.append(invalid(f"data[{_DOCKER_JSON}]", "<secret contents redacted>", "invalid character"))
    return problems


def _decodes(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_json(value: str) -> bool:
    try:
        json.loads(base64.b64decode(value))
    except ValueError:
        return False
    return True


def validate_change(new: Object, old: Object, part: str) -> Problems:
    changed = new.body.get("type") != old.body.get("type")
    problems = [invalid("type", new.body.get("type"), "field is immutable")] if changed else []
    return problems + frozen_problems(new, old, ("data",))


KIND = Kind(
    name="Secret",
    plural="secrets",
    singular="secret",
    schema=schema("v1", "Secret"),
    default=default,
    validate=validate,
    validate_change=validate_change,
    fields={"type": lambda secret: str(secret.body.get("type") or "")},
    columns=(
        printing.NAME,
        printing.text("Type", lambda secret: secret.body.get("type", "")),
        printing.number("Data", lambda secret: len(secret.body.get("data") or ())),
        printing.AGE,
    ),
    counts_generations=False,
)
