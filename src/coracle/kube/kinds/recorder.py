"""Tell people what happened: Events, written beside the work that causes them, never in its way.

`emit` notes and returns; the recorder, a Part, writes.  The same thing said again raises the count of the Event that
says it; while one write is under way, repetitions gather and become one more.  A recorder that cannot write says so in
the log and goes on.

Source: Kubernetes v1 API, Event; client-go's event correlation (what counts as the same).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from coracle.core.clock import Clock, from_rfc3339, rfc3339
from coracle.core.collection import Collection, Deletion
from coracle.core.errors import AlreadyExists, CloudError, NotFound
from coracle.core.object import Json, Key, Meta, Object
from coracle.core.workqueue import Workqueue

log = logging.getLogger(__name__)

LIFETIME_S = 3600.0
_REMEMBERED = 4096  # things said, of which a repetition is recognised
_MOST_WAITING = 10_000  # things to write; more are dropped, for they come from something gone wild
_WORKERS, _TRIES = 4, 3
_LONGEST_MESSAGE = 1024


class _Said(NamedTuple):
    """What was said of which object: saying it again is a repetition."""

    about: tuple[str, str, str, str, str, str]  # kind, API, namespace, name, uid, field path
    type: str  # "Normal" or "Warning"
    reason: str
    message: str


class _Waiting(NamedTuple):
    """How often it was said since it was last written, and between when (seconds since 1970)."""

    times: int
    first_s: float
    last_s: float


class EventRecorder:
    """One component's voice.  `host` is the node it speaks from, if it does.  A Part."""

    def __init__(self, events: Collection, clock: Clock, component: str, host: str = "") -> None:
        self._events, self._clock = events, clock
        self._component, self._host = component, host
        self._waiting: dict[_Said, _Waiting] = {}
        self._written: OrderedDict[_Said, Key] = OrderedDict()
        self._queue: Workqueue[_Said] = Workqueue()

    def emit(self, obj: Object, type: str, reason: str, message: str, *, field: str = "") -> None:
        """Note that this happened to `obj`.  Never raises or waits.

        `type` is "Normal" or "Warning", `field` a path in the object (`spec.containers{www}`).
        """
        about = (obj.kind, obj.api, obj.meta.namespace, obj.meta.name, obj.meta.uid, field)
        said = _Said(about, type, reason, message[:_LONGEST_MESSAGE])
        now_s = self._clock.now_s()
        before = self._waiting.get(said)
        if before is None and len(self._waiting) >= _MOST_WAITING:
            log.warning("event dropped: %s %s: %s", reason, obj.key, message)
            return
        self._waiting[said] = _Waiting(before.times + 1, before.first_s, now_s) if before else _Waiting(1, now_s, now_s)
        self._queue.add(said)

    async def run(self, up: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(_WORKERS):
                group.create_task(self._work(), name=f"events-{self._component}-{number}")
            up()

    async def _work(self) -> None:
        while True:
            said = await self._queue.take()
            waiting = self._waiting.pop(said)
            try:
                await self._write(said, waiting)
            except CloudError as error:
                log.debug("event not written: %s %s: %s", said.reason, said.about[3], error)
            except Exception:
                log.exception("event not written: %s %s", said.reason, said.about[3])
            finally:
                self._queue.done(said)

    async def _write(self, said: _Said, waiting: _Waiting) -> None:
        known = self._written.get(said)
        if known is not None:
            try:
                await self._events.change(known, lambda event: _repeated(event, waiting))
                self._written.move_to_end(said)
                return
            except NotFound:
                pass  # it has been removed since: say it anew
        made = await self._create(self._event(said, waiting))
        self._written[said] = made.key
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)

    async def _create(self, event: Object) -> Object:
        """Two things said at once may come to the same name: the later one gets another."""
        for _ in range(_TRIES):
            try:
                return await self._events.create(event)
            except AlreadyExists:
                event = event.with_meta(name=f"{event.meta.name}0")
        return await self._events.create(event)

    def _event(self, said: _Said, waiting: _Waiting) -> Object:
        kind, api, namespace, name, uid, field = said.about
        room = namespace or "default"
        about: Json = {
            "kind": kind,
            "namespace": namespace,
            "name": name,
            "uid": uid,
            "apiVersion": api,
            "fieldPath": field,
        }
        source = {"component": self._component, **({"host": self._host} if self._host else {})}
        return Object(
            "Event",
            Meta(name=f"{name}.{int(waiting.first_s * 1e9) + _spread(said):x}", namespace=room),
            {
                "involvedObject": {field: value for field, value in about.items() if value},
                "reason": said.reason,
                "message": said.message,
                "source": source,
                "firstTimestamp": rfc3339(waiting.first_s),
                "lastTimestamp": rfc3339(waiting.last_s),
                "count": waiting.times,
                "type": said.type,
                "reportingComponent": self._component,
                "reportingInstance": self._host,
            },
        )


def _spread(said: _Said) -> int:
    """Nanoseconds that tell apart the names of two things said at once of one object."""
    return hash((said.reason, said.message)) % 1000


def _repeated(event: Object, waiting: _Waiting) -> Object:
    return event.with_body(count=event.body.get("count", 1) + waiting.times, lastTimestamp=rfc3339(waiting.last_s))


class EventExpiry:
    """Removes Events an hour after they were last said.  A Part; sleeps until the next one is due.

    Each is looked into once for every time that it is said; some at a time, for there may be many thousands.
    """

    def __init__(self, events: Collection, clock: Clock, lifetime_s: float = LIFETIME_S) -> None:
        self._events, self._clock, self._lifetime_s = events, clock, lifetime_s
        self._due: dict[Key, tuple[int, float]] = {}

    async def run(self, up: Callable[[], None]) -> None:
        up()
        rest_s = _AT_FIRST_S
        while True:
            await self._clock.sleep(rest_s)
            rest_s = await self._remove_old()

    async def _remove_old(self) -> float:
        """Returns how long it is until there may be something to remove again (seconds)."""
        await self._look()
        now_s = self._clock.now_s()
        old = {key: revision for key, (revision, due_s) in self._due.items() if due_s <= now_s}
        for key, revision in old.items():
            del self._due[key]
            with contextlib.suppress(CloudError):  # said again meanwhile, or the store is full: the next look knows
                await self._events.delete(key, Deletion(revision=revision), missing_ok=True)
        left_s = min((due_s for _, due_s in self._due.values()), default=now_s + self._lifetime_s) - now_s
        return max(left_s, _NOT_MORE_OFTEN_S)

    async def _look(self) -> None:
        """Bring `_due` up to date: by key, the revision looked at, and when it is to go."""
        present = {entry.key: entry for entry in self._events.entries()}
        self._due = {key: due for key, due in self._due.items() if key in present and present[key].revision == due[0]}
        fresh = [entry for key, entry in present.items() if key not in self._due]
        for begin in range(0, len(fresh), _AT_A_TIME):
            for entry in fresh[begin : begin + _AT_A_TIME]:
                self._due[entry.key] = entry.revision, _last_s(entry.object()) + self._lifetime_s
            await self._clock.sleep(0)  # others have their turn


_AT_FIRST_S = 10.0  # a start has more urgent things to do
_NOT_MORE_OFTEN_S = 60.0  # so that a stream of Events is removed in batches, not one by one
_AT_A_TIME = 100


def _last_s(event: Object) -> float:
    series = (event.body.get("series") or {}).get("lastObservedTime")
    said = series or event.body.get("lastTimestamp") or event.body.get("eventTime") or event.meta.created
    return from_rfc3339(str(said))
