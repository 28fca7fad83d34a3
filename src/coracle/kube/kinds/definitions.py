"""Kubernetes' own types as Schemas, made when they are first needed.

`definitions.jsonl` and `openapi.jsonl.gz` are written by scripts/kube_schema.py, which says what is in them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Any

import orjson

from coracle.core.schema import ANY, Schema
from coracle.kube.kinds.zeros import omitted

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_ELSEWHERE = {
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
    "meta.k8s.io": "io.k8s.apimachinery.pkg.apis.meta",
}


def name_of(api: str, kind: str) -> str:
    """`io.k8s.api.apps.v1.Deployment` for ("apps/v1", "Deployment")."""
    group, _, version = api.rpartition("/")
    package = _ELSEWHERE.get(group) or "io.k8s.api." + (group.partition(".")[0] or "core")
    return f"{package}.{version}.{kind}"


def schema(api: str, kind: str) -> Schema:
    """The type of a kind, with apiVersion, kind and metadata.  Raises KeyError where Kubernetes has none such."""
    return named(name_of(api, kind))


def is_listed(api: str, kind: str) -> bool:
    """Whether there are lists of the kind: reviews are answered and not kept."""
    return name_of(api, kind + "List") in _lines()


def schema_of_meta(kind: str) -> Schema:
    """A type of metav1: `ObjectMeta`, `DeleteOptions`."""
    return named(META + kind)


@cache
def named(name: str) -> Schema:
    """The type with this name in the OpenAPI documents.  Raises KeyError."""
    line = orjson.loads(_lines()[name])
    go = ".".join(name.split(".")[-2:])
    if "t" in line:
        return _parse(line["t"], go)
    properties, required = line.get("p", {}), line.get("r", ())
    return Schema(
        "object",
        go,
        fields=lambda: {p: _property(text) for p, text in properties.items()},
        required=required,
        omitted=omitted(name, properties, required),
    )


def published(names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """(name, OpenAPI v3 schema as JSON) of these types and of all they are made of, by name."""
    wanted = closure(names)
    with (resources.files(__package__) / "openapi.jsonl.gz").open("rb") as packed, gzip.open(packed) as lines:
        for line in lines:
            name, _, text = line.rstrip(b"\n").partition(b"\t")
            if name.decode() in wanted:
                yield name.decode(), text


def closure(names: Iterable[str]) -> set[str]:
    """These types and all they are made of."""
    wanted, found = list(names), set[str]()
    while wanted:
        name = wanted.pop()
        if name in found or name not in _lines():
            continue
        found.add(name)
        line = _lines()[name]
        wanted += [part.partition(b'"')[0].decode() for part in line.split(b"@")[1:]]
        wanted += [META + special for special, mark in _SPECIAL.items() if mark in line]
        wanted += [full for full, mark in _OTHERS.items() if mark in line]
    return found


# Types that definitions.jsonl writes by a short word, and how to see that a line uses them.
_SPECIAL = {"Time": b'time"', "MicroTime": b'microtime"'}
_OTHERS = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": b'quantity"',
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": b'int-or-string"',
}


@cache
def _lines() -> dict[str, bytes]:
    """The lines of definitions.jsonl by name: 140 kB, unparsed."""
    text = (resources.files(__package__) / "definitions.jsonl").read_bytes()
    return {line.split(b'"', 4)[3].decode(): line for line in text.splitlines()}


def _property(text: str | list[Any]) -> Schema:
    if isinstance(text, str):
        return _parse(text)
    plain, more = text
    strategy = frozenset(filter(None, more.get("strategy", "").split(",")))
    if plain.startswith("[]"):
        items = _parse(plain[2:])
        return Schema(
            "array",
            f"[]{items.go}",
            items=items,
            merge_key=more.get("key", ""),
            strategy=strategy,
            list_keys=tuple(more.get("keys", ())),
        )
    return _parse(plain).with_strategy(strategy) if strategy else _parse(plain)


_GO = {"bytes": "[]uint8", "object": "map[string]interface {}"}


@cache
def _parse(text: str, go: str = "") -> Schema:
    """Equal texts share one Schema, except arrays that merge."""
    if text.startswith("@"):
        return named(text[1:])
    if text.startswith("[]"):
        items = _parse(text[2:])
        return Schema("array", f"[]{items.go}", items=items)
    if text.startswith("{}"):
        items = _parse(text[2:])
        return Schema("map", f"map[string]{items.go}", items=items)
    if text == "object":
        return Schema("map", go or _GO["object"], items=ANY)
    if text == "any":
        return ANY
    return Schema(text, _GO.get(text, text))


@cache
def fingerprint() -> str:
    """Differs where the types differ."""
    return hashlib.sha256(b"\n".join(_lines().values())).hexdigest()
