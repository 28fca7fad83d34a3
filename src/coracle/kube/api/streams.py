"""What the API edge asks of whoever runs the pods: logs, exec, attach.  The kubelet answers; `node` joins the two.

Shape: `pod` is the Pod as it is stored; `container` is the name of one of its containers (init and ephemeral ones
included) and was looked up before; `argv` is not empty.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from coracle.core.object import Object
from coracle.runtime.api import Execution, Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """metav1.PodLogOptions.  `since_at_s` is seconds since 1970; None: everything."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_at_s: float | None = None
    limit_bytes: int | None = None


class PodStreams(Protocol):
    """The streams of pods that run, or have run, here."""

    async def logs(self, pod: Object, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Whole lines as `kubectl logs` prints them, each ending in a newline; ends with the container under `follow`.

        Raises (before the first line): Malformed in the kubelet's words (`container "x" in pod "y" is waiting to
        start: ContainerCreating`, `previous terminated container "x" in pod "y" not found`); NotFound.
        """
        ...

    async def exec(
        self, pod: Object, container: str, argv: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> Execution:
        """A program started beside the container's own.

        Raises: Invalid or Malformed (it cannot be started, in the runtime's words), NotFound, Conflict (not running).
        """
        ...

    async def attach(self, pod: Object, container: str) -> Streams:
        """The container's own streams from now on.  Raises NotFound, Conflict (not running)."""
        ...

    async def connect(self, pod: Object, port: int) -> socket.socket:
        """A connection to localhost:`port` inside the pod, the caller's to close.  Raises Conflict, OSError."""
        ...
