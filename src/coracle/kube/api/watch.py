"""Watches: every change after a revision as a line of JSON, in order, each once.

One push of the store is one write to the client.  Nothing polls: a timer asks the store for an empty batch when a
bookmark is due, or the end.

    resourceVersion absent or 0     what there is now as ADDED, then the changes
    sendInitialEvents=true          the same, and a bookmark that says so in between
    resourceVersion=n               the changes after n; an ERROR with 410 Expired where they are gone

Source: Kubernetes API concepts, "Efficient detection of changes"; apiserver's cacher for what selectors make of events.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass

from coracle.core.errors import CloudError, Expired, Invalid, Problem, forbidden, not_supported
from coracle.core.store import Entry, Event, Store, Watch, to_entry
from coracle.kube.api import tables
from coracle.kube.api.errors import status
from coracle.kube.api.lists import Selection, read_number
from coracle.kube.api.requests import is_true
from coracle.web.messages import Request, dumps

BOOKMARK_EVERY_S = 60.0
_LEAST_TIMEOUT_S = 1800  # without timeoutSeconds: as long as this, or up to twice as long


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """`since` None: from now on.  `initial`: first what there is; `marked`: then a bookmark that says so."""

    since: int | None
    initial: bool
    marked: bool
    bookmarks: bool
    timeout_s: float


def read_options(request: Request) -> WatchOptions:
    """Raises Malformed, Invalid."""
    query = request.query
    version, match = query.get("resourceVersion"), query.get("resourceVersionMatch")
    send = {"": None, "true": True, "1": True}.get(query.get("sendInitialEvents").lower(), False)
    _check_initial(send, match)
    since = read_number(version, "resourceVersion")
    initial = bool(send) if send is not None else since == 0
    timeout_s = read_number(query.get("timeoutSeconds"), "timeoutSeconds")
    return WatchOptions(
        since=None if initial or (send is False and not since) else since,
        initial=initial,
        marked=bool(send) and is_true(query.get("allowWatchBookmarks")),
        bookmarks=is_true(query.get("allowWatchBookmarks")),
        timeout_s=timeout_s or _LEAST_TIMEOUT_S * (1 + random.random()),  # noqa: S311 - spreads reconnections
    )


def _check_initial(send: bool | None, match: str) -> None:
    problems: list[Problem] = []
    path = "resourceVersionMatch"
    if send is None and match:
        problems.append(
            forbidden(path, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
        )
    elif send is not None and not match:
        problems.append(forbidden(path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    elif send is not None and match != "NotOlderThan":
        problems.append(not_supported(path, match, ("NotOlderThan",)))
    if problems:
        raise Invalid(problems, kind="ListOptions.meta.k8s.io")


@dataclass(frozen=True, slots=True)
class Lines:
    """Events of one kind as lines, in the form that one client asked for."""

    selection: Selection
    view: tables.View

    def event(self, event: Event, *, headed: bool) -> bytes:
        """The line of an event as this selection sees it; b"" where it does not concern it.

        An object that begins to match is ADDED, one that ceases to is DELETED, in its last state that matched.
        """
        entry, before = event.entry, event.before
        if self.selection.everything:
            if self.selection.namespace not in (None, entry.key.namespace):
                return b""
            return self.line(event.type, entry, headed=headed)
        matches = event.type != "DELETED" and self.selection.accepts(entry)
        matched = before is not None and self.selection.accepts(before)
        if matches:
            return self.line("MODIFIED" if matched else "ADDED", entry, headed=headed)
        if not matched or before is None:
            return b""
        last = entry if event.type == "DELETED" else _at_revision(before, entry.revision)
        return self.line("DELETED", last, headed=headed)

    def initial(self, entries: Iterable[Entry]) -> bytes:
        """What there is when the watch begins."""
        chosen = [entry for entry in entries if self.selection.accepts(entry)]
        return b"".join(self.line("ADDED", entry, headed=at == 0) for at, entry in enumerate(chosen))

    def line(self, type: str, entry: Entry, *, headed: bool) -> bytes:
        return _line(type, self.view.one(entry, headed=headed))

    def bookmark(self, revision: int, *, initial: bool = False) -> bytes:
        kind = self.selection.kind
        meta: dict[str, object] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        if self.view.form == "table":
            return _line("BOOKMARK", tables.table(kind, (), meta, headed=False))
        plain = self.view.form == "object"
        api, name = (kind.api, kind.name) if plain else (tables.META_API, "PartialObjectMetadata")
        return _line("BOOKMARK", dumps({"kind": name, "apiVersion": api, "metadata": meta}))


async def watch(store: Store, lines: Lines, options: WatchOptions) -> AsyncGenerator[bytes]:
    """The lines of one watch, until its time is over."""
    type = lines.selection.kind.type
    try:
        snapshot = store.list(type, lines.selection.namespace) if options.initial else None
        opened = store.watch(type, snapshot.revision if snapshot is not None else options.since)
    except Expired as error:
        yield _error(error)
        return
    try:
        headed = True
        if snapshot is not None:
            first = lines.initial(snapshot.entries)
            headed = not first
            if options.marked:
                first += lines.bookmark(snapshot.revision, initial=True)
            if first:
                yield first
        async for chunk in _changes(opened, lines, options, headed):
            yield chunk
    except Expired as error:
        yield _error(error)
    finally:
        opened.close()


async def _changes(opened: Watch, lines: Lines, options: WatchOptions, headed: bool) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + options.timeout_s
    wake = loop.call_at(_next(loop.time(), ends_at, options.bookmarks), opened.progress)
    try:
        async for batch in opened:
            chunks = []
            for event in batch.events:
                line = lines.event(event, headed=headed)
                if line:
                    chunks.append(line)
                    headed = False
            if loop.time() >= ends_at:
                if chunks:
                    yield b"".join(chunks)
                return
            if not batch.events:
                wake.cancel()
                wake = loop.call_at(_next(loop.time(), ends_at, options.bookmarks), opened.progress)
                if options.bookmarks:
                    chunks.append(lines.bookmark(batch.revision))
            if chunks:
                yield b"".join(chunks)
    finally:
        wake.cancel()


def _next(now_s: float, ends_at_s: float, bookmarks: bool) -> float:
    return min(now_s + BOOKMARK_EVERY_S, ends_at_s) if bookmarks else ends_at_s


def _at_revision(entry: Entry, revision: int) -> Entry:
    return to_entry(entry.object().with_meta(revision=revision))


def _line(type: str, raw: bytes) -> bytes:
    return b'{"type":"' + type.encode() + b'","object":' + raw + b"}\n"


def _error(error: CloudError) -> bytes:
    return _line("ERROR", dumps(status(error)))
