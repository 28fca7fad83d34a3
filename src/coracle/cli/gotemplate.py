"""Templates as Docker's `--format` takes them, the part of Go's text/template that is about showing things.

    {{.Name}}  {{json .Labels}}  {{.Label "tier"}}  {{range .Publishers}}{{.URL}} {{end}}
    {{if eq .State "running"}}up{{else}}down{{end}}

A value is text, a number, a truth value, a list, a dict (whose keys are fields), or a function (a method, as `.Label`).
What is not understood is an error that says so.

Source: Go's documentation of text/template; Docker's "Format command and log output".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class Struct(dict[str, Any]):
    """A dict that is shown as Go shows a struct: `{0.0.0.0 80}`."""


class TemplateError(Exception):
    """A template that cannot be read, or asks for what there is not."""


_PIECE = re.compile(r"\{\{(- )?(.*?)( -)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?)|(?P<field>(?:\$|\.)?(?:\.?\w+)(?:\.\w+)*'
    r"|\$|\.)|(?P<sign>[|()]))"
)
_STATEMENTS = ("if", "range", "with", "else", "end")


@dataclass
class _Block:
    """`if`, `range` or `with`, and what stands in it; `otherwise` after its `else`."""

    word: str
    condition: str
    body: list[Any] = field(default_factory=list)
    otherwise: list[Any] = field(default_factory=list)


class Template:
    """Raises TemplateError for what it cannot read."""

    def __init__(self, text: str) -> None:
        self._parts = _parsed(text)

    def fields(self) -> Iterator[str]:
        """The fields of the outermost value that it asks for, in order."""
        yield from _fields(self._parts)

    def render(self, value: Mapping[str, Any]) -> str:
        return "".join(_rendered(self._parts, value, value))


# -- reading -----------------------------------------------------------------------------------------------------------


def _parsed(text: str) -> list[Any]:
    """Text as it is, `("say", pipeline)`, and blocks."""
    outermost: list[Any] = []
    open_blocks: list[tuple[_Block, list[Any]]] = []
    current = outermost
    for piece in _pieces(text):
        if isinstance(piece, str):
            current.append(piece)
            continue
        word, _, rest = piece[1].partition(" ")
        if word not in _STATEMENTS:
            list(_tokens(piece[1]))
            current.append(piece)
        elif word in ("end", "else"):
            current = _closed(word, rest.strip(), open_blocks)
        else:
            block = _Block(word, rest.strip())
            current.append(block)
            open_blocks.append((block, current))
            current = block.body
    if open_blocks:
        raise TemplateError("unexpected EOF")
    return outermost


def _closed(word: str, rest: str, open_blocks: list[tuple[_Block, list[Any]]]) -> list[Any]:
    """Where what follows `else` or `end` goes."""
    if not open_blocks:
        raise TemplateError(f"unexpected {{{{{word}}}}}")
    block, outside = open_blocks[-1]
    if word == "end":
        open_blocks.pop()
        while block.word == "else if":
            block, outside = open_blocks.pop()
        return outside
    if not rest:
        return block.otherwise
    if not rest.startswith("if "):
        raise TemplateError(f"unexpected <{rest}> in else")
    inner = _Block("else if", rest.removeprefix("if ").strip())
    block.otherwise.append(inner)
    open_blocks.append((inner, outside))
    return inner.body


def _pieces(text: str) -> Iterator[str | tuple[str, str]]:
    at, trim = 0, False
    for found in _PIECE.finditer(text):
        before = text[at : found.start()]
        before = before.lstrip() if trim else before
        yield before.rstrip() if found[1] else before
        said = found[2].strip()
        if not said:
            raise TemplateError("missing value for command")
        if not said.startswith("/*"):
            yield "say", said
        at, trim = found.end(), bool(found[3])
    rest = text[at:].lstrip() if trim else text[at:]
    if "{{" in rest:
        raise TemplateError("unclosed action")
    yield rest


def _tokens(said: str) -> Iterator[tuple[str, str]]:
    at = 0
    said = said.strip()
    while at < len(said):
        found = _TOKEN.match(said, at)
        if not found or found.end() == at:
            raise TemplateError(f"unexpected {said[at:][:20]!r} in command")
        yield str(found.lastgroup), found[0].strip()
        at = found.end()


def _fields(parts: Sequence[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, _Block):
            yield from _named(part.condition)
            yield from _fields([*part.body, *part.otherwise])
        elif isinstance(part, tuple):
            yield from _named(part[1])


def _named(said: str) -> Iterator[str]:
    for kind, text in _tokens(said):
        if kind == "field" and text.startswith(".") and len(text) > 1:
            yield text.split(".")[1]


# -- showing -----------------------------------------------------------------------------------------------------------


def _rendered(parts: Sequence[Any], dot: Any, root: Any) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, tuple):
            yield shown(_pipeline(part[1], dot, root))
        else:
            yield from _block(part, dot, root)


def _block(block: _Block, dot: Any, root: Any) -> Iterator[str]:
    value = _pipeline(block.condition, dot, root)
    if not value:
        yield from _rendered(block.otherwise, dot, root)
    elif block.word == "range":
        for each in value.values() if isinstance(value, dict) else value:
            yield from _rendered(block.body, each, root)
    else:
        yield from _rendered(block.body, value if block.word == "with" else dot, root)


def shown(value: Any) -> str:
    """A value as Go's fmt prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Struct):
        return "{" + " ".join(map(shown, value.values())) + "}"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{shown(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(shown, value)) + "]"
    return str(value)


def _pipeline(said: str, dot: Any, root: Any) -> Any:
    tokens = list(_tokens(said))
    value, rest = _commands(tokens, dot, root)
    if rest:
        raise TemplateError(f"unexpected {rest[0][1]!r} in command")
    return value


def _commands(tokens: list[tuple[str, str]], dot: Any, root: Any) -> tuple[Any, list[tuple[str, str]]]:
    """The value of `a b | c`, up to a closing parenthesis; and what is left."""
    last: list[Any] = []
    while True:
        words: list[Any] = []
        name = ""
        while tokens and tokens[0] not in (("sign", "|"), ("sign", ")")):
            kind, text = tokens.pop(0)
            if kind == "sign":
                value, tokens = _commands(tokens, dot, root)
                if not tokens:
                    raise TemplateError("unclosed left paren")
                tokens.pop(0)
                words.append(value)
            elif kind == "field" and not words and not name and text[0] not in ".$" and text not in ("true", "false"):
                name = text
            else:
                words.append(_operand(kind, text, dot, root))
        last = [_called(name, [*words, *last])]
        if not tokens or tokens[0][1] == ")":
            return last[0], tokens
        tokens.pop(0)


def _operand(kind: str, text: str, dot: Any, root: Any) -> Any:
    if kind == "text":
        return text[1:-1] if text.startswith("`") else json.loads(text)
    if kind == "number":
        return float(text) if "." in text else int(text)
    if text in ("true", "false"):
        return text == "true"
    if text[0] not in ".$":
        raise TemplateError(f'function "{text}" not defined')
    value = root if text.startswith("$") else dot
    for name in filter(None, text.lstrip("$").split(".")):
        value = _field(value, name)
    return value


def _field(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping) or name not in value:
        raise TemplateError(f"can't evaluate field {name}")
    return value[name]


def _called(name: str, words: list[Any]) -> Any:
    if not name:
        if not words:
            raise TemplateError("missing value for command")
        first, *rest = words
        return first(*rest) if callable(first) else first
    if name not in FUNCTIONS:
        raise TemplateError(f'function "{name}" not defined')
    try:
        return FUNCTIONS[name](*words)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise TemplateError(f"error calling {name}: {error}") from error


def as_json(value: Any) -> str:
    """As Go's encoding/json writes it: `<`, `>` and `&` escaped."""
    plain = {key: one for key, one in value.items() if not callable(one)} if isinstance(value, Mapping) else value
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key, "") if isinstance(value, Mapping) else value[key]
    return value


def _printf(form: str, *values: Any) -> str:
    given = [shown(value) if isinstance(value, (bool, list, dict)) else value for value in values]
    return form.replace("%v", "%s").replace("%q", '"%s"') % tuple(given)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "json": as_json,
    "join": lambda values, separator: separator.join(map(shown, values)),
    "lower": lambda text: str(text).lower(),
    "upper": lambda text: str(text).upper(),
    "title": lambda text: str(text).title(),
    "split": lambda text, separator: str(text).split(separator),
    "pad": lambda text, before, after: " " * before + text + " " * after if text else text,
    "truncate": lambda text, length: str(text)[:length],
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "print": lambda *values: "".join(map(shown, values)),
    "printf": _printf,
    "len": len,
    "index": _index,
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda one, other: one != other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "not": lambda value: not value,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}
