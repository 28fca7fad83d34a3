"""The shape of documents: which fields there are, of which types, and how lists in them merge.

A Schema answers three questions about a document, each quickly where there is nothing to say:

    check     which values have a wrong type            (Go's words: `json: cannot unmarshal string into ...`)
    unknown   which fields there are that it has not    (strict decoding: `spec.ports[0].type`)
    clean     the document without those, without nulls, with quantities and times as Kubernetes writes them, and
              without the zeros that say nothing

and `child`, `items`, `merge_key`, `strategy`, `list_keys` tell `core.patch` how to merge.  Types that refer to each
other in circles are loaded and compiled when a document first gets there.

A null is as good as nothing anywhere.  What is missing is not looked for here: which fields a user must give depends on
defaults, so that is the business of `Kind.validate`; `required` is published only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from coracle.core import scalars
from coracle.core.errors import Problem

Type = Literal["object", "array", "map", "any"] | str  # or a name in scalars.SCALARS
Fits: TypeAlias = Callable[[Any], bool]


class Schema:
    """One type.

    type       object (`fields`), array and map (`items`), any, or the name of a scalar
    go         what Go calls it in messages: `v1.PodSpec`, `int32`
    fields     of an object, or a function that gives them when they are first needed
    merge_key  of an array of objects: the field by which strategic patches know an element
    strategy   of the field: `merge`, `replace`, `retainKeys`
    list_keys  of an array: x-kubernetes-list-map-keys
    omitted    of an object: the fields that `clean` leaves out where they are zero
    """

    __slots__ = ("_fields", "_fits", "go", "items", "list_keys", "merge_key", "omitted", "required", "strategy", "type")

    def __init__(
        self,
        type: Type,
        go: str = "",
        *,
        fields: Mapping[str, Schema] | Callable[[], Mapping[str, Schema]] | None = None,
        items: Schema | None = None,
        required: Sequence[str] = (),
        merge_key: str = "",
        strategy: frozenset[str] = frozenset(),
        list_keys: tuple[str, ...] = (),
        omitted: frozenset[str] = frozenset(),
    ) -> None:
        self.type, self.go, self.items, self.required = type, go or type, items, tuple(required)
        self.merge_key, self.strategy, self.list_keys, self.omitted = merge_key, strategy, list_keys, omitted
        self._fields = {} if fields is None else fields
        self._fits: Fits | None = None

    @property
    def fields(self) -> Mapping[str, Schema]:
        if callable(self._fields):
            self._fields = self._fields()
        return self._fields

    @property
    def fits(self) -> Fits:
        """A function that says whether a document has right types and known fields only.  6 to 20 us for a pod."""
        if self._fits is None:
            self._fits = _compile(self)
        return self._fits

    def child(self, name: str) -> Schema:
        """The schema of a field or of a map's values; ANY where there is no such field."""
        if self.type == "map" and self.items is not None:
            return self.items
        return self.fields.get(name, ANY)

    def with_strategy(self, strategy: frozenset[str]) -> Schema:
        """The same type in a field with a patch strategy of its own."""
        return Schema(
            self.type,
            self.go,
            fields=lambda: self.fields,
            items=self.items,
            required=self.required,
            strategy=strategy,
            omitted=self.omitted,
        )

    def check(self, doc: Any, path: str = "") -> list[Problem]:
        """Wrong types, in the order of the document.  `path` stands before the fields' names."""
        if self.fits(doc):
            return []
        problems: list[Problem] = []
        _check(self, doc, _Place(path, (), ""), problems)
        return problems

    def unknown(self, doc: Any, path: str = "") -> list[str]:
        """The paths of fields that this type has not."""
        if self.fits(doc):
            return []
        found: list[str] = []
        _unknown(self, doc, path, found)
        return found

    def clean(self, doc: Any) -> Any:
        """A checked document as it is kept.  Shares what does not change with `doc`."""
        return _clean(self, doc)

    def __repr__(self) -> str:
        return f"Schema({self.type!r}, {self.go!r})"


ANY = Schema("any", "interface {}")
STRING = Schema("string")
INTEGER = Schema("int32")
BOOLEAN = Schema("bool")


def obj(*required: str, **fields: Schema) -> Schema:
    return Schema("object", "struct", fields=fields, required=required)


def map_of(items: Schema) -> Schema:
    return Schema("map", f"map[string]{items.go}", items=items)


def array_of(items: Schema, *, merge_key: str = "") -> Schema:
    strategy = frozenset(("merge",)) if merge_key else frozenset[str]()
    return Schema("array", f"[]{items.go}", items=items, merge_key=merge_key, strategy=strategy)


# -- the quick answer --------------------------------------------------------------------------------------------


