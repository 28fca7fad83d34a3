"""Which containers a list shows: the filters of `docker ps`.

Source: Docker Engine API 1.50, "ContainerList", filters; moby daemon/list.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from coracle.core.errors import CloudError, Malformed
from coracle.core.object import Object
from coracle.docker.containers import details, states
from coracle.docker.containers.finding import Finder
from coracle.docker.filters import Filters
from coracle.docker.mounts import mount_points
from coracle.docker.networks.endpoints import Lookup
from coracle.engine.images import Images

FILTERS = (
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "label!", "name",
    "network", "publish", "since", "status", "volume",
)  # fmt: skip
_HEALTH = ("healthy", "none", "starting", "unhealthy")
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?")


class Selection:
    def __init__(self, finder: Finder, images: Images, lookup: Lookup) -> None:
        self._finder, self._images, self._lookup = finder, images, lookup

    def wants_all(self, filters: Filters) -> bool:
        """Whether those that do not run are meant too."""
        return any(name in filters for name in ("status", "exited", "before", "since"))

    def of(self, records: Sequence[Object], filters: Filters) -> Iterator[Object]:
        """In the order given, which is the newest first.  Raises Malformed, NotFound (before, since)."""
        self._check(filters)
        if not filters.values:
            yield from records
            return
        newest_s = min((self._created_s(one) for one in filters.get("before")), default=float("inf"))
        oldest_s = max((self._created_s(one) for one in filters.get("since")), default=float("-inf"))
        ancestors = [self._image_id(name) for name in filters.get("ancestor")]
        networks = {name: self._network(name) for name in filters.get("network")}
        for record in records:
            if not oldest_s < details.created_s(record) < newest_s:
                continue
            if ancestors and not self._descends(record, ancestors):
                continue
            if networks and not self._is_on(record, networks):
                continue
            if self._matches(record, filters):
                yield record

    def image_name(self, record: Object) -> str:
        """The name it was created with; its id where that name has gone to another image."""
        named = str(record.spec["image"])
        try:
            found = self._images.find(named)
        except CloudError:
            found = None
        if found is not None and found.spec["id"] == record.spec["image_id"]:
            return named
        return str(record.spec["image_id"])

    def _check(self, filters: Filters) -> None:
        for word in filters.get("status"):
            if word not in states.STATES:
                known = "', '".join(("created", "running", "paused", "restarting", "removing", "exited", "dead"))
                raise Malformed(f"invalid filter 'status={word[:40]}': must be one of '{known}'")
        for word in filters.get("health"):
            if word not in _HEALTH:
                raise Malformed(f"invalid filter 'health={word[:40]}'")
        for word in filters.get("exited"):
            if not re.fullmatch(r"-?\d{1,9}", word):
                raise Malformed(f"invalid filter 'exited={word[:40]}'")
        for name in ("publish", "expose"):
            for word in filters.get(name):
                if not _PORTS.fullmatch(word):
                    raise Malformed(f"invalid filter '{name}={word[:40]}'")

    def _matches(self, record: Object, filters: Filters) -> bool:
        return (
            filters.allows_labels(record.meta.labels)
            and filters.allows("status", states.state(record))
            and filters.allows("health", states.health(record))
            and _allows_name(filters, str(record.spec["name"]))
            and ("id" not in filters or any(record.meta.name.startswith(id) for id in filters.get("id")))
            and ("exited" not in filters or _has_exited(record, filters))
            and ("volume" not in filters or _has_volume(record, filters))
            and ("publish" not in filters or _has_port(details.life(record).get("Ports") or {}, filters, "publish"))
            and ("expose" not in filters or _has_exposed(record, filters))
            and not filters.flag("is-task", default=False)
        )

    def _created_s(self, reference: str) -> float:
        return details.created_s(self._finder.get(reference))

    def _image_id(self, name: str) -> str:
        try:
            found = self._images.find(name)
        except CloudError:
            return ""
        return str(found.spec["id"]) if found is not None else ""

    def _descends(self, record: Object, ancestors: Sequence[str]) -> bool:
        """From one of these images, or an image made of it: its layers begin with theirs."""
        if record.spec["image_id"] in ancestors:
            return True
        own = self._chain(str(record.spec["image_id"]))
        return any((chain := self._chain(id)) and chain[-1] in own for id in ancestors if id)

    def _chain(self, image_id: str) -> Sequence[str]:
        found = self._images.find(image_id)
        return tuple(found.spec["chain_ids"]) if found is not None else ()

    def _network(self, name: str) -> str:
        try:
            return str(self._lookup(name).spec["name"])
        except CloudError:
            return name

    def _is_on(self, record: Object, networks: dict[str, str]) -> bool:
        there = {*details.endpoints_config(record), details.network_mode(record)}
        return any(name in there or asked in there for asked, name in networks.items())


def _allows_name(filters: Filters, name: str) -> bool:
    """With or without the slash, as `docker ps` compares."""
    return filters.allows_match("name", name) or filters.allows_match("name", f"/{name}")


def _has_exited(record: Object, filters: Filters) -> bool:
    return states.state(record) == "exited" and str(record.status.get("exit_code") or 0) in filters.get("exited")


def _has_volume(record: Object, filters: Filters) -> bool:
    there = {place for point in mount_points(record) for place in (point.name, point.target)}
    return any(asked in there for asked in filters.get("volume"))


def _has_exposed(record: Object, filters: Filters) -> bool:
    bound = details.life(record).get("Ports") or {}
    return _has_port({**(details.config(record).get("ExposedPorts") or {}), **bound}, filters, "expose")


def _has_port(ports: object, filters: Filters, name: str) -> bool:
    return any(port in wanted for wanted in map(_ports, filters.get(name)) for port in ports)  # type: ignore[attr-defined]


def _ports(text: str) -> set[str]:
    found = _PORTS.fullmatch(text)
    if found is None:
        return set()
    first, last = int(found[1]), int(found[2] or found[1])
    return {f"{number}/{found[3] or 'tcp'}" for number in range(first, min(last, 65535) + 1)}
