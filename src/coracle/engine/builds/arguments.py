"""ARG: which build arguments a step sees.  Pure.

    before FROM    global: seen by FROM lines, and by a stage that declares the same name without a value
    in a stage     from its line on, for the rest of the stage
    predefined     proxies: every RUN sees them where they were given; they are no part of the cache's key
                   platforms: as if declared globally

The user's value goes before the default.  ENV of the same name goes before both.
Source: Dockerfile reference, "ARG", "Predefined ARGs", "Automatic platform ARGs in the global scope".
"""

from __future__ import annotations

from collections.abc import Mapping

from coracle.image.dockerfile.syntax import Instruction
from coracle.image.dockerfile.words import Lexer
from coracle.image.manifest import Platform

_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PROXIES = (*_NAMES, *(name.lower() for name in _NAMES))


def platform_arguments(host: Platform, target: Platform) -> dict[str, str]:
    return {
        f"{side}{name}": value
        for side, platform in (("BUILD", host), ("TARGET", target))
        for name, value in (
            ("PLATFORM", str(platform)),
            ("OS", platform.os),
            ("ARCH", platform.architecture),
            ("VARIANT", platform.variant),
        )
    }


class Arguments:
    """What was given with the build, and what the lines before the first FROM declare.

    `given`: None where the user named an argument without a value, which takes nothing from anywhere.
    Raises: Malformed (a default that cannot be read).
    """

    def __init__(self, given: Mapping[str, str | None], platforms: Mapping[str, str], lines: tuple[Instruction, ...]):
        self.given = {name: value for name, value in given.items() if value is not None}
        self.declared: set[str] = set()
        self.globals: dict[str, str] = dict(platforms)
        for line in lines:
            for word in line.args:
                name, default = _declaration(word, line.escape, self.globals)
                self.declared.add(name)
                value = self.given.get(name, default)
                if value is not None:
                    self.globals[name] = value

    def stage(self) -> StageArguments:
        return StageArguments(self)

    def unused(self) -> list[str]:
        """What was given and nobody declared, in order of name."""
        return sorted(name for name in self.given if name not in self.declared and name not in PROXIES)


class StageArguments:
    """What has been declared so far in one stage."""

    def __init__(self, build: Arguments) -> None:
        self._build = build
        self.values: dict[str, str] = {}
        self._named: set[str] = set()

    def declare(self, line: Instruction, environment: Mapping[str, str]) -> list[str]:
        """ARG: what the history shows of it.  Raises Malformed."""
        shown = []
        for word in line.args:
            name, default = _declaration(word, line.escape, {**self.values, **environment})
            self._build.declared.add(name)
            self._named.add(name)
            shown.append(name if default is None else f"{name}={default}")
            value = self._build.given.get(name, default)
            if value is None:
                value = self._build.globals.get(name)
            if value is not None:
                self.values[name] = value
        return shown

    def seen(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Variables for expansion: ENV before ARG."""
        return {**self.values, **environment}

    def for_programs(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What a RUN finds in its environment beyond ENV, in order of name."""
        proxies = {name: value for name, value in self._build.given.items() if name in PROXIES}
        found = {**proxies, **self.values}
        return {name: found[name] for name in sorted(found) if name not in environment}

    def for_key(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The part of it that the outcome is held to depend on: without proxies that nobody declared."""
        found = self.for_programs(environment)
        return {name: value for name, value in found.items() if name not in PROXIES or name in self._named}


def _declaration(word: str, escape: str, values: Mapping[str, str]) -> tuple[str, str | None]:
    lexer = Lexer(escape)
    name, equals, default = word.partition("=")
    return lexer.word(name, values), lexer.word(default, values) if equals else None
