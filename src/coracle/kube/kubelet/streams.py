"""Logs, exec and attach of pods: finds the container that is meant and hands its streams to the API's edge.

Matches `kube.api.streams.PodStreams` (edge and kubelet do not know each other; `node` joins them).
Source: Kubernetes documentation, "Logging Architecture"; kubelet's validateContainerLogStatus.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, Protocol, cast

from coracle.core.errors import Conflict, Malformed, NotFound, Unavailable
from coracle.core.object import Object
from coracle.engine.dialing import connect_inside
from coracle.engine.execs import Execs
from coracle.engine.logs import LogLine, Logs
from coracle.kube.kubelet.records import Attempt, Present, Records, statuses_of
from coracle.runtime.api import Execution, Streams


class LogWish(Protocol):
    """`kube.api.streams.LogOptions`, by its shape."""

    @property
    def follow(self) -> bool: ...
    @property
    def previous(self) -> bool: ...
    @property
    def timestamps(self) -> bool: ...
    @property
    def tail_lines(self) -> int | None: ...
    @property
    def since_at_s(self) -> float | None: ...
    @property
    def limit_bytes(self) -> int | None: ...


class PodStreams:
    """The streams of the pods that run, or have run, on this node.

    `answers`: whether the kubelet does; everything raises Unavailable while it does not.
    """

    def __init__(self, records: Records, logs: Logs, execs: Execs, answers: Callable[[], bool] = lambda: True) -> None:
        self._records, self._logs, self._execs = records, logs, execs
        self._answers = answers

    async def logs(self, pod: Object, container: str, options: LogWish) -> AsyncIterator[bytes]:
        """Whole lines as kubectl prints them.

        Raises (before the first line): Malformed in the kubelet's words, where there is nothing to show yet.
        """
        attempt = chosen(pod, container, self._present(pod), previous=options.previous)
        lines = self._logs.read(
            attempt.id,
            follow=options.follow,
            tail_lines=options.tail_lines,
            since_s=options.since_at_s,
        )
        return printed(lines, options)

    async def exec(
        self, pod: Object, container: str, argv: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> Execution:
        """A program beside the container's own.  Raises NotFound, Conflict (not running), Invalid."""
        return await self._execs.start(self._running(pod, container).id, argv, stdin=stdin, tty=tty)

    async def attach(self, pod: Object, container: str) -> Streams:
        """The container's own streams from now on.  Raises NotFound, Conflict (not running)."""
        return await self._execs.attach(self._running(pod, container).id)

    async def connect(self, pod: Object, port: int) -> socket.socket:
        """A connection to localhost:`port` inside the pod.  Raises Conflict (it does not run), OSError."""
        sandbox = self._present(pod).sandbox
        if sandbox is None or sandbox.status.get("state") != "ready":
            raise Conflict("the pod's sandbox is not ready", kind="Pod", name=pod.meta.name)
        return await connect_inside(str(sandbox.status["netns_path"]), port)

    def _present(self, pod: Object) -> Present:
        if not self._answers():
            node = pod.spec.get("nodeName", "")
            raise Unavailable(f"error dialing backend: the kubelet of node {node} does not answer: connection refused")
        return self._records.of(pod.key).get(pod.meta.uid, Present())

    def _running(self, pod: Object, container: str) -> Attempt:
        attempt = self._present(pod).latest(container)
        if attempt is None:
            raise NotFound(f'container not found ("{container}")', kind="Container", name=container)
        if attempt.state != "running":
            raise Conflict(f"container {container} is not running", kind="Container", name=container)
        return attempt


def chosen(pod: Object, container: str, present: Present, *, previous: bool) -> Attempt:
    """The attempt whose log is asked for; pure.  Raises Malformed."""
    last, before = present.latest(container), present.before(container)
    waits = _waiting(pod, container)
    if previous:
        if last is not None and last.ended and waits:
            return last  # the present one is yet to come: this was the last
        if before is None:
            said = f'previous terminated container "{container}" in pod "{pod.meta.name}" not found'
            raise Malformed(said, kind="Pod", name=pod.meta.name)
        return before
    if last is None or last.state == "created":
        if before is not None:
            return before
        reason = waits.get("reason") or "ContainerCreating"
        why = "trying and failing to pull image" if reason in _PULLING else reason
        said = f'container "{container}" in pod "{pod.meta.name}" is waiting to start: {why}'
        raise Malformed(said, kind="Pod", name=pod.meta.name)
    return last


_PULLING = ("ErrImagePull", "ImagePullBackOff")


def _waiting(pod: Object, container: str) -> dict[str, Any]:
    statuses = (*statuses_of(pod), *(pod.status.get("ephemeralContainerStatuses") or ()))
    state: dict[str, Any] = next((one["state"] for one in statuses if one["name"] == container), {})
    return state.get("waiting") or {}


async def printed(lines: AsyncIterator[LogLine], options: LogWish) -> AsyncIterator[bytes]:
    """Lines as bytes, each ending in a newline unless the limit cuts it; with their times where asked."""
    left = options.limit_bytes
    inside: set[str] = set()  # streams that are in the middle of a line
    async with contextlib.aclosing(cast(AsyncGenerator[LogLine, None], lines)):
        async for line in lines:
            data = line.data if line.partial else line.data + b"\n"
            if options.timestamps and line.stream not in inside:
                data = line.at.encode() + b" " + data
            (inside.add if line.partial else inside.discard)(line.stream)
            data = data if left is None else data[:left]
            if data:
                yield data
            if left is not None:
                left -= len(data)
                if not left:
                    return
