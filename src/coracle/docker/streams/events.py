"""GET /events: what has happened and what happens, one JSON object a line, each sent at once.

Source: Docker Engine API, "Monitor events"; moby daemon/events (what a filter matches).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from coracle.core.clock import Clock
from coracle.core.errors import Malformed
from coracle.docker.door import Route
from coracle.docker.events import Event, Events
from coracle.docker.filters import Filters, parse_filters
from coracle.docker.moments import moment
from coracle.web.messages import Answer, Request, Stream

_NAMED = ("container", "daemon", "network", "node", "plugin", "volume", "service", "secret", "config")
FILTERS = ("event", "image", "label", "scope", "type", *_NAMED)
_WITH_DETAIL = ("exec_create", "exec_start", "health_status")  # actions like "exec_start: sh", meant without the rest


@dataclass(frozen=True, slots=True)
class EventStream:
    """The area of the API that tells events."""

    bus: Events
    clock: Clock

    def routes(self) -> Iterable[Route]:
        return (Route("GET", "/events", self.listen),)

    async def listen(self, request: Request) -> Answer:
        """?since=&until=&filters= -> 200, until `until` or for ever"""
        since_s, until_s = moment(request, "since"), moment(request, "until")
        if since_s is not None and until_s is not None and until_s < since_s:
            said = f"`since` time ({request.query.get('since')}) cannot be after `until` time"
            raise Malformed(f"{said} ({request.query.get('until')})")
        filters = parse_filters(request.query.get("filters"), FILTERS)
        return Stream(200, self._lines(since_s, until_s, lambda event: is_wanted(filters, event)))

    async def _lines(
        self, since_s: float | None, until_s: float | None, wants: Callable[[Event], bool]
    ) -> AsyncIterator[bytes]:
        with self.bus.listen(wants) as listener:
            if since_s is not None:
                from_ns, to_ns = int(since_s * 1e9), int((until_s or 1e10) * 1e9)
                past = (event for event in self.bus.kept() if from_ns <= event.at_ns <= to_ns and wants(event))
                if lines := b"".join(event.line for event in past):
                    yield lines
            left_s = None if until_s is None else until_s - self.clock.now_s()
            if left_s is not None and left_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    while True:
                        yield b"".join(event.line for event in await listener.next())


def is_wanted(filters: Filters, event: Event) -> bool:
    """Whether an event passes; pure."""
    return (
        _allows_action(filters, event.action)
        and filters.allows("type", event.type)
        and filters.allows("scope", "local")
        and all(_allows_name(filters, name, event) for name in _NAMED)
        and _allows_image(filters, event)
        and filters.allows_labels(event.attributes)
    )


def _allows_action(filters: Filters, action: str) -> bool:
    if "event" not in filters:
        return True
    asked = filters.get("event")
    return action in asked or any(name in _WITH_DETAIL and action.startswith(name) for name in asked)


def _allows_name(filters: Filters, type: str, event: Event) -> bool:
    """The beginning of an id or a name; an attribute `container` counts as the name of one (networks say who joins)."""
    if type not in filters:
        return True
    said = (event.id, event.attributes.get("name", "")) if event.type == type else (event.attributes.get(type, ""),)
    return any(text.startswith(start) for start in filters.get(type) for text in said if text)


def _allows_image(filters: Filters, event: Event) -> bool:
    if "image" not in filters:
        return True
    name = event.attributes.get("name" if event.type == "image" else "image", "")
    return any(text in filters.get("image") for text in (event.id, name, _untagged(event.id), _untagged(name)) if text)


def _untagged(reference: str) -> str:
    """Without its tag: "localhost:5000/web:1" -> "localhost:5000/web"."""
    head, slash, last = reference.rpartition("/")
    return head + slash + last.partition("@")[0].partition(":")[0]
