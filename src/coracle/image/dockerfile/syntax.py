"""One logical line as an instruction: its flags, and its arguments in the form that its kind has.

Source: Dockerfile reference; the messages are those that builders give.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from coracle.core.errors import Malformed
from coracle.image.dockerfile import health
from coracle.image.dockerfile.lines import Heredoc, Line, heredoc_word, read_lines

# Flags that each instruction knows; those in _SWITCHES are on or off, those in _REPEATED may come several times.
FLAGS: Mapping[str, tuple[str, ...]] = {
    "ADD": ("chown", "chmod", "link", "checksum", "keep-git-dir", "exclude"),
    "COPY": ("from", "chown", "chmod", "link", "parents", "exclude"),
    "FROM": ("platform",),
    "HEALTHCHECK": health.FLAGS,
    "RUN": ("mount", "network", "security"),
}
_SWITCHES = ("link", "keep-git-dir", "parents")
_REPEATED = ("mount", "exclude")
NETWORKS, SECURITIES = ("default", "none", "host"), ("sandbox", "insecure")


@dataclass(frozen=True, slots=True)
class Instruction:
    """`name` in upper case.

    Shape: `args` are: of ENV and LABEL names and values in turn; of CMD, ENTRYPOINT, RUN, SHELL either the list that
           was given as JSON or (`is_json` False) one command line; of HEALTHCHECK NONE or CMD and such a command; of
           ONBUILD the whole trigger; else words.  `text` is the line as written.
    """

    name: str
    args: tuple[str, ...] = ()
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_json: bool = False
    heredocs: tuple[Heredoc, ...] = ()
    text: str = ""
    line: int = 0
    escape: str = "\\"

    def flag(self, name: str, default: str = "") -> str:
        """The value of a flag that comes once."""
        return self.flags.get(name, (default,))[0]


def parse_line(line: Line, escape: str = "\\") -> Instruction:
    """Raises Malformed, without the line's number."""
    text = line.text.strip()
    word, _, rest = _cut(text)
    name = word.upper()
    if name not in _ARGUMENTS:
        raise Malformed(f"unknown instruction: {word}{_suggestion(word)}")
    flags, rest = _flags(name, rest, escape)
    args, is_json = _ARGUMENTS[name](name, rest, escape)
    found = Instruction(name, args, flags, is_json, line.heredocs, text, line.number, escape)
    return _CHECKS.get(name, _nothing)(found, line)


def _cut(text: str) -> tuple[str, str, str]:
    parts = text.split(None, 1)
    return (parts[0], " ", parts[1].strip()) if len(parts) == 2 else (text, "", "")


def _suggestion(word: str) -> str:
    wanted = word.upper()
    near = [known for known in sorted(_ARGUMENTS) if _is_near(wanted, known)]
    return f" (did you mean {near[0]}?)" if near else ""


def _is_near(a: str, b: str) -> bool:
    """One sign apart, or two that have changed places."""
    if a == b or abs(len(a) - len(b)) > 1:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    one, other = a[start:], b[start:]
    return one[1:] in (other, other[1:]) or one == other[1:] or (one[:2] == other[1::-1] and one[2:] == other[2:])


# -- flags -----------------------------------------------------------------------------------------------------------


def _flags(name: str, rest: str, escape: str) -> tuple[dict[str, tuple[str, ...]], str]:
    """The flags in front, and what follows them."""
    found: dict[str, tuple[str, ...]] = {}
    while rest.startswith("--"):
        word, after = _flag_word(rest, escape)
        if word == "--":
            return found, after.lstrip()
        flag, equals, value = word[2:].partition("=")
        if flag not in FLAGS.get(name, ()):
            raise Malformed(f"unknown flag: --{flag}")
        if flag in found and flag not in _REPEATED:
            raise Malformed(f"duplicate flag specified: --{flag}")
        if flag in _SWITCHES:
            value = _switch(flag, value if equals else "true")
        elif not equals:
            raise Malformed(f"missing a value on flag: --{flag}")
        found[flag] = (*found.get(flag, ()), value)
        rest = after.lstrip()
    return found, rest


def _switch(flag: str, value: str) -> str:
    if value.lower() not in ("true", "false"):
        raise Malformed(f'expecting boolean value for flag --{flag}, not: "{value[:100]}"')
    return value.lower()


def _flag_word(text: str, escape: str) -> tuple[str, str]:
    """The first word, quotes and escapes taken away, and what follows."""
    pieces, quote, at = [], "", 0
    while at < len(text):
        sign = text[at]
        at += 1
        if sign == escape and quote != "'" and at < len(text):
            pieces.append(text[at])
            at += 1
        elif quote:
            if sign == quote:
                quote = ""
            else:
                pieces.append(sign)
        elif sign in "'\"":
            quote = sign
        elif sign.isspace():
            return "".join(pieces), text[at:]
        else:
            pieces.append(sign)
    return "".join(pieces), ""


# -- arguments -------------------------------------------------------------------------------------------------------

_Arguments = tuple[tuple[str, ...], bool]


def _words(_name: str, rest: str, _escape: str) -> _Arguments:
    return tuple(rest.split()), False


def _whole(_name: str, rest: str, _escape: str) -> _Arguments:
    return ((rest,) if rest else ()), False


def _list_or_whole(_name: str, rest: str, _escape: str) -> _Arguments:
    found = _json_list(rest)
    return (found, True) if found is not None else _whole(_name, rest, _escape)


def _list_or_words(_name: str, rest: str, _escape: str) -> _Arguments:
    found = _json_list(rest)
    return (found, True) if found is not None else _words(_name, rest, _escape)


def _json_list(text: str) -> tuple[str, ...] | None:
    if not text.startswith("["):
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return tuple(found) if all(isinstance(one, str) for one in found) else None


