"""Lists: which objects, as of which revision, how many at a time.

Pages of one list are of one revision.  Nothing is kept between them: the state at an earlier revision is the present
one with the changes since undone, as long as the store's history reaches back and a few minutes at most; then 410
Expired, with a token to go on from the same place in the present state.

Source: Kubernetes API concepts, "Retrieving large results sets in chunks", "Resource versions".
"""

from __future__ import annotations

import base64
import binascii
import bisect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import orjson

from coracle.core.errors import Expired, Invalid, Malformed, Problem, Timeout, forbidden, not_supported
from coracle.core.kind import Kind
from coracle.core.object import Key
from coracle.core.selectors import EVERYTHING, FieldRequirement, Selector, parse_fields, parse_selector
from coracle.core.store import Entry, Snapshot, Store
from coracle.web.messages import Request

_META_FIELDS = ("metadata.name", "metadata.namespace")
_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
PAGES_LAST_S = 300  # as long as Kubernetes keeps what has changed since, whatever there is of it
_AS_IT_IS = -1  # in place of a revision: go on with the present state


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind are meant."""

    kind: Kind
    namespace: str | None = None
    labels: Selector = EVERYTHING
    fields: tuple[FieldRequirement, ...] = ()

    @property
    def everything(self) -> bool:
        return not self.labels.requirements and not self.fields

    def accepts(self, entry: Entry) -> bool:
        """Decodes the object only where a field asks for it."""
        if self.namespace is not None and entry.key.namespace != self.namespace:
            return False
        if self.labels.requirements and not self.labels.accepts(entry.labels):
            return False
        return not self.fields or self._fields_accept(entry)

    def _fields_accept(self, entry: Entry) -> bool:
        of_meta = {"metadata.name": entry.key.name, "metadata.namespace": entry.key.namespace}
        needs = [need for need in self.fields if need.path not in of_meta]
        if any((of_meta[need.path] == need.value) != need.equal for need in self.fields if need.path in of_meta):
            return False
        if not needs:
            return True
        obj = entry.object()
        return all((self.kind.fields[need.path](obj) == need.value) == need.equal for need in needs)


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list.  `next_key` is the last key of this page where there are more; `remaining` of them, if known.

    `since_s`: when its first page was given out (seconds since 1970).
    """

    revision: int
    entries: Sequence[Entry]
    next_key: Key | None = None
    remaining: int | None = None
    since_s: int = 0

    @property
    def meta(self) -> dict[str, object]:
        """metav1.ListMeta."""
        meta: dict[str, object] = {"resourceVersion": str(self.revision)}
        if self.next_key is not None:
            meta["continue"] = _Token(self.revision, self.next_key, self.since_s).text
            if self.remaining is not None:
                meta["remainingItemCount"] = self.remaining
        return meta


def read_selection(request: Request, kind: Kind, namespace: str | None, name: str = "") -> Selection:
    """labelSelector and fieldSelector, and the one object where `name` says so.  Raises Malformed."""
    labels = parse_selector(request.query.get("labelSelector"))
    fields = parse_fields(request.query.get("fieldSelector"), (*_META_FIELDS, *kind.fields))
    if name:
        fields = (FieldRequirement("metadata.name", name), *fields)
    return Selection(kind, namespace, labels, fields)


async def read_page(request: Request, store: Store, selection: Selection, now_s: float) -> Page:
    """The part of the list that limit, continue, resourceVersion and resourceVersionMatch ask for.

    Raises: Malformed, Invalid (parameters), Expired (the revision is gone), Timeout (it is not there yet).
    """
    query = request.query
    limit = read_number(query.get("limit"), "limit")
    token = query.get("continue")
    version = query.get("resourceVersion")
    _check_match(query.get("resourceVersionMatch"), version, token)
    if token:
        if version not in ("", "0"):
            raise Malformed("specifying resource version is not allowed when using continue")
        return await _next_page(store, selection, limit, _Token.read(token), int(now_s))
    snapshot = store.list(selection.kind.type, selection.namespace)
    asked = read_revision(request, store)
    if asked and _wants_exactly(query.get("resourceVersionMatch"), limit):
        said = f"The resourceVersion for the provided list is too old: {asked}"
        snapshot = await _snapshot(store, selection, asked, Expired(said))
    return replace(_page(snapshot, selection, limit, None), since_s=int(now_s))


async def _next_page(store: Store, selection: Selection, limit: int, token: _Token, now_s: int) -> Page:
    if token.revision == _AS_IT_IS:
        snapshot = store.list(selection.kind.type, selection.namespace)
        return replace(_page(snapshot, selection, limit, token.start), since_s=now_s)
    too_old = Expired(_TOO_OLD, onward=token._replace(revision=_AS_IT_IS).text)
    if now_s - token.since_s > PAGES_LAST_S:
        raise too_old
    snapshot = await _snapshot(store, selection, token.revision, too_old)
    return replace(_page(snapshot, selection, limit, token.start), since_s=token.since_s)


