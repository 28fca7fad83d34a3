"""Objects as rows of a printed table, and as their metadata alone.

Source: metav1.Table, PartialObjectMetadata; Kubernetes API concepts, "Receiving resources as Tables".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from coracle.core.clock import Clock
from coracle.core.errors import Invalid, not_supported
from coracle.core.kind import Column, Kind
from coracle.core.object import Object
from coracle.core.store import Entry
from coracle.kube.api.negotiation import Form, wanted_form
from coracle.web.messages import Request, dumps

META_API = "meta.k8s.io/v1"
Include = Literal["None", "Metadata", "Object"]
Doc = dict[str, Any]

_NAME = Column("Name", lambda obj, _now_s: obj.meta.name, format="name")
_CREATED = Column("Created At", lambda obj, _now_s: obj.meta.created, type="date")


def columns(kind: Kind) -> tuple[Column, ...]:
    return kind.columns or (_NAME, _CREATED)


def definitions(kind: Kind) -> list[Doc]:
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format or ("name" if column.name.lower() == "name" else ""),
            "description": column.description,
            "priority": column.priority,
        }
        for column in columns(kind)
    ]


def table(kind: Kind, rows: Iterable[Doc], meta: Mapping[str, Any], *, headed: bool = True) -> bytes:
    """A Table as JSON; without its column definitions where not `headed`, as in a watch after the first event."""
    return dumps(
        {
            "kind": "Table",
            "apiVersion": META_API,
            "metadata": meta,
            "columnDefinitions": definitions(kind) if headed else [],
            "rows": list(rows),
        }
    )


def metadata(obj: Object) -> Doc:
    return {"kind": "PartialObjectMetadata", "apiVersion": META_API, "metadata": obj.meta.to_json()}


@dataclass(frozen=True, slots=True)
class View:
    """In which form one client is shown the objects of a kind."""

    kind: Kind
    clock: Clock
    form: Form = "object"
    include: Include = "Metadata"

    def one(self, entry: Entry, *, headed: bool = True) -> bytes:
        """An object as JSON; a table of one row for a watch has no column definitions unless `headed`."""
        if self.form == "object":
            return self._raw(entry)
        if self.form == "metadata":
            return dumps(metadata(entry.object()))
        meta = {"resourceVersion": str(entry.revision)}
        return table(self.kind, [self._row(entry)], meta, headed=headed)

    def many(self, entries: Iterable[Entry], meta: Mapping[str, Any]) -> list[bytes]:
        """A list as JSON, in pieces: objects are sent as they are stored.  `meta` is its metav1.ListMeta."""
        if self.form == "table":
            return [table(self.kind, map(self._row, entries), meta)]
        if self.form == "metadata":
            head = {"kind": "PartialObjectMetadataList", "apiVersion": META_API, "metadata": meta}
            return [dumps({**head, "items": [metadata(entry.object()) for entry in entries]})]
        start = dumps({"kind": f"{self.kind.name}List", "apiVersion": self.kind.api, "metadata": meta})
        return [start[:-1] + b',"items":[', b",".join([self._raw(entry) for entry in entries]), b"]}"]

    def _raw(self, entry: Entry) -> bytes:
        """The object in the version that is asked for."""
        if self.kind.shown is None:
            return entry.raw
        return dumps(self.kind.shown(entry.object()).to_json())

    def _row(self, entry: Entry) -> Doc:
        """The cells are of what is stored."""
        obj, now_s = entry.object(), self.clock.now_s()
        shown: Doc = {"cells": [column.cell(obj, now_s) for column in columns(self.kind)]}
        if self.include == "Object":
            shown["object"] = orjson.Fragment(self._raw(entry))
        elif self.include == "Metadata":
            shown["object"] = metadata(obj)
        return shown


def read_view(request: Request, kind: Kind, clock: Clock) -> View:
    """Raises Unsupported (406), Invalid."""
    form = wanted_form(request)
    include = request.query.get("includeObject") or "Metadata"
    if form == "table" and include not in ("None", "Metadata", "Object"):
        problem = not_supported("includeObject", include, ("None", "Metadata", "Object"))
        raise Invalid((problem,), kind="TableOptions.meta.k8s.io")
    return View(kind, clock, form, include if form == "table" else "Metadata")  # type: ignore[arg-type]
