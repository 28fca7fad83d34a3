"""Detach keys: what a person types to leave a program that goes on.

Source: Docker CLI reference, "docker attach: override the detach sequence".
"""

from __future__ import annotations

from coracle.core.errors import Malformed

DEFAULT = b"\x10\x11"  # ctrl-p ctrl-q
_CONTROLS = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_keys(text: str) -> bytes:
    """ "ctrl-p,ctrl-q" or "a,ctrl-[" as the bytes that a terminal sends; "" is the default.  Raises Malformed."""
    if not text:
        return DEFAULT
    return bytes(_key(name, text) for name in text.split(","))


class DetachKeys:
    """Watches what is typed for `keys`."""

    def __init__(self, keys: bytes) -> None:
        self._keys, self._held = keys, b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What the program may have by now, and whether the keys are complete.

        What may be the beginning of the keys is held back until the next byte tells.
        """
        typed = self._held + data
        at = typed.find(self._keys)
        if at >= 0:
            return typed[:at], True
        longest = min(len(self._keys) - 1, len(typed))
        held = next((n for n in range(longest, 0, -1) if typed.endswith(self._keys[:n])), 0)
        self._held = typed[len(typed) - held :]
        return typed[: len(typed) - held], False


def _key(name: str, text: str) -> int:
    if len(name) == 1 and name.isascii():
        return ord(name)
    letter = name.removeprefix("ctrl-").lower()
    if name.lower().startswith("ctrl-") and len(letter) == 1:
        if "a" <= letter <= "z":
            return ord(letter) - ord("a") + 1
        if letter in _CONTROLS:
            return _CONTROLS[letter]
    raise Malformed(f"invalid detach keys ({text[:100]}) provided")
