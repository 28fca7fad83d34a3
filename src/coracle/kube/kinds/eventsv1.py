"""Event as events.k8s.io/v1 knows it: the same events under other names, held to more when they are written.

They are stored as the core's Events, whatever they were written as.

Source: Kubernetes events.k8s.io/v1 API, Event; what it asks of new and changed events beside the core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from coracle.core.errors import invalid, required
from coracle.core.kind import Problems
from coracle.core.object import Object
from coracle.kube.kinds import event as core
from coracle.kube.kinds.definitions import schema

API = "events.k8s.io/v1"
# Its name for a field, and the core's.
_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_CORE_NAMES = {there: here for here, there in _NAMES.items()}
_OLD = ("firstTimestamp", "lastTimestamp", "count", "source")
_FIXED = (
    "involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "type", "eventTime",
    "action", "related", "reportingComponent", "reportingInstance",
)  # fmt: skip
_FEWEST_IN_SERIES = 2


def shown(stored: Object) -> Object:
    """As a client of events.k8s.io/v1 reads it."""
    return Object(stored.kind, stored.meta, {"eventTime": None, **_renamed(stored, _CORE_NAMES)}, API)


def kept(given: Object) -> Object:
    """As it is stored."""
    return Object(given.kind, given.meta, _renamed(given, _NAMES), core.KIND.api)


def _renamed(event: Object, names: Mapping[str, str]) -> dict[str, object]:
    return {names.get(name, name): value for name, value in event.body.items()}


def stricter(new: Object, old: Object | None) -> Problems:
    """`new` and `old` as they are stored."""
    if old is not None:
        found = _series(new) if new.body.get("series") != old.body.get("series") else []
        now, before = core.default(new).body, core.default(old).body
        changed = [name for name in _FIXED if now.get(name) != before.get(name)]
        return found + [invalid(name, now.get(name), "field is immutable") for name in changed]
    problems = _series(new) + ([] if new.body.get("eventTime") else [required("eventTime")])
    if new.body.get("type") not in ("Normal", "Warning"):
        problems.append(invalid("type", "", f"has invalid value: {new.body.get('type') or ''}"))
    return problems + [invalid(name, "", "needs to be unset") for name in _OLD if new.body.get(name)]


def _series(event: Object) -> Problems:
    series = event.body.get("series")
    if series is None:
        return []
    few = (series.get("count") or 0) < _FEWEST_IN_SERIES
    problems = [invalid("series.count", "", f"should be at least {_FEWEST_IN_SERIES}")] if few else []
    return problems + ([] if series.get("lastObservedTime") else [required("series.lastObservedTime")])


def _here(name: str) -> str:
    """A field selector of the core as it is called here."""
    first, dot, rest = name.partition(".")
    return _CORE_NAMES.get(first, first) + dot + rest


_fields: dict[str, Callable[[Object], str]] = {
    _here(name): value for name, value in core.KIND.fields.items() if name != "source"
}
KIND = replace(
    core.KIND,
    api=API,
    schema=schema(API, "Event"),
    fields=_fields,
    shown=shown,
    kept=kept,
    stored_as=core.KIND.type,
    stricter=stricter,
)
