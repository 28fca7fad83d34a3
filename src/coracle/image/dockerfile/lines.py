"""Logical lines of a Dockerfile: continued ones joined, comments left out, here-documents gathered.

    # escape=`            a directive: only before everything else
    RUN one `             continued; comments and empty lines in between do not count
      # note
      two
    COPY <<EOF /motd      a here-document: up to a line that says EOF
    hello
    EOF

Source: Dockerfile reference, "Parser directives", "Format", "Here-Documents".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from coracle.core.errors import Malformed
from coracle.image.dockerfile.words import Lexer

DIRECTIVES = ("escape", "syntax", "check")
_DIRECTIVE = re.compile(r"#[ \t]*([a-zA-Z][a-zA-Z0-9]*)[ \t]*=[ \t]*(.+?)[ \t]*")
_HEREDOC = re.compile(r"(\d*)<<(-?)([^<]*)")
_WITH_HEREDOCS = ("ADD", "COPY", "RUN")


@dataclass(frozen=True, slots=True)
class Heredoc:
    """`<<-"name"`: `expand` unless the name was quoted; `content` without leading tabs where there was a dash."""

    name: str
    content: str
    expand: bool = True
    fd: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """`number` counts from 1.  `text` has its continuations joined, and the words of heredocs but not their content;
    `raw_heredocs` is what followed, as written."""

    number: int
    text: str
    heredocs: tuple[Heredoc, ...] = ()
    raw_heredocs: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    lines: tuple[Line, ...]
    escape: str = "\\"
    directives: Mapping[str, str] = field(default_factory=dict)


def fault(line: int, why: str) -> Malformed:
    """A mistake in a Dockerfile, in the builder's words."""
    return Malformed(f"dockerfile parse error on line {line}: {why}")


def read_lines(text: str) -> Source:
    """Raises Malformed, naming the line."""
    physical = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    if physical and physical[-1] == "":
        physical.pop()
    directives = _read_directives(physical)
    escape = directives.get("escape", "\\")
    if escape not in ("\\", "`"):
        raise fault(1, f"invalid escape token '{escape}' does not match ` or \\")
    found = []
    at = 0
    while at < len(physical):
        line, at = _next_line(physical, at, escape)
        if line is not None:
            found.append(line)
    return Source(tuple(found), escape, directives)


def _read_directives(physical: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, text in enumerate(physical, 1):
        match = _DIRECTIVE.fullmatch(text.strip())
        name = match[1].lower() if match else ""
        if match is None or name not in DIRECTIVES:
            break
        if name in found:
            raise fault(number, f"only one {name} parser directive can be used")
        found[name] = match[2]
    return found


def _next_line(physical: Sequence[str], at: int, escape: str) -> tuple[Line | None, int]:
    """The logical line that begins at `at` (None: only comment or space), and where the next one begins."""
    if _is_comment(physical[at]) or not physical[at].strip():
        return None, at + 1
    pieces: list[str] = []
    number, continues = at + 1, True
    while continues and at < len(physical):
        text, at = physical[at], at + 1
        if _is_comment(text) or (pieces and not text.strip()):
            continue
        piece, continues = _without_continuation(text if pieces else text.lstrip(), escape)
        pieces.append(piece)
    joined = "".join(pieces)
    if not joined.strip():
        return None, at
    begun = at
    heredocs = []
    for opening in _openings(joined, escape):
        content, at = _content(physical, at, opening, number)
        heredocs.append(Heredoc(opening.name, content, opening.expand, opening.fd))
    raw = "".join(f"{text}\n" for text in physical[begun:at])
    return Line(number, joined, tuple(heredocs), raw), at


def _is_comment(text: str) -> bool:
    return text.lstrip().startswith("#")


def _without_continuation(text: str, escape: str) -> tuple[str, bool]:
    """The text before a continuation sign, and whether there was one; a doubled sign is none."""
    bare = text.rstrip(" \t")
    if bare.endswith(escape) and not bare.endswith(escape * 2):
        return bare[:-1], True
    return text, False


@dataclass(frozen=True, slots=True)
class _Opening:
    name: str
    expand: bool
    chomp: bool
    fd: str


def heredoc_word(word: str, escape: str) -> _Opening | None:
    """What a word opens: `3<<-"EOF"`; None where it is an ordinary one."""
    match = _HEREDOC.fullmatch(word)
    if match is None or not match[3]:
        return None
    try:
        names = Lexer(escape).words(match[3], {})
    except Malformed:
        return None
    if len(names) != 1:
        return None
    return _Opening(names[0], names[0] == match[3], match[2] == "-", match[1])


def _openings(text: str, escape: str) -> list[_Opening]:
    if "<<" not in text:
        return []
    first, _, rest = text.partition(" ")
    while first.upper() == "ONBUILD":
        first, _, rest = rest.lstrip().partition(" ")
    if first.upper() not in _WITH_HEREDOCS:
        return []
    try:
        words = Lexer(escape, raw_quotes=True, raw_escapes=True, keep_unset=True).words(rest, {})
    except Malformed:
        return []
    found = (heredoc_word(word, escape) for word in words)
    return [opening for opening in found if opening is not None]


def _content(physical: Sequence[str], at: int, opening: _Opening, number: int) -> tuple[str, int]:
    lines: list[str] = []
    while at < len(physical):
        text, at = physical[at], at + 1
        if opening.chomp:
            text = text.lstrip("\t")
        if text == opening.name:
            return "".join(f"{line}\n" for line in lines), at
        lines.append(text)
    raise fault(number, "unterminated heredoc")
