"""Event: something that happened to an object, told to people.

Source: Kubernetes v1 API, Event; printed columns as `kubectl get events`.
"""

from __future__ import annotations

from collections.abc import Callable

from coracle.core.errors import invalid
from coracle.core.kind import Column, Kind, Problems
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema


def default(event: Object) -> Object:
    body = {name: value for name, value in event.body.items() if value is not None}
    filled = {"source": {}, "firstTimestamp": None, "lastTimestamp": None, **body}
    series: dict[str, str] = {"reportingComponent": "", "reportingInstance": ""}
    return Object(event.kind, event.meta, {**series, **filled}, event.api)


def validate(event: Object) -> Problems:
    about = event.body.get("involvedObject") or {}
    room = about.get("namespace") or "default"
    if room != event.meta.namespace:
        return [invalid("involvedObject.namespace", about.get("namespace") or "", "does not match event.namespace")]
    return []


def _about(name: str) -> Callable[[Object], str]:
    return lambda event: str((event.body.get("involvedObject") or {}).get(name) or "")


def _said(name: str) -> Callable[[Object], str]:
    return lambda event: str(event.body.get(name) or "")


def _source(event: Object) -> str:
    source = event.body.get("source") or {}
    name, host = source.get("component") or event.body.get("reportingComponent") or "", source.get("host")
    return f"{name}, {host}" if host else str(name)


def _first(event: Object) -> str:
    return str(event.body.get("firstTimestamp") or event.body.get("eventTime") or event.meta.created)


def _last(event: Object) -> str:
    series = (event.body.get("series") or {}).get("lastObservedTime")
    return str(series or event.body.get("lastTimestamp") or _first(event))


def _object(event: Object) -> str:
    return f"{_about('kind')(event).lower()}/{_about('name')(event)}"


KIND = Kind(
    name="Event",
    plural="events",
    singular="event",
    short=("ev",),
    schema=schema("v1", "Event"),
    default=default,
    validate=validate,
    fields={
        **{
            f"involvedObject.{name}": _about(name)
            for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        },
        "reason": _said("reason"),
        "type": _said("type"),
        "reportingComponent": _said("reportingComponent"),
        "source": lambda event: str(
            (event.body.get("source") or {}).get("component") or event.body.get("reportingComponent") or ""
        ),
    },
    columns=(
        Column("Last Seen", lambda event, now_s: printing.since(_last(event), now_s)),
        printing.text("Type", _said("type")),
        printing.text("Reason", _said("reason")),
        printing.text("Object", _object),
        printing.wide("Subobject", _about("fieldPath")),
        printing.wide("Source", _source),
        printing.text("Message", lambda event: _said("message")(event).strip()),
        Column("First Seen", lambda event, now_s: printing.since(_first(event), now_s), priority=1),
        Column("Count", lambda event, _now: event.body.get("count") or 1, "integer", priority=1),
        Column("Name", lambda event, _now: event.meta.name, format="name", priority=1),
    ),
    name_rule="path",
    counts_generations=False,
)
