"""Which objects are meant: label selectors in text and in JSON, and field selectors.

    app=web,tier!=db          equality            environment in (production, qa), !canary      set-based

Source: Kubernetes documentation, "Labels and Selectors"; metav1.LabelSelector.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from coracle.core.errors import Malformed

Operator = Literal["in", "notin", "exists", "!"]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label.  `notin` and `!` are also true where the label is absent."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def accepts(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements together.  No requirement: everything; `nothing`: nothing at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def accepts(self, labels: Mapping[str, str]) -> bool:
        return not self.nothing and all(need.accepts(labels) for need in self.requirements)


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def matches(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether every wanted label is there: the selector of Services and ReplicationControllers."""
    return all(labels.get(key) == value for key, value in wanted.items())


_TOKEN = re.compile(r"\s*(?:(==|!=|=|,|\(|\)|!)|([^\s,=!()]+))")
_LABEL_KEY = re.compile(r"^(?:[a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
_LABEL_VALUE = re.compile(r"^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")


def parse_selector(text: str) -> Selector:
    """The selector written in `text`; "" is everything.  Raises Malformed."""
    tokens = _tokens(text)
    needs: list[Requirement] = []
    while tokens:
        needs.append(_requirement(tokens, text))
        if tokens and tokens.pop(0) != ",":
            raise Malformed(f"unable to parse requirement: found unexpected text in selector {text!r}")
    return Selector(tuple(needs))


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Malformed(f"unable to parse requirement: found {text[at:]!r}")
        tokens.append(found[1] or found[2])
        at = found.end()
    return tokens


def _requirement(tokens: list[str], text: str) -> Requirement:
    first = tokens.pop(0)
    if first == "!":
        return Requirement(_key(tokens.pop(0) if tokens else ""), "!")
    key = _key(first)
    if not tokens or tokens[0] == ",":
        return Requirement(key, "exists")
    sign = tokens.pop(0)
    if sign in ("=", "==", "!="):
        value = tokens.pop(0) if tokens and tokens[0] not in (",", "(", ")", "=", "==", "!=", "!") else ""
        return Requirement(key, "notin" if sign == "!=" else "in", frozenset((_value(key, value),)))
    if sign in ("in", "notin"):
        return Requirement(key, "in" if sign == "in" else "notin", _values(key, tokens))
    raise Malformed(f"unable to parse requirement: found '{sign}', expected: in, notin, =, ==, !=, in {text!r}")


def _values(key: str, tokens: list[str]) -> frozenset[str]:
    if not tokens or tokens.pop(0) != "(" or ")" not in tokens:
        raise Malformed(f"unable to parse requirement: values of {key!r} must be in parentheses")
    end = tokens.index(")")
    inside, tokens[: end + 1] = tokens[:end], []
    return frozenset(_value(key, word) for word in inside if word != ",") or frozenset(("",))


def _key(text: str) -> str:
    if not _LABEL_KEY.match(text):
        raise Malformed(f"unable to parse requirement: invalid label key {text!r}")
    return text


def _value(key: str, text: str) -> str:
    if not _LABEL_VALUE.match(text):
        said = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"
        raise Malformed(f"unable to parse requirement: values[0][{key}]: Invalid value: {text!r}: {said}")
    return text


def from_label_selector(doc: Mapping[str, Any] | None) -> Selector:
    """A metav1.LabelSelector: absent selects nothing, empty everything.  The document has been validated."""
    if doc is None:
        return NOTHING
    operators: dict[str, Operator] = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    equal = [Requirement(key, "in", frozenset((value,))) for key, value in (doc.get("matchLabels") or {}).items()]
    sets = [
        Requirement(need["key"], operators[need["operator"]], frozenset(need.get("values") or ()))
        for need in doc.get("matchExpressions") or ()
    ]
    return Selector((*equal, *sets))


_WORDS = {"In": "{key} in ({values})", "NotIn": "{key} notin ({values})", "Exists": "{key}", "DoesNotExist": "!{key}"}


def selector_text(doc: Mapping[str, Any] | None) -> str:
    """A metav1.LabelSelector, or a plain map of labels, in the form of `-l`; "" where there is none."""
    doc = doc or {}
    if "matchLabels" not in doc and "matchExpressions" not in doc:
        return ",".join(f"{key}={value}" for key, value in sorted(doc.items()))
    texts = [f"{key}={value}" for key, value in (doc.get("matchLabels") or {}).items()]
    for need in doc.get("matchExpressions") or ():
        values = ",".join(sorted(need.get("values") or ()))
        texts.append(_WORDS[need["operator"]].format(key=need["key"], values=values))
    return ",".join(sorted(texts))


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    path: str
    value: str
    equal: bool = True


def parse_fields(text: str, known: Sequence[str]) -> tuple[FieldRequirement, ...]:
    """`status.phase!=Failed,metadata.name=web`.  Raises Malformed for a path that is not `known`."""
    needs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"([^=!]+?)\s*(==|=|!=)\s*(.*)", part)
        if found is None:
            raise Malformed(f"invalid selector: {part!r}; can't understand {part!r}")
        if found[1] not in known:
            raise Malformed(_unknown(found[1], known))
        needs.append(FieldRequirement(found[1], found[3], found[2] != "!="))
    return tuple(needs)


def _unknown(path: str, known: Sequence[str]) -> str:
    """What is said of kinds that are selected by more than their metadata, and of all others."""
    if any(not one.startswith("metadata.") for one in known):
        return f"field label not supported: {path}"
    listed = ", ".join(f'"{one}"' for one in known)
    return f'"{path}" is not a known field selector: only {listed}'
