"""The runtime's own commands, and its words when one fails."""

from __future__ import annotations

import re

from coracle.core.errors import CloudError, Conflict, NotFound
from coracle.runtime.api import Refusal

# crun: "2026-11-23T09:00:00.123456Z: executable file ..." or without the time.
# runc: `time="..." level=error msg="runc create failed: ..."`.
_RUNC_MESSAGE = re.compile(r'msg="((?:[^"\\]|\\.)*)"')
_CRUN_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z: ")
_CRUN_LEVEL = re.compile(r"^(?:error|\[crun:[^\]]*\]): ")


def words(said: str) -> str:
    """The runtime's last message, without time and level."""
    lines = [line.strip() for line in said.replace("\0", "").splitlines() if line.strip()]
    if not lines:
        return "the runtime failed without a word"
    found = _RUNC_MESSAGE.findall(lines[-1])
    if found:
        return str(found[-1]).replace('\\"', '"')
    return _CRUN_LEVEL.sub("", _CRUN_TIME.sub("", lines[-1]))


def failure(id: str, said: str) -> CloudError:
    """The error for a failed command about a container."""
    message = words(said)
    if "is paused" in message or "in a paused container" in message:
        return Conflict(f"container {id} is paused", kind="Container", name=id)
    if "is not running" in message or "cannot exec in a stopped container" in message:
        return Conflict(f"container {id} is not running", kind="Container", name=id)
    if "does not exist" in message and "container" in message:
        return NotFound(kind="Container", name=id)
    return Refusal(message=message, kind="Container", name=id)
