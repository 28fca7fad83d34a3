"""Where a container's output goes: `HostConfig.LogConfig`.

Everything is kept by the container's monitor in one format, which is read back whatever the driver is called; a log is
rotated by default.
Source: Docker's documentation, "Configure logging drivers"; moby daemon/logger/jsonfilelog, daemon/logger/local.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.errors import Malformed
from coracle.docker.bodies import Fields

DEFAULT = "json-file"
LIMIT_BYTES = 100 * 1024 * 1024  # of one file, of two: a million lines of 100 bytes are kept, and a disk is not filled
_FILES = ("max-size", "max-file", "compress")
_KNOWN: Mapping[str, tuple[str, ...]] = {
    "json-file": (*_FILES, "labels", "labels-regex", "env", "env-regex", "tag"),
    "local": _FILES,
    "none": (),
}
_SIZE = re.compile(r"(\d{1,18})\s*([kmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True)
class LogRules:
    """`limit_bytes` None: one file without end; `files`: how many, with the one that is written."""

    keeps: bool = True
    limit_bytes: int | None = LIMIT_BYTES
    files: int = 2


def read_log_config(host: Fields) -> tuple[dict[str, Any], LogRules]:
    """`LogConfig` as it is shown, and what it means.  Raises Malformed: no such driver or option."""
    asked = host.fields("LogConfig")
    driver, options = asked.text("Type") or DEFAULT, asked.text_map("Config")
    if driver not in _KNOWN:
        raise Malformed(f'error looking up logging plugin {driver[:60]}: plugin "{driver[:60]}" not found')
    for name in options:
        if name not in _KNOWN[driver] and name not in ("mode", "max-buffer-size"):
            raise Malformed(f"unknown log opt '{name[:60]}' for {driver} log driver")
    mode = options.get("mode", "blocking")
    if mode not in ("blocking", "non-blocking"):
        raise Malformed(f"logger: logging mode not supported: {mode[:60]}")
    rules = LogRules(driver != "none", _limit_bytes(options), _files(options))
    return {"Type": driver, "Config": dict(options)}, rules


def _files(options: Mapping[str, str]) -> int:
    text = options.get("max-file", "2")
    if not text.isdecimal() or len(text) > 4 or int(text) < 1:
        raise Malformed(f"max-file cannot be less than 1: {text[:40]!r}")
    return int(text)


def _limit_bytes(options: Mapping[str, str]) -> int | None:
    """Of one file."""
    size = options.get("max-size")
    if size is None:
        return LIMIT_BYTES
    if size == "-1":
        return None
    found = _SIZE.fullmatch(size)
    if found is None or int(found[1]) == 0:
        raise Malformed(f"invalid value for max-size: {size[:40]!r}")
    return int(found[1]) * _UNITS[found[2].lower()]
