"""Patterns of *, ? and [a-z], matched in time that grows with pattern times text, whatever somebody writes.

Regular expressions would go back and forth over `*a*a*a*b` for ever.

    Glob.shell("*.tar")       * and ? stand for anything: ${name%pattern}
    Glob.path("src/*.c")      they stop at "/"; [a-z], [^a-z] and \\x as in Go's path matching: COPY
    TreeGlob.of("**/*.o")     as paths, and ** stands for any number of directories: .dockerignore

Source: Dockerfile reference, "Environment replacement", "COPY", ".dockerignore file"; Go's path/filepath.Match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from coracle.core.errors import Malformed

Fits = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Token:
    """One sign that `fits`, or, `repeated`, any number of them."""

    fits: Fits
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Glob:
    tokens: tuple[_Token, ...]

    @classmethod
    def shell(cls, pattern: str) -> Glob:
        """Raises Malformed."""
        return cls(_merged(_shell_tokens(pattern)))

    @classmethod
    def path(cls, pattern: str) -> Glob:
        """Raises Malformed."""
        return cls(_merged(_path_tokens(pattern)))

    def matches(self, text: str) -> bool:
        return max(self.ends(text), default=-1) == len(text)

    def ends(self, text: str, start: int = 0) -> Iterator[int]:
        """Where a match that begins at `start` may end, in order."""
        tokens, last = self.tokens, len(self.tokens)
        active = _closed({0}, tokens)
        if last in active:
            yield start
        for at in range(start, len(text)):
            sign, after = text[at], set()
            for state in active:
                if state < last and tokens[state].fits(sign):
                    after.add(state if tokens[state].repeated else state + 1)
            active = _closed(after, tokens)
            if not active:
                return
            if last in active:
                yield at + 1


@dataclass(frozen=True, slots=True)
class TreeGlob:
    """`parts` between slashes; None is `**`."""

    parts: tuple[Glob | None, ...]

    @classmethod
    def of(cls, pattern: str) -> TreeGlob:
        """Raises Malformed."""
        return cls(tuple(None if part == "**" else Glob.path(part) for part in pattern.split("/")))

    def matches(self, names: Sequence[str]) -> bool:
        """Whether the path of these names, or a directory above it, fits."""
        active, last = self._closed({0}), len(self.parts) - 1
        for name in names:
            after = set()
            for state in active:
                part = self.parts[state]
                if part is None or part.matches(name):
                    if state == last:
                        return True
                    after.add(state if part is None else state + 1)
            active = self._closed(after)
        return False

    def _closed(self, states: set[int]) -> set[int]:
        """With the states past a `**` that stands for no directory; one at the end stands for something."""
        for state in list(states):
            after = state
            while self.parts[after] is None and after + 1 < len(self.parts):
                after += 1
                states.add(after)
        return states


def has_wildcards(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[\\")


def _closed(states: set[int], tokens: tuple[_Token, ...]) -> set[int]:
    """With the states that are reached without a sign: past a repetition of none."""
    for state in list(states):
        after = state
        while after < len(tokens) and tokens[after].repeated:
            after += 1
            states.add(after)
    return states


def _merged(tokens: list[_Token]) -> tuple[_Token, ...]:
    """Without repetitions of the same repetition."""
    return tuple(token for i, token in enumerate(tokens) if not (i and token.repeated and token == tokens[i - 1]))


def _any(_sign: str) -> bool:
    return True


def _in_name(sign: str) -> bool:
    return sign != "/"


def _literal(wanted: str) -> _Token:
    return _Token(lambda sign: sign == wanted)


def _shell_tokens(pattern: str) -> list[_Token]:
    tokens = []
    signs = iter(pattern)
    for sign in signs:
        if sign in "*?":
            tokens.append(_Token(_any, repeated=sign == "*"))
        elif sign == "\\":
            following = next(signs, "")
            if not following or following not in "}/*?\\":
                raise Malformed(f"invalid pattern ({pattern}) in substitution: invalid escape '\\{following}'")
            tokens.append(_literal(following))
        else:
            tokens.append(_literal(sign))
    return tokens


def _path_tokens(pattern: str) -> list[_Token]:
    tokens = []
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        at += 1
        if sign in "*?":
            tokens.append(_Token(_in_name, repeated=sign == "*"))
        elif sign == "[":
            token, at = _set(pattern, at)
            tokens.append(token)
        elif sign == "\\":
            if at == len(pattern):
                raise Malformed(f"syntax error in pattern: {pattern[:200]}")
            tokens.append(_literal(pattern[at]))
            at += 1
        else:
            tokens.append(_literal(sign))
    return tokens


def _set(pattern: str, at: int) -> tuple[_Token, int]:
    """The token of what follows a bracket, and where it ends."""
    negated = pattern[at : at + 1] == "^"
    at += negated
    ranges: list[tuple[str, str]] = []
    while True:
        if at >= len(pattern) or (pattern[at] == "]" and not ranges):
            raise Malformed(f"syntax error in pattern: {pattern[:200]}")
        if pattern[at] == "]":
            return _one_of(ranges, negated=negated), at + 1
        first, at = _set_sign(pattern, at)
        final = first
        if pattern[at : at + 1] == "-":
            final, at = _set_sign(pattern, at + 1)
        ranges.append((first, final))


def _one_of(ranges: list[tuple[str, str]], *, negated: bool) -> _Token:
    return _Token(lambda sign: sign != "/" and any(a <= sign <= b for a, b in ranges) != negated)


def _set_sign(pattern: str, at: int) -> tuple[str, int]:
    at += pattern[at : at + 1] == "\\"
    if at >= len(pattern) or pattern[at] in "-]":
        raise Malformed(f"syntax error in pattern: {pattern[:200]}")
    return pattern[at], at + 1