def _quoted_words(text: str, escape: str) -> list[str]:
    """Words, with their quotes and escapes as they are."""
    found: list[str] = []
    pieces: list[str] = []
    quote, at = "", 0
    while at < len(text):
        sign = text[at]
        at += 1
        if not quote and sign.isspace():
            if pieces:
                found.append("".join(pieces))
                pieces = []
            continue
        pieces.append(sign)
        if sign == escape and quote != "'" and at < len(text):
            pieces.append(text[at])
            at += 1
        elif quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
    return [*found, "".join(pieces)] if pieces else found


def _pairs(name: str, rest: str, escape: str) -> _Arguments:
    """NAME=value ..., or the old NAME value."""
    words = _quoted_words(rest, escape)
    if not words:
        raise Malformed(f"{name} requires at least one argument")
    if "=" not in words[0]:
        first, between, value = _cut(rest)
        if not between:
            raise Malformed(f"{name} must have two arguments")
        return (first, value), False
    found: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise Malformed(f'Syntax error - can\'t find = in "{word[:200]}". Must be of the form: name=value')
        if not key:
            raise Malformed(f"{name} names can not be blank")
        found += [key, value]
    return tuple(found), False


def _declarations(_name: str, rest: str, escape: str) -> _Arguments:
    words = tuple(_quoted_words(rest, escape))
    if any(word.startswith("=") for word in words):
        raise Malformed("ARG names can not be blank")
    return words, False


def _health(_name: str, rest: str, escape: str) -> _Arguments:
    kind, _, command = _cut(rest)
    if kind.upper() != "CMD":
        return ((kind, *command.split()) if kind else ()), False
    args, is_json = _list_or_whole(_name, command, escape)
    return (kind, *args), is_json


_ARGUMENTS: Mapping[str, Callable[[str, str, str], _Arguments]] = {
    "ADD": _list_or_words,
    "ARG": _declarations,
    "CMD": _list_or_whole,
    "COPY": _list_or_words,
    "ENTRYPOINT": _list_or_whole,
    "ENV": _pairs,
    "EXPOSE": _words,
    "FROM": _words,
    "HEALTHCHECK": _health,
    "LABEL": _pairs,
    "MAINTAINER": _whole,
    "ONBUILD": _whole,
    "RUN": _list_or_whole,
    "SHELL": _list_or_whole,
    "STOPSIGNAL": _whole,
    "USER": _whole,
    "VOLUME": _list_or_words,
    "WORKDIR": _whole,
}


# -- checks ----------------------------------------------------------------------------------------------------------


def _nothing(found: Instruction, _line: Line) -> Instruction:
    return found


def _one(found: Instruction, _line: Line) -> Instruction:
    if len(found.args) != 1:
        raise Malformed(f"{found.name} requires exactly one argument")
    return found


def _some(found: Instruction, _line: Line) -> Instruction:
    if not found.args:
        raise Malformed(f"{found.name} requires at least one argument")
    return found


def _volumes(found: Instruction, line: Line) -> Instruction:
    if any(not path.strip() for path in _some(found, line).args):
        raise Malformed("VOLUME specified can not be an empty string")
    return found


def _copies(found: Instruction, _line: Line) -> Instruction:
    if len(found.args) < 2:
        raise Malformed(
            f"{found.name} requires at least two arguments, but only one was provided. "
            "Destination could not be determined"
        )
    if heredoc_word(found.args[-1], found.escape):
        raise Malformed(f"{found.name} cannot accept a heredoc as a destination")
    return found


def _checked_health(found: Instruction, _line: Line) -> Instruction:
    flags = {name: values[0] for name, values in found.flags.items()}
    health.healthcheck(found.args, flags, is_json=found.is_json)
    return found


def _shell(found: Instruction, _line: Line) -> Instruction:
    if not found.is_json:
        raise Malformed("SHELL requires the arguments to be in JSON form")
    if not found.args:
        raise Malformed("SHELL requires at least one argument")
    return found


def _run(found: Instruction, _line: Line) -> Instruction:
    if found.flag("network", "default") not in NETWORKS:
        raise Malformed(f'unsupported network mode "{found.flag("network")[:100]}"')
    if found.flag("security", "sandbox") not in SECURITIES:
        raise Malformed(f'security "{found.flag("security")[:100]}" is not valid')
    return found


def _trigger(found: Instruction, line: Line) -> Instruction:
    """ONBUILD keeps what follows as one text, which must be an instruction itself."""
    if not found.args:
        raise Malformed("ONBUILD requires at least one argument")
    name = found.args[0].split()[0].upper()
    if name == "ONBUILD":
        raise Malformed("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if name in ("MAINTAINER", "FROM"):
        raise Malformed(f"{name} isn't allowed as an ONBUILD trigger")
    expression = found.args[0] + (f"\n{line.raw_heredocs}" if line.raw_heredocs else "")
    parse_trigger(expression, found.escape)
    return replace(found, args=(expression,))


_CHECKS: Mapping[str, Callable[[Instruction, Line], Instruction]] = {
    "ADD": _copies,
    "ARG": _some,
    "COPY": _copies,
    "EXPOSE": _some,
    "HEALTHCHECK": _checked_health,
    "MAINTAINER": _one,
    "ONBUILD": _trigger,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _one,
    "USER": _one,
    "VOLUME": _volumes,
    "WORKDIR": _one,
}


def parse_trigger(expression: str, escape: str = "\\") -> Instruction:
    """What an ONBUILD keeps, as an instruction.  Raises Malformed."""
    source = read_lines(f"# escape={escape}\n{expression}")
    if len(source.lines) != 1:
        raise Malformed("ONBUILD requires exactly one instruction")
    return parse_line(source.lines[0], source.escape)


STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
