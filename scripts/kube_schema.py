#!/usr/bin/env python3
"""Make the API descriptions that Coracle ships, from those that kubernetes-validate has.

    scripts/kube_schema.py          writes src/coracle/kube/kinds/{definitions.jsonl,openapi.jsonl.gz}

definitions.jsonl    a line per type, without descriptions; read by kube/kinds/definitions.py, a line when it is needed
                     {"n": name, "k": [[group, version, kind], ...], "r": [required], "p": {property: type}}
                     type: a text, or [text, {"key": patch merge key, "strategy": patch strategies,
                           "keys": list map keys, "list": list type}]
                     text: string int32 int64 float64 bool bytes time microtime quantity int-or-string any object
                           @name []text {}text
openapi.jsonl.gz     `name TAB schema` a line, as OpenAPI v3 has it; joined as it is into /openapi/v3 documents

Source: kubernetes-validate 1.37, `_definitions.json` (the swagger of Kubernetes, with null added to optional types).
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate

VERSION = "v1.37.0-local"
GROUPS = {
    "", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps",
    "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch",
    "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io",
    "events.k8s.io", "flowcontrol.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy",
    "rbac.authorization.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
}  # fmt: skip
VERSIONS = {"v1", "v2"}
OUT = Path(__file__).parent.parent / "src/coracle/kube/kinds"
REF = "#/$defs/"
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "microtime",
}
FORMATS = {"double": "float64", "byte": "bytes", "int32": "int32", "int64": "int64"}
TYPES = {"boolean": "bool", "integer": "int64", "number": "float64"}
X = "x-kubernetes-"


def read() -> dict[str, Any]:
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / VERSION
    defs: dict[str, Any] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return defs


def plain(node: Any) -> Any:
    """The schema without the nulls that were added to it."""
    if isinstance(node, list):
        return [plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: plain(value) for name, value in node.items()}
    if isinstance(node.get("type"), list):
        node["type"] = next(t for t in node["type"] if t != "null")
    return node


def kinds(schema: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(k["group"], k["version"], k["kind"]) for k in schema.get(X + "group-version-kind", ())]


def refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):  # JSONSchemaProps has a property of this name
            yield node["$ref"].removeprefix(REF)
        for value in node.values():
            yield from refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from refs(value)


def closure(defs: dict[str, Any]) -> list[str]:
    """The types of the groups we may serve, and all that they are made of."""
    wanted = [n for n, s in defs.items() if any(g in GROUPS and v in VERSIONS for g, v, _ in kinds(s))]
    wanted += [n for n in defs if n.startswith("io.k8s.apimachinery.pkg.apis.meta.v1.")]
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            wanted += refs(defs[name])
    return sorted(found)


def text(schema: dict[str, Any]) -> str:
    """The type of a property, as definitions.jsonl writes it."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REF)
        return SPECIAL.get(name, "@" + name)
    kind = schema.get("type")
    if kind == "array":
        return "[]" + text(schema["items"])
    if kind == "object":
        return "{}" + text(schema["additionalProperties"]) if "additionalProperties" in schema else "object"
    return FORMATS.get(schema.get("format", ""), TYPES.get(kind or "any", kind or "any"))


def entry(schema: dict[str, Any]) -> Any:
    names = (
        ("key", "patch-merge-key"),
        ("strategy", "patch-strategy"),
        ("keys", "list-map-keys"),
        ("list", "list-type"),
    )
    more = {ours: schema[X + theirs] for ours, theirs in names if X + theirs in schema}
    return [text(schema), more] if more else text(schema)


def compact(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = {"n": name}
    if kinds(schema):
        line["k"] = [k for k in kinds(schema) if k[0] in GROUPS]
    if schema.get("required"):
        line["r"] = schema["required"]
    if "properties" in schema:
        line["p"] = {prop: entry(sub) for prop, sub in schema["properties"].items()}
    elif name not in SPECIAL:
        line["t"] = text(schema)
    return line


def published(node: Any) -> Any:
    """The schema as /openapi/v3 has it: references to components, beside a description only inside `allOf`."""
    if isinstance(node, list):
        return [published(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: published(value) for name, value in node.items() if not (name == "enum" and isinstance(value, list))}
    if isinstance(node.get("$ref"), str):
        ref = {"$ref": "#/components/schemas/" + node.pop("$ref").removeprefix(REF)}
        return {"allOf": [ref], **node} if node else ref
    return node


def publish(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    schema = published(schema)
    if SPECIAL.get(name) == "int-or-string":
        schema["format"] = "int-or-string"
        schema["oneOf"] = [{"type": "integer"}, {"type": "string"}]
    if X + "group-version-kind" in schema:
        schema[X + "group-version-kind"] = [k for k in schema[X + "group-version-kind"] if k["group"] in GROUPS]
    return schema


def main() -> None:
    defs = {name: plain(schema) for name, schema in read().items()}
    names = closure(defs)
    lines = [json.dumps(compact(name, defs[name]), separators=(",", ":")) for name in names]
    (OUT / "definitions.jsonl").write_text("\n".join(lines) + "\n")
    full = [f"{name}\t{json.dumps(publish(name, defs[name]), separators=(',', ':'))}" for name in names]
    # mtime 0: the same input makes the same file
    (OUT / "openapi.jsonl.gz").write_bytes(gzip.compress(("\n".join(full) + "\n").encode(), 9, mtime=0))
    print(f"{len(names)} types of Kubernetes {re.sub('-local', '', VERSION)}")


if __name__ == "__main__":
    main()
