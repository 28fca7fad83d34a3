"""Words of Dockerfiles: quotes, escapes and ${variables}, much as a shell reads them.

    $name ${name}                   the value, "" where there is none
    ${name:-word} ${name:+word}     word where it is unset or empty / where it is not; without `:` where it is unset
    ${name:?word}                   a mistake where it is unset or empty
    ${name#pattern} ## % %%         without the shortest (longest) beginning or end that fits * and ?
    ${name/pattern/word} //         with the first (every) fit replaced

Source: Dockerfile reference, "Environment replacement"; POSIX shell, 2.6.2 "Parameter Expansion".
"""

from __future__ import annotations

from collections.abc import Mapping

from coracle.core.errors import Malformed
from coracle.image.dockerfile.globs import Glob

_END = ""
_SPECIAL = "@*#?-$!0"
DEPTH = 100  # of ${a:-${b:-...}}
SEARCHED = 4096  # characters of a value in which a pattern is looked for


class Lexer:
    """Reads texts with one escape character.

    `raw_quotes`, `raw_escapes` keep these signs in the result; `keep_unset` leaves $name where it has no value; with
    `plain_quotes` quotes are signs like others.
    """

    def __init__(
        self,
        escape: str = "\\",
        *,
        raw_quotes: bool = False,
        raw_escapes: bool = False,
        keep_unset: bool = False,
        plain_quotes: bool = False,
    ) -> None:
        self._escape, self._raw_quotes, self._raw_escapes = escape, raw_quotes, raw_escapes
        self._keep_unset, self._quotes = keep_unset, "" if plain_quotes else "'\""

    def word(self, text: str, values: Mapping[str, str]) -> str:
        """`text` with quotes removed and variables replaced.  Raises Malformed."""
        return self._read(text, values)[0]

    def words(self, text: str, values: Mapping[str, str]) -> list[str]:
        """The same, cut at spaces outside of quotes, also those that came with a variable.  Raises Malformed."""
        return self._read(text, values)[1]

    def _read(self, text: str, values: Mapping[str, str]) -> tuple[str, list[str]]:
        reader = _Reader(text, values, self._escape, self._quotes, raw_quotes=self._raw_quotes, keep=self._keep_unset)
        try:
            return reader.read(_END, self._raw_escapes)
        except _Mistake as error:
            raise Malformed(f'failed to process "{_quoted(text)}": {error}') from None


class _Mistake(Exception):
    """Something that cannot be read."""


class _Words:
    def __init__(self) -> None:
        self.found: list[str] = []
        self._pieces: list[str] = []

    def add(self, text: str) -> None:
        """Text whose spaces part words."""
        for sign in text:
            if not sign.isspace():
                self._pieces.append(sign)
            elif self._pieces:
                self.close()

    def add_whole(self, text: str) -> None:
        self._pieces.append(text)

    def close(self) -> None:
        word = "".join(self._pieces)
        self._pieces = []
        if word:
            self.found.append(word)


