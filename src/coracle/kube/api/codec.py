"""Bodies of requests into Objects: JSON or YAML, checked against the kind's schema as strictly as the client asks.

Source: Kubernetes API concepts, "Field validation"; apiserver's create and update handlers for the messages.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from coracle.core.errors import Invalid, Malformed, Unsupported, invalid, not_supported
from coracle.core.kind import Kind
from coracle.core.object import Json, Object, type_of
from coracle.core.schema import Schema
from coracle.kube.api.protobuf import parse_protobuf
from coracle.web.messages import Request

PROTOBUF = "application/vnd.kubernetes.protobuf"
DEEPEST = 200  # orjson writes 254 levels
ALIASES = 10  # of YAML: what they stand for is written out, and they can stand for each other
_SHOWN = 30  # bytes of a body that cannot be read
STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"


@dataclass(slots=True)
class Decoded:
    """A document that was sent, and what the client is to be warned about."""

    obj: Object
    warnings: list[str] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return warning_headers(self.warnings)


def warning_headers(warnings: list[str]) -> dict[str, str]:
    """`Warning: 299 - "unknown field \\"spec.colour\\""`; several in one header, which clients split."""
    quoted = ['299 - "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in warnings]
    return {"Warning": ", ".join(quoted)} if quoted else {}


def read_document(request: Request) -> Any:
    """The body as JSON, YAML or Protobuf says it.  Raises Unsupported (415), Malformed."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media in ("", "application/json", "text/plain", "application/x-www-form-urlencoded"):
        return parse_json(request.body)
    if media in ("application/yaml", "text/yaml", "application/x-yaml"):
        return parse_yaml(request.body)
    if media == PROTOBUF:
        return parse_protobuf(request.body)
    said = "the body of the request was in an unknown format - accepted media types include: "
    raise Unsupported(said + f"application/json, application/yaml, {PROTOBUF}", status=415)


def parse_json(raw: bytes) -> Any:
    try:
        doc = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        said = "unexpected end of JSON input" if not raw.strip() else str(error)
        raise Malformed(f"couldn't get version/kind; json parse error: {said}") from error
    check_depth(raw, doc)
    return doc


def check_depth(raw: bytes, doc: Any) -> None:
    """Raises Malformed for a document nested so deeply that it could not be written again."""
    if raw.count(b"{") + raw.count(b"[") < DEEPEST:
        return
    level = [doc]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise Malformed(f"the document is nested more than {DEEPEST} levels deep")


def parse_yaml(raw: bytes) -> Any:
    import yaml  # slow to load, and kubectl sends JSON

    try:
        aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(raw, Loader=yaml.CSafeLoader))
        if aliases > ALIASES:
            raise Malformed(f"the document has more than {ALIASES} aliases")
        text = json.dumps(yaml.load(raw, Loader=yaml.CSafeLoader), default=str).encode()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Malformed(f"couldn't get version/kind; yaml parse error: {error}") from error
    return parse_json(text)


def field_validation(request: Request, options: str) -> str:
    """What to do about unknown and duplicate fields.  `options` names the query's type in messages."""
    asked = request.query.get("fieldValidation", WARN) or WARN
    if asked not in (STRICT, WARN, IGNORE):
        problem = not_supported("fieldValidation", asked, (STRICT, WARN, IGNORE))
        raise Invalid((problem,), kind=f"{options}.meta.k8s.io")
    return asked


def _beginning(body: bytes) -> str:
    """By which a client recognises what it sent: as text where it looks like JSON, else in hexadecimal."""
    shown = body[:_SHOWN].decode(errors="replace") if body[:1] == b"{" else body[:_SHOWN].hex()
    return (shown or "<empty>") + (" ..." if len(body) > _SHOWN else "")


_WORDS = {"type": "", "status": ""}


def decode(request: Request, kind: Kind, options: str = "CreateOptions") -> Decoded:
    """The object in the body, which must be of `kind`.  Raises Malformed, Unsupported, Invalid."""
    validation = field_validation(request, options)
    try:
        doc = read_document(request)
    except Malformed as error:
        said = f"the object provided is unrecognized (must be of type {kind.name}): {error.message}"
        raise Malformed(f"{said} ({_beginning(request.body)})") from error
    _check_type(doc, kind)
    is_text = PROTOBUF not in request.headers.get("content-type", "")
    repeated = duplicates(request.body, doc) if validation != IGNORE and is_text else []
    return to_object(doc, kind, validation, repeated)


