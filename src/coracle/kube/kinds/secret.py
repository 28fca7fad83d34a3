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
from coracle.kube.kinds.configmap import LARGEST_BYTES, decoded_bytes, frozen_problems, key_problems
from coracle.kube.kinds.definitions import schema

_DOCKER_JSON = ".dockerconfigjson"
_ACCOUNT = "kubernetes.io/service-account.name"
# type -> the keys it must have
_REQUIRED = {
    "kubernetes.io/dockerconfigjson": (_DOCKER_JSON,),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_JSON_IN = {"kubernetes.io/dockerconfigjson": _DOCKER_JSON, "kubernetes.io/dockercfg": ".dockercfg"}
_HIDDEN = "<secret contents redacted>"


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
    if sum(decoded_bytes(value) for value in data.values()) > LARGEST_BYTES:
        problems.append(Problem("data", "too-long", f"Too long: may not be more than {LARGEST_BYTES} bytes"))
    problems += [invalid(f"data[{key}]", _HIDDEN, "must be base64") for key in data if not _decodes(data[key])]
    decodes = all(_decodes(value) for value in data.values())
    return problems + (_of_type(secret, data) if decodes else [])


def _of_type(secret: Object, data: Mapping[str, str]) -> Problems:
    """What secrets of its type must have."""
    type = secret.body.get("type", "")
    found = [required(f"data[{key}]") for key in _REQUIRED.get(type, ()) if key not in data]
    if type == "kubernetes.io/ssh-auth" and data.get("ssh-privatekey") == "":
        found.append(required("data[ssh-privatekey]"))
    if type == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        found += [required("data[username]"), required("data[password]")]
    if type == "kubernetes.io/service-account-token" and not secret.meta.annotations.get(_ACCOUNT):
        found.append(required(f"metadata.annotations[{_ACCOUNT}]"))
    key = _JSON_IN.get(type, "")
    if not found and key and (fault := _json_fault(data[key])):
        found.append(invalid(f"data[{key}]", _HIDDEN, fault))
    return found


def _decodes(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _json_fault(value: str) -> str:
    """What is wrong with JSON in base64, as the API's own reader says it; "": nothing."""
    text = base64.b64decode(value)
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc):
            return "unexpected end of JSON input"
        return f"invalid character {error.doc[error.pos]!r} looking for beginning of value"
    except UnicodeDecodeError:
        return "invalid UTF-8"
    return ""


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
