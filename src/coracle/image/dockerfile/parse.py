"""A whole Dockerfile: the arguments before the first FROM, and the stages; and the changes of commit and import.

Source: Dockerfile reference; docker commit's `--change`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from coracle.core.errors import Malformed
from coracle.image.dockerfile.lines import Line, fault, read_lines
from coracle.image.dockerfile.syntax import STAGE_NAME, Instruction, parse_line

LIMIT_BYTES = 4 << 20

# What `docker commit --change` may say.
CHANGES = ("CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME",
           "WORKDIR")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stage:
    """`base` and `platform` as written, variables not replaced; `name` in lower case or ""."""

    base: str
    name: str
    platform: str
    start: Instruction
    instructions: tuple[Instruction, ...] = ()


@dataclass(frozen=True, slots=True)
class Dockerfile:
    arguments: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    escape: str = "\\"
    directives: Mapping[str, str] = field(default_factory=dict)


def parse_dockerfile(raw: bytes, name: str = "Dockerfile") -> Dockerfile:
    """Raises Malformed, naming the line."""
    if len(raw) > LIMIT_BYTES:
        raise Malformed(f"the Dockerfile ({name}) is larger than {LIMIT_BYTES} bytes")
    if b"\0" in raw:
        raise Malformed(f"the Dockerfile ({name}) holds NUL bytes")
    source = read_lines(raw.decode("utf-8", "replace"))
    if not source.lines:
        raise Malformed(f"the Dockerfile ({name}) cannot be empty")
    arguments: list[Instruction] = []
    stages: list[tuple[Stage, list[Instruction]]] = []
    for line in source.lines:
        found = _parse(line, source.escape)
        if found.name == "FROM":
            stages.append((_stage(found), []))
        elif stages:
            stages[-1][1].append(found)
        elif found.name == "ARG":
            arguments.append(found)
        else:
            raise fault(line.number, "no build stage in current context")
    if not stages:
        raise Malformed("no build stage in Dockerfile: it needs a FROM instruction")
    whole = tuple(Stage(s.base, s.name, s.platform, s.start, tuple(inside)) for s, inside in stages)
    return Dockerfile(tuple(arguments), whole, source.escape, source.directives)


def parse_changes(lines: Sequence[str]) -> tuple[Instruction, ...]:
    """What `changes` of commit and import ask for (see `settings.changed`).  Raises Malformed."""
    text = "\n".join(lines)
    if len(text) > LIMIT_BYTES or "\0" in text:
        raise Malformed("invalid changes")
    found = [_parse(line, "\\") for line in read_lines(text).lines]
    for one in found:
        if one.name not in CHANGES:
            raise Malformed(f"{one.text.split()[0]} is not a valid change command")
    return tuple(found)


def _parse(line: Line, escape: str) -> Instruction:
    try:
        return parse_line(line, escape)
    except Malformed as error:
        raise fault(line.number, str(error)) from None


def _stage(start: Instruction) -> Stage:
    args, name = start.args, ""
    if len(args) == 3 and args[1].lower() == "as":
        name = args[2].lower()
        if STAGE_NAME.fullmatch(name) is None:
            why = f'invalid name for build stage: "{args[2][:100]}", name can\'t start with a number or contain symbols'
            raise fault(start.line, why)
    elif len(args) != 1:
        raise fault(start.line, "FROM requires either one or three arguments")
    return Stage(args[0], name, start.flag("platform"), start)
