"""What a kind of thing is: its names, its rules, its columns.

A Kind is data and pure functions.  Edges read its names and columns, `Collection` applies its rules, nobody else has
any.  Order of admission: shape (`schema`), then `default`, then `assign`, then `validate` (and `validate_change`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from coracle.core.errors import Problem
from coracle.core.object import Key, Object, type_of

if TYPE_CHECKING:
    from coracle.core.store import Entry

Problems = list[Problem]


class Reader(Protocol):
    """What rules may read of other objects: committed state, without waiting."""

    def find(self, type: str, key: Key) -> Entry | None: ...
    def entries(self, type: str, namespace: str | None = None) -> Iterable[Entry]: ...


class Shape(Protocol):
    """The shape of a document: `core.schema.Schema` and whatever else can check one."""

    def check(self, doc: Any, path: str = "") -> Problems:
        """Wrong types and missing required fields; unknown fields are not its business."""
        ...


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the printed table.  `priority` 1 shows only with `-o wide`.

    `cell` gives the value from the object and the present time (seconds since 1970): str, int or bool.
    """

    name: str
    cell: Callable[[Object, float], Any]
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


def _as_it_is(obj: Object) -> Object:
    return obj


def _nothing(_obj: Object) -> Problems:
    return []


def _no_change_rules(_new: Object, _old: Object, _part: str) -> Problems:
    return []


def _no_stricter_rules(_new: Object, _old: Object | None) -> Problems:
    return []


def _assign_nothing(obj: Object, _old: Object | None, _reader: Reader) -> Object:
    return obj


def _no_claims(_obj: Object) -> Iterable[str]:
    return ()


def _at_once(_obj: Object, _asked_s: int | None) -> int:
    return 0


def _held_by_finalizers(obj: Object) -> bool:
    return bool(obj.meta.finalizers)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of thing.

    default          fills in what the user left out; pure.  default_status: the same for a status that is written alone
    assign           fills in what depends on other objects (addresses, ports); reads, never waits; `old` None: created
    validate         the rules for any state of the object
    validate_change  the rules for a change (new, old, part); `part` is "main", "status" or the subresource's name
    claims           names that this object holds alone in the whole cloud: `node-port/TCP/30080`; see core.claims
    grace            seconds between the request to delete and the removal, from what was asked (None: the default)
    held             whether something still has to happen before a deleted object may go
    fields           field selectors beyond metadata.name and metadata.namespace: path -> text of the object
    subresources     of "status", "scale", "log", "exec", "attach", "binding", "eviction", "finalize", ...
    name_rule        "subdomain" (RFC 1123), "label" (the same), "label-1035", "path", "address", "record" (core.names)
    orphans          whether its dependents stay where a client deletes it without saying what becomes of them
    loop             the control loop that makes it true, as "module:Class"
    shown, kept      of a version that is not the stored one: the object as it reads, and as it is stored
    stored_as        of a version in another group than the stored one: the stored one's name in the store
    stricter         the rules of such a version for what it writes, beside those of what is stored (new, old or None)
    """

    name: str
    plural: str
    api: str = "v1"
    singular: str = ""
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    schema: Shape | None = None
    default: Callable[[Object], Object] = _as_it_is
    default_status: Callable[[Object], Object] = _as_it_is
    assign: Callable[[Object, Object | None, Reader], Object] = _assign_nothing
    validate: Callable[[Object], Problems] = _nothing
    validate_change: Callable[[Object, Object, str], Problems] = _no_change_rules
    claims: Callable[[Object], Iterable[str]] = _no_claims
    grace: Callable[[Object, int | None], int] = _at_once
    held: Callable[[Object], bool] = _held_by_finalizers
    fields: Mapping[str, Callable[[Object], str]] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    subresources: frozenset[str] = frozenset()
    name_rule: str = "subdomain"
    counts_generations: bool = True
    orphans: bool = False
    loop: str = ""
    shown: Callable[[Object], Object] | None = None
    kept: Callable[[Object], Object] | None = None
    stored_as: str = ""
    stricter: Callable[[Object, Object | None], Problems] = _no_stricter_rules

    @property
    def type(self) -> str:
        """The name in the store."""
        return self.stored_as or type_of(self.api, self.name)

    @property
    def group(self) -> str:
        return self.api.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api.rpartition("/")[2]

    @property
    def resource(self) -> str:
        """`pods`, `deployments.apps`: how messages name the kind."""
        return f"{self.plural}.{self.group}" if self.group else self.plural