def _compile(schema: Schema) -> Fits:
    if schema.type == "object":
        return _object_fits(schema)
    if schema.type in ("array", "map"):
        return _items_fit(schema)
    if schema.type == "any":
        return lambda _value: True
    return scalars.SCALARS[schema.type].fits


def _object_fits(schema: Schema) -> Fits:
    checks: dict[str, Fits] = {}  # filled when a document first gets here: types may contain themselves

    def fits(value: Any) -> bool:
        if type(value) is not dict:
            return value is None
        if not checks:
            checks.update((name, child.fits) for name, child in schema.fields.items())
        for name, item in value.items():
            check = checks.get(name)
            if check is None or not check(item):
                return False
        return True

    return fits


def _items_fit(schema: Schema) -> Fits:
    items = schema.items or ANY

    def array_fits(value: Any) -> bool:
        return all(map(items.fits, value)) if type(value) is list else value is None

    def map_fits(value: Any) -> bool:
        return all(map(items.fits, value.values())) if type(value) is dict else value is None

    return array_fits if schema.type == "array" else map_fits


# -- the full answers ---------------------------------------------------------------------------------------------


class _Place:
    """Where the check is: the path for people, and what Go knows of it (names without indexes, the last struct)."""

    __slots__ = ("names", "path", "struct")

    def __init__(self, path: str, names: tuple[str, ...], struct: str) -> None:
        self.path, self.names, self.struct = path, names, struct

    def field(self, name: str, struct: str) -> _Place:
        return _Place(f"{self.path}.{name}" if self.path else name, (*self.names, name), struct)

    def at(self, index: int | str) -> _Place:
        return _Place(f"{self.path}[{index}]", self.names, self.struct)

    def problem(self, value: Any, go: str) -> Problem:
        where = f"struct field {self.struct}.{'.'.join(self.names)}" if self.struct else "value"
        said = f"json: cannot unmarshal {scalars.go_word(value)} into Go {where} of type {go}"
        return Problem(self.path, "type", said)


def _check(schema: Schema, value: Any, at: _Place, problems: list[Problem]) -> None:
    if value is None or schema.fits(value):
        return
    if schema.type == "object" and isinstance(value, dict):
        struct = schema.go.rpartition(".")[2]
        for name, item in value.items():
            if name in schema.fields:
                _check(schema.fields[name], item, at.field(name, struct), problems)
    elif schema.type == "map" and isinstance(value, dict):
        for name, item in value.items():
            _check(schema.child(name), item, at.at(name), problems)
    elif schema.type == "array" and isinstance(value, list):
        for index, item in enumerate(value):
            _check(schema.items or ANY, item, at.at(index), problems)
    else:
        said = scalars.SCALARS[schema.type].fault(value) if schema.type in scalars.SCALARS else ""
        problems.append(Problem(at.path, "type", said) if said else at.problem(value, schema.go))


def _unknown(schema: Schema, value: Any, path: str, found: list[str]) -> None:
    if schema.type == "object" and isinstance(value, dict):
        for name, item in value.items():
            where = f"{path}.{name}" if path else name
            if name in schema.fields:
                _unknown(schema.fields[name], item, where, found)
            else:
                found.append(where)
    elif schema.type == "map" and isinstance(value, dict):
        for name, item in value.items():
            _unknown(schema.child(name), item, f"{path}.{name}", found)
    elif schema.type == "array" and isinstance(value, list):
        for index, item in enumerate(value):
            _unknown(schema.items or ANY, item, f"{path}[{index}]", found)


def _clean(schema: Schema, value: Any) -> Any:
    kind = schema.type
    if kind == "object" and type(value) is dict:
        fields, omitted = schema.fields, schema.omitted
        cleaned = {
            name: _clean(fields[name], item)
            for name, item in value.items()
            if item is not None and name in fields and (item or name not in omitted)
        }
        return value if _same(cleaned, value) else cleaned
    if kind == "map" and type(value) is dict:
        items = schema.items or ANY
        cleaned = {name: _clean(items, item) for name, item in value.items()}
        return value if _same(cleaned, value) else cleaned
    if kind == "array" and type(value) is list:
        items = schema.items or ANY
        listed = [_clean(items, item) for item in value]
        return value if all(a is b for a, b in zip(listed, value, strict=True)) else listed
    scalar = scalars.SCALARS.get(kind)
    if value is None:
        return {} if kind == "object" else [] if kind == "array" else scalar.zero if scalar is not None else None
    return scalar.canonical(value) if scalar is not None and scalar.canonical is not None else value


def _same(cleaned: dict[str, Any], value: dict[str, Any]) -> bool:
    """Whether cleaning changed nothing, by identity."""
    return len(cleaned) == len(value) and all(cleaned[name] is item for name, item in value.items())
