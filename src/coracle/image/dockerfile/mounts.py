"""RUN --mount: what a program finds besides its root file system.

Source: Dockerfile reference, "RUN --mount".
"""

from __future__ import annotations

import csv
import posixpath
import re
from dataclasses import dataclass

from coracle.core.errors import Malformed

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
_NAMES = {
    "bind": ("target", "source", "from", "rw"),
    "cache": ("id", "target", "ro", "sharing", "from", "source", "mode", "uid", "gid"),
    "tmpfs": ("target", "size"),
    "secret": ("id", "target", "required", "mode", "uid", "gid", "env"),
    "ssh": ("id", "target", "required", "mode", "uid", "gid"),
}
_ALIASES = {"dst": "target", "destination": "target", "src": "source", "readonly": "ro", "readwrite": "rw"}
_SIZE = re.compile(r"([0-9]{1,18})([kmgt]?)i?b?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RunMount:
    """`read_only` None: as the type has it.  `size_bytes` 0: no limit.  `target` may be relative to the workdir."""

    type: str
    target: str = ""
    source: str = ""
    source_from: str = ""
    id: str = ""
    read_only: bool | None = None
    sharing: str = "shared"
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    size_bytes: int = 0


def parse_mount(text: str) -> RunMount:
    """`type=cache,target=/root/.cache`.  Raises Malformed."""
    values: dict[str, str] = {}
    for word in _fields(text):
        name, equals, value = word.partition("=")
        name = _ALIASES.get(name.strip().lower(), name.strip().lower())
        if not equals and name not in ("ro", "rw", "required"):
            raise Malformed(f"invalid field '{word[:100]}' must be a key=value pair")
        values[name] = value if equals else "true"
    kind = values.pop("type", "bind").lower()
    if kind not in TYPES:
        raise Malformed(f'unsupported mount type "{kind[:40]}"')
    for name in values:
        if name not in _NAMES[kind] and not (kind in ("bind", "cache") and name in ("ro", "rw")):
            raise Malformed(f"unexpected key '{name[:40]}' for mount type '{kind}'")
    if kind in ("bind", "cache", "tmpfs") and not values.get("target"):
        raise Malformed(f'target is required for mount type "{kind}"')
    sharing = values.get("sharing", "shared").lower()
    if sharing not in ("shared", "private", "locked"):
        raise Malformed(f'unsupported sharing value "{sharing[:40]}"')
    return RunMount(
        type=kind,
        target=_path(values.get("target", "")),
        source=_path(values.get("source", "")),
        source_from=values.get("from", ""),
        id=values.get("id", ""),
        read_only=_read_only(values),
        sharing=sharing,
        mode=_number(values, "mode", 0o755, base=8),
        uid=_number(values, "uid", 0),
        gid=_number(values, "gid", 0),
        size_bytes=_size(values.get("size", "")),
    )


def _fields(text: str) -> list[str]:
    try:
        return next(csv.reader([text.replace("\n", " ")], strict=True), [])
    except csv.Error as error:
        raise Malformed(f"failed to parse csv mounts: {error}") from None


def _path(text: str) -> str:
    if "\0" in text or ".." in text.split("/"):
        raise Malformed(f"invalid path {text[:100]!r} of a mount")
    return posixpath.normpath(text) if text else ""


def _read_only(values: dict[str, str]) -> bool | None:
    if "rw" in values:
        return not _flag("rw", values["rw"])
    return _flag("ro", values["ro"]) if "ro" in values else None


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("1", "t", "true", "0", "f", "false"):
        raise Malformed(f"invalid value for {name}: {value[:40]}")
    return value.lower() in ("1", "t", "true")


def _number(values: dict[str, str], name: str, default: int, base: int = 10) -> int:
    text = values.get(name, "")
    if not text:
        return default
    try:
        found = int(text, base)
    except ValueError:
        found = -1
    if not 0 <= found < 1 << 31:
        raise Malformed(f"invalid value {text[:40]} for {name}")
    return found


def _size(text: str) -> int:
    if not text:
        return 0
    match = _SIZE.fullmatch(text)
    if match is None:
        raise Malformed(f"invalid value {text[:40]} for size")
    return int(match[1]) << 10 * " kmgt".index(match[2].lower() or " ")
