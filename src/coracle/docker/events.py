"""What happens, told to whoever listens: Docker's events.

What begins and ends a container is read off its record, so that pods' containers are told of as well; everything else
is told by who does it.  The last 1,024 are kept for those who ask `since`, fewer where they are large (their labels).

    {"Type": "container", "Action": "die", "Actor": {"ID": id, "Attributes": {"name": .., "image": .., "exitCode": ..}},
     "scope": "local", "time": seconds, "timeNano": nanoseconds, "status": "die", "id": id, "from": image}

Source: Docker Engine API, "Monitor events"; `docker events` of the CLI reference.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from coracle.core.clock import Clock, from_rfc3339
from coracle.core.errors import Exhausted
from coracle.core.informer import Informer
from coracle.core.object import Object
from coracle.core.store import Event as Change
from coracle.core.store import Store
from coracle.web.messages import dumps

KEPT = 1024
BACKLOG = 4096  # of one listener that does not keep up
LIMIT_BYTES = 16 * 1024 * 1024  # of either


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `line` is how it is sent, with its line break."""

    type: str
    action: str
    id: str
    attributes: Mapping[str, str]
    at_ns: int
    line: bytes


class Listener:
    """Events from one moment on, as far as `wants` wants them.  A context manager."""

    def __init__(self, listeners: set[Listener], wants: Callable[[Event], bool]) -> None:
        self._listeners, self._wants = listeners, wants
        self._waiting: deque[Event] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()

    def put(self, event: Event) -> None:
        if not self._is_behind() and self._wants(event):
            self._waiting.append(event)
            self._waiting_bytes += len(event.line)
            self._changed.set()

    async def next(self) -> list[Event]:
        """At least one.  Raises Exhausted: events came faster than this listener took them."""
        await self._changed.wait()
        self._changed.clear()
        if self._is_behind():
            raise Exhausted("the listener does not keep up with events")
        events = list(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        return events

    def _is_behind(self) -> bool:
        return len(self._waiting) >= BACKLOG or self._waiting_bytes >= LIMIT_BYTES

    def __enter__(self) -> Listener:
        self._listeners.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._listeners.discard(self)


class Events:
    """A Part: from when it runs, records tell of containers."""

    def __init__(self, store: Store, containers: Informer, clock: Clock) -> None:
        self._store, self._containers, self._clock = store, containers, clock
        self._kept: deque[Event] = deque()
        self._kept_bytes = 0
        self._listeners: set[Listener] = set()
        self._last_ns = 0

    async def run(self, up: Callable[[], None]) -> None:
        self._containers.listen(self._record_changed)
        up()
        await asyncio.get_running_loop().create_future()

    async def publish(self, type: str, action: str, id: str, attributes: Mapping[str, str] | None = None) -> None:
        """Tell of an action, after everything that the records tell up to now."""
        await self._containers.wait_revision(self._store.revision)
        self._tell(type, action, id, attributes or {})

    async def publish_container(self, action: str, record: Object, attributes: Mapping[str, str] | None = None) -> None:
        """The same, of a container and with what every event of it says."""
        await self.publish("container", action, record.meta.name, {**attributes_of(record), **(attributes or {})})

    def listen(self, wants: Callable[[Event], bool]) -> Listener:
        """To be entered at once."""
        return Listener(self._listeners, wants)

    def kept(self) -> tuple[Event, ...]:
        """The last ones, oldest first."""
        return tuple(self._kept)

    def _record_changed(self, change: Change) -> None:
        after = change.entry.object()
        before = change.before.object() if change.before is not None and change.type == "MODIFIED" else None
        for action, more in actions(before, after, gone=change.type == "DELETED"):
            self._tell("container", action, after.meta.name, {**attributes_of(after), **more})

    def _tell(self, type: str, action: str, id: str, attributes: Mapping[str, str]) -> None:
        self._last_ns = max(self._last_ns + 1, int(self._clock.now_s() * 1e9))
        event = Event(type, action, id, attributes, self._last_ns, _line(type, action, id, attributes, self._last_ns))
        self._kept.append(event)
        self._kept_bytes += len(event.line)
        while len(self._kept) > KEPT or self._kept_bytes > LIMIT_BYTES:
            self._kept_bytes -= len(self._kept.popleft().line)
        for listener in tuple(self._listeners):
            listener.put(event)


def attributes_of(record: Object) -> dict[str, str]:
    """What every event of a container says: its labels, image and name."""
    asked = (record.spec.get("details") or {}).get("Config") or {}
    image = asked.get("Image") or record.spec["image"]
    return {**record.meta.labels, "image": str(image), "name": str(record.spec["name"])}


def actions(before: Object | None, after: Object, *, gone: bool = False) -> list[tuple[str, dict[str, str]]]:
    """What a record's change says has happened, and what is said of it besides; pure."""
    if gone:
        return [("destroy", {})]
    if before is None:
        return [("create", {})]
    was, now = before.status["state"], after.status["state"]
    happened: list[tuple[str, dict[str, str]]] = []
    if was == now or now not in ("running", "exited"):
        return happened
    if was != "running":
        happened.append(("start", {}))
    if now == "exited":
        if after.status.get("oom_killed"):
            happened.append(("oom", {}))
        happened.append(("die", _ending(after)))
    return happened


def _ending(record: Object) -> dict[str, str]:
    status = record.status
    lasted_s = from_rfc3339(status["finished_at"]) - from_rfc3339(status["started_at"])
    return {"exitCode": str(status["exit_code"]), "execDuration": str(max(0, int(lasted_s)))}


def _line(type: str, action: str, id: str, attributes: Mapping[str, str], at_ns: int) -> bytes:
    said: dict[str, Any] = {}
    if type in ("container", "image"):
        said = {"status": action, "id": id}
    if type == "container":
        said["from"] = attributes.get("image", "")
    said |= {"Type": type, "Action": action, "Actor": {"ID": id, "Attributes": dict(attributes)}}
    said |= {"scope": "local", "time": at_ns // 10**9, "timeNano": at_ns}
    return dumps(said) + b"\n"
