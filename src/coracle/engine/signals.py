"""Signals by the names and numbers that people and images write: "SIGTERM", "term", "15", "SIGRTMIN+3"."""

from __future__ import annotations

import re
import signal

from coracle.core.errors import Malformed

_RELATIVE = re.compile(r"RTM(IN|AX)([+-])(\d{1,2})")


def to_number(text: str | int) -> int:
    """Its number.  Raises Malformed."""
    word = str(text).strip()
    if word.isdecimal() and word.isascii() and len(word) < 4:
        number = int(word)
        if 0 < number <= signal.SIGRTMAX:
            return number
    name = word.upper().removeprefix("SIG")
    found = _RELATIVE.fullmatch(name)
    if found:
        base = signal.SIGRTMIN if found[1] == "IN" else signal.SIGRTMAX
        number = base + int(found[2] + found[3])
        if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            return number
    elif hasattr(signal.Signals, "SIG" + name):
        return int(signal.Signals["SIG" + name])
    raise Malformed(f"invalid signal: {word[:40]}")
