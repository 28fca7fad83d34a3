"""What is served where: from a request's path to the kind, its collection, the object and the verb.

    /api/v1/namespaces/default/pods/web/log    ->    the collection of Pods, namespace "default", name "web", "log"

Source: apiserver's RequestInfo.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coracle.core.collection import Collection
from coracle.core.errors import NotFound
from coracle.core.kind import Kind
from coracle.core.object import Key
from coracle.web.messages import Request
from coracle.web.router import split_path


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names.  `name` is "" for the collection; `namespace` None for those of every namespace."""

    collection: Collection
    namespace: str | None = None
    name: str = ""
    subresource: str = ""

    @property
    def kind(self) -> Kind:
        return self.collection.kind

    @property
    def key(self) -> Key:
        return Key(self.namespace or "", self.name)


@dataclass(frozen=True, slots=True)
class Place:
    """A path taken apart, whether it is served or not."""

    group: str
    version: str
    resource: str
    namespace: str | None = None
    name: str = ""
    subresource: str = ""

    @property
    def api(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def read_path(raw_path: str) -> Place:
    """Raises NotFound where the path cannot be a resource's, Malformed."""
    parts = [part for part in split_path(raw_path) if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise NotFound
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource, name, *sub = (*rest, "")
    sub = [part for part in sub if part]
    if len(sub) > 1:
        raise NotFound
    return Place(group, version, resource, namespace, name, sub[0] if sub else "")


def _order(kind: Kind) -> tuple[str, bool, int, str]:
    number, stage, _ = re.split("(alpha|beta|$)", kind.version.removeprefix("v"), maxsplit=1)
    return kind.group, bool(stage), -int(number), kind.plural


class Served:
    """The collections by where they are served."""

    def __init__(self, collections: Iterable[Collection]) -> None:
        self._by_place: dict[tuple[str, str], Collection] = {}
        self._by_type: dict[str, Collection] = {}
        for collection in collections:
            kind = collection.kind
            self._by_place[kind.api, kind.plural] = collection
            self._by_type[kind.type] = collection

    @property
    def kinds(self) -> list[Kind]:
        return [collection.kind for collection in self._by_place.values()]

    @property
    def apis(self) -> Mapping[str, list[Kind]]:
        """The kinds by group and version, the core's first; of a group's versions the later ones first."""
        found: dict[str, list[Kind]] = {}
        for kind in sorted(self.kinds, key=_order):
            found.setdefault(kind.api, []).append(kind)
        return found

    def kind(self, type: str) -> Kind | None:
        """By the name in the store."""
        found = self._by_type.get(type)
        return found.kind if found is not None else None

    def collection(self, type: str) -> Collection | None:
        return self._by_type.get(type)

    def of(self, type: str) -> Collection:
        """Raises KeyError."""
        return self._by_type[type]

    def target(self, request: Request) -> Target:
        """Raises NotFound where nothing is served there."""
        place = read_path(request.raw_path)
        collection = self._by_place.get((place.api, place.resource))
        if collection is None or (place.subresource and place.subresource not in collection.kind.subresources):
            raise NotFound
        kind = collection.kind
        if not kind.namespaced and place.namespace is not None:
            raise NotFound
        if kind.namespaced and place.name and place.namespace is None:
            raise NotFound
        namespace = place.namespace if kind.namespaced else ""
        return Target(collection, namespace, place.name, place.subresource)