class _Reader:
    def __init__(
        self, text: str, values: Mapping[str, str], escape: str, quotes: str, *, raw_quotes: bool, keep: bool
    ) -> None:
        self._text, self._at, self._values = text, 0, values
        self._escape, self._quotes, self._raw_quotes, self._keep_unset = escape, quotes, raw_quotes, keep
        self._depth = 0

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else _END

    def _take(self) -> str:
        sign = self._peek()
        self._at += 1
        return sign

    def read(self, stop: str, raw_escapes: bool) -> tuple[str, list[str]]:
        """Up to `stop`, which is taken too: the whole text, and its words."""
        result: list[str] = []
        words = _Words()
        while (sign := self._peek()) != _END:
            if stop and sign == stop:
                self._take()
                words.close()
                return "".join(result), words.found
            if sign == "$":
                piece = self._dollar()
                words.add(piece)
            elif sign in self._quotes:
                piece = self._single() if sign == "'" else self._double(raw_escapes)
                words.add_whole(piece)
            else:
                piece = self._plain(raw_escapes, words)
            result.append(piece)
        if stop:
            raise _Mistake(f"unexpected end of statement while looking for matching {stop}")
        words.close()
        return "".join(result), words.found

    def _plain(self, raw_escapes: bool, words: _Words) -> str:
        sign = self._take()
        if sign != self._escape:
            words.add(sign)
            return sign
        escaped = self._take()
        piece = (sign if raw_escapes else "") + escaped
        words.add_whole(piece)
        return piece

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            self._at = len(self._text)
            raise _Mistake("unexpected end of statement while looking for matching single-quote")
        inside = self._text[self._at + 1 : end]
        self._at = end + 1
        return f"'{inside}'" if self._raw_quotes else inside

    def _double(self, raw_escapes: bool) -> str:
        quote = self._take() if self._raw_quotes else self._take() and ""
        result = [quote]
        while (sign := self._peek()) != _END:
            if sign == '"':
                self._take()
                return "".join([*result, quote])
            if sign == "$":
                result.append(self._dollar())
                continue
            self._take()
            if sign == self._escape:
                if raw_escapes:
                    result.append(sign)
                following = self._peek()
                if following == _END:
                    continue
                if following in ('"', "$", self._escape):
                    sign = self._take()
                elif raw_escapes:
                    continue
            result.append(sign)
        raise _Mistake("unexpected end of statement while looking for matching double-quote")

    def _dollar(self) -> str:
        self._take()
        if self._peek() != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._values.get(name)
            if value is None:
                return f"${name}" if self._keep_unset else ""
            return value
        self._depth += 1
        if self._depth > DEPTH:
            raise _Mistake("syntax error: substitutions are nested too deeply")
        self._take()
        result = self._braced()
        self._depth -= 1
        return result

    def _braced(self) -> str:
        if self._peek() == _END:
            raise _Mistake("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise _Mistake("syntax error: bad substitution")
        begun = self._at
        name = self._name()
        value = self._values.get(name)
        sign = self._take()
        if sign == "}":
            return f"${{{name}}}" if value is None and self._keep_unset else value or ""
        if sign == "/":
            result = self._replace(value or "")
        else:
            colon = sign == ":"
            sign = self._take() if colon else sign
            if not sign or sign not in "-+?#%":
                raise _Mistake(f"unsupported modifier ({':' if colon else ''}{sign}) in substitution")
            word = self._until("}", raw_escapes=sign in "#%")
            result = _modified(name, value, sign, word, colon)
        if value is None and self._keep_unset:
            return f"${{{self._text[begun : self._at]}"
        return result

    def _replace(self, value: str) -> str:
        every = self._peek() == "/"
        if every:
            self._take()
        pattern = self._until("/", raw_escapes=True)
        replacement = self._until("}", raw_escapes=True)
        return _replaced(value, pattern, replacement, every=every)

    def _until(self, stop: str, *, raw_escapes: bool) -> str:
        try:
            return self.read(stop, raw_escapes)[0]
        except _Mistake:
            if self._peek() == _END:
                missing = "'}'" if stop == "}" else "'/' in ${}"
                raise _Mistake(f"syntax error: missing {missing}") from None
            raise

    def _name(self) -> str:
        begun, first = self._at, self._peek()
        if first and first in _SPECIAL and not first.isdigit():
            return self._take()
        fits = str.isdigit if first.isdigit() else _is_name_sign
        while (sign := self._peek()) != _END and fits(sign):
            self._take()
        return self._text[begun : self._at]


def _is_name_sign(sign: str) -> bool:
    return sign.isalpha() or sign.isdigit() or sign == "_"


def _modified(name: str, value: str | None, sign: str, word: str, colon: bool) -> str:
    missing = value is None or (colon and value == "")
    if sign == "-":
        return word if missing else value or ""
    if sign == "+":
        return "" if missing else word
    if sign == "?":
        if missing:
            raise _Mistake(f"{name}: {word or 'is not allowed to be ' + ('unset' if value is None else 'empty')}")
        return value or ""
    greedy = word.startswith(sign)
    return _trimmed(value or "", word[1:] if greedy else word, at_end=sign == "%", greedy=greedy)


def _trimmed(value: str, pattern: str, *, at_end: bool, greedy: bool) -> str:
    """Without the shortest or longest beginning (end) that fits."""
    glob = _glob(pattern)
    if at_end:
        glob, value = Glob(glob.tokens[::-1]), value[::-1]
    ends = glob.ends(value)
    found = max(ends, default=0) if greedy else next(ends, 0)
    return value[found:][::-1] if at_end else value[found:]


def _replaced(value: str, pattern: str, replacement: str, *, every: bool) -> str:
    """The first (every) longest part that fits, replaced."""
    glob = _glob(pattern)
    if len(value) > SEARCHED:
        raise _Mistake(f"a value of more than {SEARCHED} characters is not searched")
    pieces, at = [], 0
    while at <= len(value):
        end = max(glob.ends(value, at), default=-1)
        if end < 0:
            pieces.append(value[at : at + 1])
            at += 1
            continue
        pieces.append(replacement)
        if not every:
            return "".join([*pieces, value[end:]])
        pieces.append(value[at : at + 1] if end == at else "")
        at = max(end, at + 1)
        if end == len(value):
            break
    return "".join(pieces)


def _glob(pattern: str) -> Glob:
    try:
        return Glob.shell(pattern)
    except Malformed as error:
        raise _Mistake(str(error)) from None


def _quoted(text: str) -> str:
    shown = text if len(text) <= 200 else text[:200] + "..."
    return shown.replace("\\", "\\\\").replace('"', '\\"')
