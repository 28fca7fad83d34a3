"""Lines of many containers on one screen: each behind its container's name, in a colour of its own, as Compose v2 does.

web-1    | GET / 200
redis-1  | Ready to accept connections
"""

from __future__ import annotations

import sys
from typing import BinaryIO

from coracle.cli.compose.chosen import Chosen

COLOURS = ("36", "33", "32", "35", "34", "36;1", "33;1", "32;1", "35;1", "34;1")
_CLEAR_LINE = b"\r\x1b[K"


def in_colour(chosen: Chosen) -> bool:
    """Whether standard output is to have colours: `--ansi`, NO_COLOR, and whether it is a terminal."""
    return chosen.colours and (chosen.ansi == "always" or sys.stdout.isatty())


class Printer:
    """Writes what containers say.  Names are registered first, so that all prefixes are as wide as the longest."""

    def __init__(
        self, *, colour: bool, prefix: bool = True, out: BinaryIO | None = None, err: BinaryIO | None = None
    ) -> None:
        self._colour, self._prefixed = colour, prefix
        self._out, self._err = out or sys.stdout.buffer, err or sys.stderr.buffer
        self._colours: dict[str, str] = {}
        self._prefixes: dict[str, bytes] = {}

    def register(self, name: str) -> None:
        """A name gets its colour, at its first time only."""
        if name in self._colours:
            return
        self._colours[name] = COLOURS[len(self._colours) % len(COLOURS)]
        if self._prefixed:
            width = max(map(len, self._colours))
            self._prefixes = {each: self._in_colour(each, f"{each:<{width}}  | ") for each in self._colours}

    def line(self, name: str, text: bytes, *, error: bool = False) -> None:
        """A line that `name` has said; `error`: it belongs on standard error."""
        self._write(self._err if error else self._out, self._prefixes.get(name, b"") + text + b"\n")

    def status(self, name: str, said: str) -> None:
        """Something about `name`, in its colour: `web-1 exited with code 3`."""
        self._write(self._out, self._in_colour(name, f"{_CLEAR_LINE.decode()}{name} {said}\n"))

    def _in_colour(self, name: str, text: str) -> bytes:
        return (f"\x1b[{self._colours[name]}m{text}\x1b[0m" if self._colour else text).encode()

    def _write(self, where: BinaryIO, data: bytes) -> None:
        where.write(data)
        where.flush()