def to_object(doc: Any, kind: Kind, validation: str = IGNORE, repeated: list[str] | None = None) -> Decoded:
    """A document of `kind` as an Object: types checked, unknown fields refused, warned of or dropped."""
    doc = {**doc, "apiVersion": kind.api, "kind": kind.name}
    strict: list[str] = []
    if isinstance(kind.schema, Schema):
        problems = kind.schema.check(doc)
        if problems:
            raise Malformed(_cannot(kind, problems[0].text))
        strict = [f'unknown field "{path}"' for path in kind.schema.unknown(doc)] if validation != IGNORE else []
        doc = kind.schema.clean(doc)
    strict += [f'duplicate field "{path}"' for path in repeated or ()]
    if strict and validation == STRICT:
        raise Malformed(_cannot(kind, f"strict decoding error: {', '.join(strict)}"))
    return Decoded(_object(_with_conditions(doc)), strict if validation == WARN else [])


def _with_conditions(doc: Json) -> Json:
    """Every condition has a type and a status, as in Kubernetes, if empty ones: whoever reads them relies on it."""
    status = doc.get("status")
    if not isinstance(status, dict):
        return doc
    given = status.get("conditions")
    if not isinstance(given, list) or all(not isinstance(one, dict) or _WORDS.keys() <= one.keys() for one in given):
        return doc
    conditions = [{**_WORDS, **one} if isinstance(one, dict) else one for one in given]
    return {**doc, "status": {**status, "conditions": conditions}}


def _object(doc: Any) -> Object:
    version = (doc.get("metadata") or {}).get("resourceVersion") or "0"
    if not re.fullmatch("[0-9]{1,19}", version):
        problem = invalid(
            "metadata.resourceVersion", version, f'strconv.ParseUint: parsing "{version}": invalid syntax'
        )
        raise Invalid(
            (problem,), kind=type_of(doc["apiVersion"], doc["kind"]), name=(doc.get("metadata") or {}).get("name") or ""
        )
    _check_owners(doc)
    return Object.from_json(doc)


def _check_owners(doc: Any) -> None:
    """Our Owner has all four names, so they are looked for before there is one."""
    meta = doc.get("metadata") or {}
    problems = [
        invalid(
            f"metadata.ownerReferences.{name}",
            "",
            "version must not be empty" if name == "apiVersion" else "must not be empty",
        )
        for owner in meta.get("ownerReferences") or ()
        for name in ("apiVersion", "kind", "name", "uid")
        if not owner.get(name)
    ]
    if problems:
        raise Invalid(problems, kind=type_of(doc["apiVersion"], doc["kind"]), name=meta.get("name") or "")


def _cannot(kind: Kind, said: str) -> str:
    return f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: {said}'


def _check_type(doc: Any, kind: Kind) -> None:
    if not isinstance(doc, dict):
        said = "couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct"
        raise Malformed(f"the object provided is unrecognized (must be of type {kind.name}): {said}")
    api, name = doc.get("apiVersion") or kind.api, doc.get("kind") or kind.name
    if api != kind.api:
        raise Malformed(f"the API version in the data ({api}) does not match the expected API version ({kind.api})")
    if name != kind.name:
        said = f'{name} in version "{kind.version}" cannot be handled as a {kind.name}'
        raise Malformed(f"{said}: the kind in the data does not match the kind of this resource")


# -- duplicate fields --------------------------------------------------------------------------------------------


def duplicates(raw: bytes, doc: Any) -> list[str]:
    """The paths of fields that the JSON text `raw` of `doc` has more than once.

    A parser keeps the last of two equal keys and says nothing, so the keys are counted first: as many `":` in the text
    as keys in the document, and none of them written apart, means that no key was lost.
    """
    if raw.count(b'":') - raw.count(b'\\":') == _keys(doc) and not re.search(rb'"\s+:', raw):
        return []
    try:
        pairs = json.loads(raw, object_pairs_hook=_Pairs)
    except ValueError:
        return []  # YAML: its parser has the last word
    found: list[str] = []
    _collect(pairs, "", found)
    return found


def _keys(doc: Any) -> int:
    found, waiting = 0, [doc]
    while waiting:
        value = waiting.pop()
        if type(value) is dict:
            found += len(value)
            waiting.extend(value.values())
        elif type(value) is list:
            waiting.extend(value)
    return found


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with every key it was written with."""


def _collect(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, item in value:
            where = f"{path}.{name}" if path else name
            if name in seen and where not in found:
                found.append(where)
            seen.add(name)
            _collect(item, where, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, f"{path}[{index}]", found)
