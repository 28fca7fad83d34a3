"""Variables that an init container has left in a file of an emptyDir: `NAME='value'`, one after the other.

A value is in single quotes, taken as it is, and may have several lines; nothing else is accepted.

Source: Kubernetes documentation, "Define Environment Variable Values Using An Init Container: Env file syntax".
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from typing import Any

from coracle.core.tasks import offload
from coracle.kube.kubelet.environment import ConfigError, EnvFiles
from coracle.kube.kubelet.volumes.service import Volume
from coracle.linux.rooted import read_in_root

LARGEST_BYTES = 64 * 1024
_SKIPPED = re.compile(r"[ \t]*(?:#[^\n]*)?\n")
_ENTRY = re.compile(r"[ \t]*([!-<>-~](?:[ -<>-~]*[!-<>-~])?)[ \t]*=[ \t]*'([^']*)'[ \t]*\n")


def parse(text: str) -> dict[str, str]:
    """The variables of a file.  Raises ValueError, which names the line."""
    found: dict[str, str] = {}
    text, at = text + "\n", 0
    while at < len(text):
        skipped, entry = _SKIPPED.match(text, at), _ENTRY.match(text, at)
        if skipped is not None:
            at = skipped.end()
        elif entry is not None:
            found[entry[1]] = entry[2]
            at = entry.end()
        else:
            line = text.count("\n", 0, at) + 1
            raise ValueError(f"invalid environment variable format at line {line}")
    return found


async def read(container: Mapping[str, Any], volumes: Mapping[str, Volume]) -> EnvFiles:
    """The files that the container's variables are taken from.  Raises ConfigError."""
    found: dict[tuple[str, str], Mapping[str, str] | None] = {}
    for variable in container.get("env") or ():
        ref = (variable.get("valueFrom") or {}).get("fileKeyRef")
        if ref:
            found[ref["volumeName"], ref["path"]] = await _one(ref["volumeName"], ref["path"], volumes)
    return found


async def _one(name: str, path: str, volumes: Mapping[str, Volume]) -> Mapping[str, str] | None:
    if name not in volumes:
        raise ConfigError(f'cannot find the volume "{name}" referenced by FileKeyRef')
    try:
        data = await offload(read_in_root, volumes[name].path, path, LARGEST_BYTES)
        return None if data is None else parse(data.decode())
    except OSError as error:
        why = f"larger than {LARGEST_BYTES} bytes" if error.errno == errno.EFBIG else error.strerror
        raise ConfigError(f'couldn\'t read env file "{path}": {why}') from error
    except ValueError as error:
        raise ConfigError(f'couldn\'t parse env file "{path}": {error}') from error
