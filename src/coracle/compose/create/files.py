"""Configs and secrets of a service: files of the host are mounted, other contents are copied into the container.

A definition is `{"file": path}` or `{"content": text}` by now (see preparing.py).
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_HOMES = {"configs": "/", "secrets": "/run/secrets/"}
_MODE = 0o444


@dataclass(frozen=True, slots=True)
class Attached:
    """A config or secret that a service uses: where its container sees it, and what it is."""

    target: str
    use: Mapping[str, Any]
    definition: Mapping[str, Any]


def attached(model: Mapping[str, Any], service: Mapping[str, Any]) -> Iterator[Attached]:
    for kind, home in _HOMES.items():
        for use in service.get(kind) or ():
            target = use.get("target") or use["source"]
            whole = target if target.startswith("/") else home + target
            yield Attached(whole, use, model[kind][use["source"]])


def archive(model: Mapping[str, Any], service_name: str, at_s: float = 0.0) -> bytes | None:
    """A tar for PUT /containers/{id}/archive?path=/; None where nothing is to be copied.

    `at_s` is when the files were changed, in seconds since 1970: servers tell versions of a file apart by it.
    It is sent without `copyUIDGID`, with which everything would belong to the user that the container runs as.
    """
    chosen = [one for one in attached(model, model["services"][service_name]) if "content" in one.definition]
    if not chosen:
        return None
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for one in chosen:
            data = str(one.definition["content"]).encode()
            entry = tarfile.TarInfo(one.target.lstrip("/"))
            entry.mtime = int(at_s)
            entry.size, entry.mode = len(data), one.use.get("mode", _MODE)
            entry.uid, entry.gid = int(one.use.get("uid") or 0), int(one.use.get("gid") or 0)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()
