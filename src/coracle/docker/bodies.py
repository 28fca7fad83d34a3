"""JSON bodies and query values of requests, read with care: a wrong type names its field.

Source: moby api/server/httputils; Go's encoding/json (unknown fields are ignored, null is as absent, names match in any
case).
"""

from __future__ import annotations

from typing import Any

import orjson

from coracle.core.errors import Malformed
from coracle.web.messages import Request


def body_of(request: Request, *, required: bool = True) -> dict[str, Any]:
    """The JSON object in the body; {} where there is none and none is required.  Raises Malformed."""
    if not request.body.strip():
        if required:
            raise Malformed("invalid JSON: got EOF while reading request body")
        return {}
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"invalid JSON: {error}") from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise Malformed(f"invalid JSON: expected an object, got {_word(body)}")
    return body


def flag(request: Request, name: str, default: bool = False) -> bool:
    """A boolean of the query as Docker reads it: absent is the default; "", 0, no, none and false are not true."""
    if name not in request.query:
        return default
    return request.query.get(name).strip().lower() not in ("", "0", "no", "false", "none")


def number(request: Request, name: str, default: int | None = None) -> int | None:
    """An integer of the query.  Raises Malformed."""
    text = request.query.get(name)
    if text == "":
        return default
    try:
        return int(text)
    except ValueError as error:
        raise Malformed(f'invalid value for "{name}": {text[:40]!r} is not an integer') from error


class Fields:
    """A JSON object whose values are taken by type.  `path` names it in messages ("HostConfig").

    Every getter raises Malformed naming the field where the value has another type; null and absent give the default.
    """

    def __init__(self, values: Any, path: str = "") -> None:
        if values is None:
            values = {}
        if not isinstance(values, dict):
            raise Malformed(f"invalid JSON: {path or 'body'} must be an object, got {_word(values)}")
        self.path = path
        self._values = {str(name).lower(): value for name, value in values.items()}

    def __contains__(self, name: str) -> bool:
        return self._values.get(name.lower()) is not None

    def raw(self, name: str) -> Any:
        return self._values.get(name.lower())

    def text(self, name: str, default: str = "") -> str:
        value = self._take(name, str, "a string")
        return default if value is None else str(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._take(name, bool, "a boolean")
        return default if value is None else bool(value)

    def optional_flag(self, name: str) -> bool | None:
        value = self._take(name, bool, "a boolean")
        return None if value is None else bool(value)

    def number(self, name: str, default: int = 0) -> int:
        """A 64-bit integer."""
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
            raise self._wrong(name, "an integer", value)
        return value

    def optional_number(self, name: str) -> int | None:
        return self.number(name) if name in self else None

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self.raw(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of strings", value)
        return tuple(value)

    def words(self, name: str) -> tuple[str, ...]:
        """A list of strings, where one string stands for a list of itself (Entrypoint, Cmd)."""
        value = self.raw(name)
        return (value,) if isinstance(value, str) else self.texts(name)

    def map(self, name: str) -> dict[str, Any]:
        value = self._take(name, dict, "an object")
        return {} if value is None else dict(value)

    def text_map(self, name: str) -> dict[str, str]:
        found = self.map(name)
        for key, value in found.items():
            if not isinstance(value, str):
                raise self._wrong(f"{name}.{key}", "a string", value)
        return found

    def objects(self, name: str) -> list[Fields]:
        value = self._take(name, list, "a list of objects")
        return [Fields(item, f"{self._path(name)}[{i}]") for i, item in enumerate(value or [])]

    def fields(self, name: str) -> Fields:
        return Fields(self.raw(name), self._path(name))

    def _take(self, name: str, type: type, word: str) -> Any:
        value = self.raw(name)
        if value is not None and not isinstance(value, type):
            raise self._wrong(name, word, value)
        return value

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _wrong(self, name: str, word: str, value: Any) -> Malformed:
        return Malformed(f"invalid JSON: {self._path(name)} must be {word}, got {_word(value)}")


def _word(value: Any) -> str:
    """A JSON value's type, as people name it."""
    if value is None:
        return "null"
    words = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return words.get(type(value), type(value).__name__)
