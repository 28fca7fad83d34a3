"""YAML as Compose reads it, with a line number for every value.

Scalars follow YAML 1.2, as in Compose: `on` and `22:22` are text, `0440` is octal, keys are text, a key may stand once.
Anchors, merge keys (`<<`) and several documents in one file are understood; of tags, YAML's own and Compose's `!reset`
(take away what earlier files said) and `!override` (replace it instead of merging).  A file may hold `LIMIT_VALUES`
values after its anchors are written out, nested `LIMIT_DEPTH` deep, so that a small file cannot ask for all memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from coracle.compose.files import LIMIT_BYTES
from coracle.compose.places import Path, Place, Places, dotted
from coracle.core.errors import Malformed

LIMIT_VALUES = 200_000
LIMIT_DEPTH = 100

_PLAIN = "plain"
_TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "<<": "<<"} | {
    text: value for word, value in (("true", True), ("false", False)) for text in (word, word.title(), word.upper())
}


@dataclass
class Document:
    """One YAML document: the plain value, where its parts stand, and the paths tagged `!reset` and `!override`."""

    value: Any
    places: Places
    resets: set[Path] = field(default_factory=set)
    overrides: set[Path] = field(default_factory=set)


class _Nodes(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # which of the two, is known at run time
    """Composes nodes; leaves it to us what a plain scalar is."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return super().resolve(kind, value, implicit)


def read(text: str, file: str) -> list[Document]:
    """The documents of a file named `file`.  Raises Malformed with file and line."""
    if len(text) > LIMIT_BYTES:
        raise Malformed(f"{file}: the file is larger than {LIMIT_BYTES >> 20} MiB")
    loader = _Nodes(text)
    documents = []
    try:
        while loader.check_node():
            documents.append(_Reader(file).document(loader.get_node()))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise Malformed(f"{file}:{line}: yaml: line {line}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise Malformed(f"{file}: yaml: {error}") from error
    except RecursionError as error:
        raise Malformed(f"{file}: yaml: nested too deeply") from error
    finally:
        loader.dispose()
    return documents


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.found = Document(None, Places())
        self.values = 0
        self.open: list[int] = []

    def document(self, node: yaml.Node) -> Document:
        self.found.value = self._value(node, ())
        return self.found

    def _fault(self, node: yaml.Node, message: str) -> Malformed:
        return Malformed(f"{self.file}:{node.start_mark.line + 1}: {message}")

    def _value(self, node: yaml.Node, path: Path) -> Any:
        self.values += 1
        if self.values > LIMIT_VALUES:
            raise self._fault(node, f"more than {LIMIT_VALUES} values, anchors written out")
        if id(node) in self.open:
            raise self._fault(node, "anchor contains itself")
        if len(self.open) >= LIMIT_DEPTH:
            raise self._fault(node, f"nested more than {LIMIT_DEPTH} deep")
        self.found.places.known.setdefault(path, Place(self.file, node.start_mark.line + 1))
        self._note_tag(node, path)
        self.open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, (*path, at)) for at, item in enumerate(node.value)]
            assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - there is no fourth kind
            return self._scalar(node)
        finally:
            self.open.pop()

    def _note_tag(self, node: yaml.Node, path: Path) -> None:
        if node.tag == "!reset":
            self.found.resets.add(path)
        elif node.tag == "!override":
            self.found.overrides.add(path)
        elif node.tag != _PLAIN and not node.tag.startswith(_TAG):
            raise self._fault(node, f"unknown tag {node.tag}")

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        merged: list[yaml.Node] = []
        first: dict[str, int] = {}
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            line = key_node.start_mark.line + 1
            if key == "<<" and key_node.tag == _PLAIN:
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                continue
            if key in first:
                raise self._fault(key_node, f'line {line}: mapping key "{key}" already defined at line {first[key]}')
            first[key] = line
            self.found.places.known[(*path, key)] = Place(self.file, line)
            result[key] = self._value(value_node, (*path, key))
        for other in merged:
            if not isinstance(other, yaml.MappingNode):
                raise self._fault(other, "map merge requires map or sequence of maps as the value")
            result = {**self._borrowed(other, path, result), **result}
        return result

    def _borrowed(self, node: yaml.MappingNode, path: Path, own: dict[str, Any]) -> dict[str, Any]:
        """What a merge key brings, but for keys that are there already; its places are those of the anchor."""
        kept = [
            (key, value) for key, value in node.value if not (isinstance(key, yaml.ScalarNode) and key.value in own)
        ]
        self.values += 1
        if id(node) in self.open or len(self.open) >= LIMIT_DEPTH:
            raise self._fault(node, "anchor contains itself")
        self.open.append(id(node))
        try:
            return self._mapping(yaml.MappingNode(node.tag, kept, node.start_mark, node.end_mark), path)
        finally:
            self.open.pop()

    def _key(self, node: yaml.Node, path: Path) -> str:
        value = self._scalar(node) if isinstance(node, yaml.ScalarNode) else node
        if not isinstance(value, str):
            where = f"in {dotted(path)}" if path else "at top level"
            said = node.value if isinstance(node, yaml.ScalarNode) else "a collection"
            raise self._fault(node, f"non-string key {where}: {said}")
        return value

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        if node.tag == _TAG + "str" or node.style in ("'", '"', "|", ">"):
            return text
        return plain_value(text)


def plain_value(text: str) -> Any:
    """A plain scalar's value: null, boolean, integer (also octal `017` and `0o17`, hex, binary), float or text."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    digits = text.replace("_", "")
    sign, body = (digits[0], digits[1:]) if digits[:1] in ("+", "-") else ("", digits)
    if re.fullmatch(r"0[0-7]+", body):
        body = "0o" + body[1:]
    if re.fullmatch(r"0|[1-9][0-9]*|0o[0-7]+|0x[0-9a-fA-F]+|0b[01]+", body) and len(body) <= 20:
        return int(sign + body, 0)
    if _FLOAT.fullmatch(digits):
        return float(digits)
    if body.lower() in (".inf", ".nan"):
        return float(sign + body[1:])
    return text
