"""What metadata instructions change in an image's settings: pure, for builds as for `commit --change` and import.

Source: Dockerfile reference; moby's handling of relative WORKDIRs, of CMD after ENTRYPOINT, of EXPOSE's ranges.
"""

from __future__ import annotations

import posixpath
import re
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from coracle.core.errors import Invalid, Malformed
from coracle.image.config import Settings, check_settings
from coracle.image.dockerfile.health import healthcheck
from coracle.image.dockerfile.syntax import Instruction
from coracle.image.dockerfile.words import Lexer

DEFAULT_SHELL = ("/bin/sh", "-c")
_PORT = re.compile(r"(?:[0-9a-fA-F.:\[\]]*:)?(?:[0-9-]*:)?([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?")
_SIGNAL_WORDS = re.compile(r"[0-9]{1,3}|(?:SIG)?RTM(?:IN|AX)[+-][0-9]{1,2}", re.IGNORECASE)


def changed(settings: Settings, instructions: Iterable[Instruction]) -> Settings:
    """`settings` with these instructions done, one after the other.  Raises Malformed, Invalid."""
    for one in instructions:
        settings = apply(settings, expanded(one, environment(settings)))
    return settings


def environment(settings: Settings) -> dict[str, str]:
    return {name: value for name, _, value in (entry.partition("=") for entry in settings.env)}


def expanded(one: Instruction, values: Mapping[str, str]) -> Instruction:
    """With quotes taken away and variables replaced, where the instruction's kind wants that.  Raises Malformed."""
    lexer = Lexer(one.escape)
    match one.name:
        case "ADD" | "COPY" | "VOLUME" if one.is_json:
            args = [lexer.word(word, values) for word in one.args]
        case "ADD" | "COPY" | "ENV" | "LABEL" | "STOPSIGNAL" | "USER" | "VOLUME" | "WORKDIR" | "ARG":
            args = [lexer.word(word, values) for word in one.args]
        case "EXPOSE":
            args = [part for word in one.args for part in lexer.words(word, values)]
        case _:
            args = list(one.args)
    flags = one.flags
    if one.name in ("ADD", "COPY", "RUN"):
        flags = {name: tuple(lexer.word(value, values) for value in many) for name, many in flags.items()}
    return replace(one, args=tuple(args), flags=flags)


def apply(settings: Settings, one: Instruction, *, cmd_is_own: bool = False) -> Settings:
    """`settings` with an expanded metadata instruction done.

    `cmd_is_own`: a CMD came before in this stage, so that ENTRYPOINT leaves it.  MAINTAINER changes no settings.
    Raises: Malformed, Invalid.
    """
    if one.name == "ENTRYPOINT":
        kept = settings.cmd if cmd_is_own else ()
        found = replace(settings, entrypoint=_command(settings, one), cmd=kept)
    else:
        found = _CHANGES[one.name](settings, one)
    check_settings(found)
    return found


def shell_of(settings: Settings) -> tuple[str, ...]:
    return settings.shell or DEFAULT_SHELL


def _command(settings: Settings, one: Instruction) -> tuple[str, ...]:
    if one.is_json:
        return one.args
    line = "\n".join([*one.args, *(f"{doc.content}{doc.name}" for doc in one.heredocs)])
    return (*shell_of(settings), line) if line else ()


def _cmd(settings: Settings, one: Instruction) -> Settings:
    return replace(settings, cmd=_command(settings, one))


def _env(settings: Settings, one: Instruction) -> Settings:
    values = environment(settings) | dict(pairs(one))
    return replace(settings, env=tuple(f"{name}={value}" for name, value in values.items()))


def pairs(one: Instruction) -> list[tuple[str, str]]:
    """Names and values of ENV and LABEL."""
    found = list(zip(one.args[::2], one.args[1::2], strict=True))
    if any(not name for name, _ in found):
        raise Malformed(f"{one.name} names can not be blank")
    return found


def _label(settings: Settings, one: Instruction) -> Settings:
    return replace(settings, labels={**settings.labels, **dict(pairs(one))})


def _expose(settings: Settings, one: Instruction) -> Settings:
    found = [port for text in one.args for port in _ports(text)]
    return replace(settings, ports=tuple(sorted({*settings.ports, *found})))


def _ports(text: str) -> Sequence[str]:
    match = _PORT.fullmatch(text.lower())
    if match is None:
        raise Malformed(f"invalid containerPort: {text[:100]}")
    first = int(match[1])
    final = int(match[2] or first)
    if not 0 < first <= final < 1 << 16:
        raise Malformed(f"invalid containerPort: {text[:100]}")
    return [f"{port}/{match[3] or 'tcp'}" for port in range(first, final + 1)]


def _health(settings: Settings, one: Instruction) -> Settings:
    flags = {name: values[0] for name, values in one.flags.items()}
    return replace(settings, healthcheck=healthcheck(one.args, flags, is_json=one.is_json))


def _onbuild(settings: Settings, one: Instruction) -> Settings:
    return replace(settings, on_build=(*settings.on_build, one.args[0]))


def _shell(settings: Settings, one: Instruction) -> Settings:
    return replace(settings, shell=one.args)


def _stop_signal(settings: Settings, one: Instruction) -> Settings:
    word = one.args[0]
    named = f"SIG{word.upper().removeprefix('SIG')}" in signal.Signals.__members__
    if not named and _SIGNAL_WORDS.fullmatch(word) is None:
        raise Malformed(f"invalid signal: {word[:100]}")
    return replace(settings, stop_signal=word)


def _user(settings: Settings, one: Instruction) -> Settings:
    return replace(settings, user=one.args[0])


def _volume(settings: Settings, one: Instruction) -> Settings:
    if any(not path for path in one.args):
        raise Malformed("VOLUME specified can not be an empty string")
    return replace(settings, volumes=tuple(sorted({*settings.volumes, *one.args})))


def _workdir(settings: Settings, one: Instruction) -> Settings:
    if not one.args[0]:
        raise Invalid(message="cannot normalize nothing")
    joined = posixpath.normpath(posixpath.join("/", settings.workdir, one.args[0]))
    return replace(settings, workdir="/" + joined.lstrip("/"))


_CHANGES: Mapping[str, Callable[[Settings, Instruction], Settings]] = {
    "CMD": _cmd,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _health,
    "LABEL": _label,
    "MAINTAINER": lambda settings, _: settings,
    "ONBUILD": _onbuild,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
