"""`.env` files: `NAME=value` lines, comments, `export`, quotes, and variables in values.

A bare `NAME` takes its value from outside, and is left out when there is none.  Unquoted values end at ` #`; single
quotes keep everything as it is; double quotes know the escapes of C.  Quoted values may span lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from coracle.compose.interpolation import BadTemplate, Missing, substitute
from coracle.core.errors import Malformed

LIMIT_BYTES = 1 << 20

_NAME = re.compile(r"[\w.\-\[\]]+")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", '"': '"', "\\": "\\", "'": "'"}


def parse(text: str, file: str, outside: Mapping[str, str]) -> dict[str, str]:
    """The variables of a file; values may name `outside` variables and those of earlier lines, which come second.

    Raises Malformed with file and line.
    """
    if len(text) > LIMIT_BYTES:
        raise Malformed(f"{file}: the file is larger than {LIMIT_BYTES >> 20} MiB")
    reader = _Reader(text.replace("\r\n", "\n").removeprefix("\ufeff"), file, outside)
    reader.read()
    return reader.found


class _Reader:
    def __init__(self, text: str, file: str, outside: Mapping[str, str]) -> None:
        self.text = text
        self.file = file
        self.outside = outside
        self.at = 0
        self.found: dict[str, str] = {}

    def _fault(self, at: int, message: str) -> Malformed:
        line = self.text.count("\n", 0, at) + 1
        return Malformed(f"{self.file}:{line}: failed to read {self.file}: line {line}: {message}")

    def read(self) -> None:
        while self._skip(r"(\s+|#[^\n]*)*") < len(self.text):
            start = self.at
            self._skip(r"export[ \t]+")
            named = _NAME.match(self.text, self.at)
            line = self.text[start:].split("\n", 1)[0]
            if not named:
                raise self._fault(start, f'unexpected character "{self.text[self.at]}" in variable name "{line}"')
            self.at = named.end()
            self._skip(r"[ \t]*")
            if self.at >= len(self.text) or self.text[self.at] in "\n#":
                if named[0] in self.outside:
                    self.found[named[0]] = self.outside[named[0]]
                self._skip(r"[^\n]*")
                continue
            if self.text[self.at] not in "=:":
                reason = (
                    "key cannot contain a space"
                    if self.text[self.at - 1] in " \t"
                    else (f'unexpected character "{self.text[self.at]}" in variable name "{line}"')
                )
                raise self._fault(start, reason)
            self.at += 1
            self._skip(r"[ \t]*")
            self.found[named[0]] = self._value()

    def _skip(self, pattern: str) -> int:
        if skipped := re.compile(pattern).match(self.text, self.at):
            self.at = skipped.end()
        return self.at

    def _value(self) -> str:
        start = self.at
        quote = self.text[start : start + 1]
        if quote not in ("'", '"') or not quote:
            end = self.text.find("\n", start)
            end = len(self.text) if end < 0 else end
            self.at = end
            return self._expanded(re.split(r"(?:^|\s)#", self.text[start:end], maxsplit=1)[0].rstrip(), start)
        end = start + 1
        while end < len(self.text) and self.text[end] != quote:
            end += 2 if self.text[end] == "\\" else 1
        if end >= len(self.text):
            raise self._fault(start, f"unterminated quoted value {self.text[start:].split(chr(10), 1)[0]}")
        self.at = end + 1
        inner = self.text[start + 1 : end]
        self._skip(r"[ \t]*(#[^\n]*)?")
        if quote == "'":
            return inner.replace("\\'", "'")
        return self._expanded(self._unescaped(inner), start)

    def _unescaped(self, inner: str) -> str:
        def one(found: re.Match[str]) -> str:
            return "$$" if found[1] == "$" else _ESCAPES.get(found[1], found[0])

        return re.sub(r"\\(.)", one, inner, flags=re.DOTALL)

    def _expanded(self, value: str, at: int) -> str:
        try:
            return substitute(value, {**self.found, **self.outside}, lambda _: None)
        except (Missing, BadTemplate) as error:
            raise self._fault(at, str(error)) from error