def read_revision(request: Request, store: Store) -> int:
    """The resourceVersion that the answer must be at least of, 0 where any will do.  Raises Malformed, Timeout."""
    asked = read_number(request.query.get("resourceVersion"), "resourceVersion")
    if asked > store.revision:
        raise Timeout(f"Too large resource version: {asked}, current: {store.revision}", ahead=True)
    return asked


def read_number(text: str, name: str) -> int:
    """A query's number, 0 where it is not there.  Raises Malformed."""
    if not text:
        return 0
    if not re.fullmatch("-?[0-9]{1,18}", text, re.ASCII):
        raise Malformed(f'{name}: Invalid value: "{text}": strconv.ParseInt: parsing "{text}": invalid syntax')
    return max(0, int(text))


def _wants_exactly(match: str, limit: int) -> bool:
    """A revision that is named for the first of several pages is meant exactly, where nothing else is said."""
    return match == "Exact" or (not match and limit > 0)


def _check_match(match: str, version: str, token: str) -> None:
    problems: list[Problem] = []
    path = "resourceVersionMatch"
    if match and token:
        problems.append(forbidden(path, "resourceVersionMatch is forbidden when continue is provided"))
    elif match and not version:
        problems.append(forbidden(path, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
    elif match and match not in ("Exact", "NotOlderThan"):
        problems.append(not_supported(path, match, ("Exact", "NotOlderThan", "")))
    elif match == "Exact" and version == "0":
        problems.append(forbidden(path, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if problems:
        raise Invalid(problems, kind="ListOptions.meta.k8s.io")


async def _snapshot(store: Store, selection: Selection, revision: int, too_old: Expired) -> Snapshot:
    type, namespace = selection.kind.type, selection.namespace
    if revision < 0 or revision > store.revision:
        raise Malformed("continue key is not valid: incorrect encoded start resourceVersion")
    present = store.list(type, namespace)
    if present.revision == revision:
        return present
    try:
        entries = await _undone(store, type, namespace, revision, present.entries)
    except Expired as error:
        raise too_old from error
    return Snapshot(revision, entries)


async def _undone(
    store: Store, type: str, namespace: str | None, revision: int, present: Sequence[Entry]
) -> Sequence[Entry]:
    """What was there at `revision`: the present state with every change since taken back."""
    now = store.revision
    watch = store.watch(type, revision)
    watch.progress()  # so that there is a batch even if nothing has changed
    first: dict[Key, Entry | None] = {}
    try:
        async for batch in watch:
            for event in batch.events:
                first.setdefault(event.entry.key, event.before)
            if batch.revision >= now:
                break
    finally:
        watch.close()
    if not first:
        return present
    then = {entry.key: entry for entry in present if entry.key not in first}
    for key, entry in first.items():
        if entry is not None and namespace in (None, key.namespace):
            then[key] = entry
    return [then[key] for key in sorted(then)]


def _page(snapshot: Snapshot, selection: Selection, limit: int, start: Key | None) -> Page:
    entries = snapshot.entries
    if start is not None:
        entries = entries[bisect.bisect_right(entries, start, key=_key) :]
    if selection.everything:
        if not limit or len(entries) <= limit:
            return Page(snapshot.revision, entries)
        return Page(snapshot.revision, entries[:limit], entries[limit - 1].key, len(entries) - limit)
    return _selected(snapshot.revision, entries, selection.accepts, limit)


def _selected(revision: int, entries: Sequence[Entry], accepts: Callable[[Entry], bool], limit: int) -> Page:
    """How many remain is not counted where a selector is asked for, as in Kubernetes."""
    if not limit:
        return Page(revision, [entry for entry in entries if accepts(entry)])
    found: list[Entry] = []
    for entry in entries:
        if accepts(entry):
            if len(found) == limit:
                return Page(revision, found, found[-1].key)
            found.append(entry)
    return Page(revision, found)


def _key(entry: Entry) -> Key:
    return entry.key


class _Token(NamedTuple):
    """Where a list goes on: after the object `start`, in the state at `revision`; for so long after `since_s`."""

    revision: int
    start: Key
    since_s: int

    @property
    def text(self) -> str:
        doc = {"v": "meta.k8s.io/v1", "rv": self.revision, "start": [*self.start], "since": self.since_s}
        return base64.urlsafe_b64encode(orjson.dumps(doc)).rstrip(b"=").decode()

    @classmethod
    def read(cls, token: str) -> _Token:
        """Raises Malformed."""
        try:
            doc = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            namespace, name = doc["start"]
            return cls(int(doc["rv"]), Key(str(namespace), str(name)), int(doc["since"]))
        except (binascii.Error, ValueError, KeyError, TypeError, OverflowError) as error:
            raise Malformed(f"continue key is not valid: {error}") from error
