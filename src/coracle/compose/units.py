"""Durations and sizes as Compose writes them: `1m30s`, `64m`."""

from __future__ import annotations

import re

from coracle.core import durations

_UNITS_NS = {**durations.UNITS_NS, "d": 24 * 3600 * 10**9, "w": 7 * 24 * 3600 * 10**9}
_SIZES = "kmgtp"


def nanoseconds(text: str) -> int:
    """The length of `1h2m3s`; days and weeks are known, too.  Raises ValueError in Go's words, as Compose does."""
    return durations.nanoseconds(text, _UNITS_NS)


def size_bytes(text: str) -> int:
    """`50M`, `1gb`, `1.5GiB`, `300`: powers of 1024, in bytes.  Raises ValueError in Compose's words."""
    part = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    if not part:
        raise ValueError(f"invalid size: '{text}'")
    suffix = part[2].lower()
    unit = re.fullmatch(rf"([{_SIZES}]?)(i?b)?", suffix)
    if not unit or (suffix == "ib"):
        raise ValueError(f"invalid suffix: '{part[2]}'")
    factor = 1024 ** (_SIZES.index(unit[1]) + 1) if unit[1] else 1
    return int(float(part[1]) * factor) if "." in part[1] else int(part[1]) * factor
