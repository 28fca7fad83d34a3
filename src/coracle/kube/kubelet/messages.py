"""What a container leaves to say at its end: a file of its own, mounted at terminationMessagePath.

The file belongs to the attempt, outlives the pod's sandbox and goes with the pod, so that a restarted kubelet finds it
again.  With FallbackToLogsOnError a container that has failed without a word is quoted by the end of its log.

Source: Kubernetes documentation, "Determine the Reason for Pod Failure"; kubelet's getTerminationMessage.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Mapping
from typing import Any

from coracle.core.errors import NotFound
from coracle.core.object import Object
from coracle.core.tasks import offload
from coracle.engine.logs import Logs
from coracle.engine.scratch import Scratch
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.records import Attempt, Present, container_of
from coracle.runtime.api import Mount

LONGEST_BYTES = 4096
_LOG_LINES, _LOG_BYTES = 80, 2048
_OWNER, _FILE = "messages-", "message"


class Messages:
    """Keeps the files, and reads what is in them."""

    def __init__(self, directories: Scratch, logs: Logs) -> None:
        self._directories, self._logs = directories, logs

    async def mount(self, pod: Object, container: Mapping[str, Any], number: int) -> tuple[Mount, ...]:
        """Where attempt `number` of `container` shall write.  Raises Exhausted, Broken."""
        target = container.get("terminationMessagePath")
        if not target:
            return ()
        path = await self._directories.scratch(_OWNER + pod.meta.uid, f"{container['name']}-{number}")
        source = f"{path}/{_FILE}"
        await offload(_make_file, source)
        return (Mount(target=target, source=source, options=("bind", "rprivate")),)

    async def listen(self, pod: Object, present: Present, notes: Notes) -> None:
        """Note what those have said that have ended since."""
        for attempt in present.all:
            if attempt.ended and attempt.id not in notes.messages:
                notes.messages[attempt.id] = await self._read(pod, attempt)

    async def drop(self, pod_uid: str) -> None:
        """Remove all messages of a pod.  Idempotent."""
        await self._directories.drop_scratch(_OWNER + pod_uid)

    async def owners(self) -> list[str]:
        """The uids of the pods that have left messages."""
        return [name.removeprefix(_OWNER) for name in await self._directories.owners() if name.startswith(_OWNER)]

    async def _read(self, pod: Object, attempt: Attempt) -> str:
        container = container_of(pod, attempt.container)
        if not container.get("terminationMessagePath"):
            return ""
        path = await self._directories.scratch(_OWNER + pod.meta.uid, f"{attempt.container}-{attempt.number}")
        said = await offload(_read_file, f"{path}/{_FILE}")
        silent = not said and attempt.exit_code and attempt.state == "exited"
        if silent and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            said = await self._end_of_log(attempt.id)
        return said.decode(errors="replace")

    async def _end_of_log(self, id: str) -> bytes:
        lines: deque[bytes] = deque(maxlen=_LOG_LINES)
        with contextlib.suppress(NotFound):
            async for line in self._logs.read(id, tail_lines=_LOG_LINES):
                lines.append(line.data if line.partial else line.data + b"\n")
        return b"".join(lines)[-_LOG_BYTES:]


def _make_file(path: str) -> None:
    """Whoever the container runs as may write it."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    with contextlib.closing(os.fdopen(fd, "wb")):
        os.fchmod(fd, 0o666)


def _read_file(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return b""
    with os.fdopen(fd, "rb") as file:
        return file.read(LONGEST_BYTES)
