"""Event: something that happened to an object, told to people.

Source: Kubernetes v1 API, Event; printed columns as `kubectl get events`.
"""

from __future__ import annotations

from collections.abc import Callable

from coracle.core.errors import invalid, required
from coracle.core.kind import Column, Kind, Problems
from coracle.core.names import qualified_faults
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema

LONGEST_WORD, LONGEST_NOTE = 128, 1024  # characters, of an event with a time


def default(event: Object) -> Object:
    body = {name: value for name, value in event.body.items() if value is not None}
    filled = {"source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": None, **body}
    series: dict[str, str] = {"reportingComponent": "", "reportingInstance": ""}
    return Object(event.kind, event.meta, {**series, **filled}, event.api)


def validate(event: Object) -> Problems:
    """An event with `eventTime` is held to more; it may be of another namespace than what it is about."""
    named, room = (event.body.get("involvedObject") or {}).get("namespace") or "", event.meta.namespace
    if event.body.get("eventTime"):
        astray = not named and room not in ("default", "kube-system")
        return (_astray(named) if astray else []) + _complete(event)
    return _astray(named) if (named or "default") != room else []


def _astray(named: str) -> Problems:
    return [invalid("involvedObject.namespace", named, "does not match event.namespace")]


def _complete(event: Object) -> Problems:
    problems: Problems = []
    said = event.body.get
    reporter = said("reportingComponent") or ""
    problems += [] if reporter else [required("reportingComponent")]
    problems += [invalid("reportingComponent", reporter, fault) for fault in qualified_faults(reporter)]
    for name in ("reportingInstance", "action", "reason"):
        problems += [] if said(name) else [required(name)]
        problems += _not_longer(name, said(name) or "", LONGEST_WORD)
    return problems + _not_longer("message", said("message") or "", LONGEST_NOTE)


def _not_longer(field: str, text: str, most: int) -> Problems:
    return [invalid(field, "", f"can have at most {most} characters")] if len(text) > most else []


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
