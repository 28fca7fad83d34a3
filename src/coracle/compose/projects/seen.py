"""What there is of a project, as Docker's API shows it; pure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coracle.compose.create import labels as names

NEVER = "0001-01-01T00:00:00Z"
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One container.

    state     Docker's: "created", "running", "paused", "restarting", "exited"
    health    "", "starting", "healthy", "unhealthy"
    run       when its last run started, "" before its first
    hash      what it was made for
    lost      it ended because the machine or the cloud did
    volumes   target -> name of its anonymous volume there
    """

    id: str
    name: str
    service: str
    number: int
    state: str = "running"
    exit_code: int = 0
    health: str = ""
    run: str = ""
    created_at: str = ""
    hash: str = ""
    image_id: str = ""
    one_off: bool = False
    lost: bool = False
    depends_on: str = ""
    networks: tuple[str, ...] = ()
    volumes: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def alive(self) -> bool:
        return self.state in ("running", "paused", "restarting")

    @property
    def slot(self) -> str:
        """Its place in the project; of a one-off container its id, since nobody takes its place."""
        return self.id if self.one_off else slot(self.service, self.number)

    @property
    def title(self) -> str:
        """What it is called in progress: "Container demo-web-1"."""
        return f"Container {self.name}"


@dataclass(frozen=True, slots=True)
class SeenNetwork:
    """`ready` is false while it is being made or removed."""

    id: str
    name: str
    key: str
    hash: str = ""
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Present:
    """All there is of a project.  `volumes`: name -> key.

    other_networks, other_volumes   names of all that there are, whoever made them: they are used, and never removed
    left                            slot -> target -> anonymous volume of the container that was there last
    """

    containers: Sequence[Seen] = ()
    networks: Sequence[SeenNetwork] = ()
    volumes: Mapping[str, str] = field(default_factory=dict)
    other_networks: Container[str] = ()
    other_volumes: Container[str] = ()
    left: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, service: str) -> list[Seen]:
        """The containers of a service that are no one-offs, by number, the oldest first."""
        found = [one for one in self.containers if one.service == service and not one.one_off]
        return sorted(found, key=lambda one: (one.number, one.created_at))


def slot(service: str, number: int) -> str:
    return f"{service}-{number}"


def seen(inspected: Mapping[str, Any], *, lost: bool = False) -> Seen:
    """From the answer of GET /containers/{id}/json."""
    labels: Mapping[str, str] = inspected["Config"]["Labels"] or {}
    state = inspected["State"]
    started_at = str(state["StartedAt"])
    number = labels.get(names.NUMBER, "")
    return Seen(
        id=inspected["Id"],
        name=inspected["Name"].removeprefix("/"),
        service=labels.get(names.SERVICE, ""),
        number=int(number) if re.fullmatch(r"\d{1,9}", number) else 0,
        state=state["Status"],
        exit_code=state["ExitCode"],
        health=(state.get("Health") or {}).get("Status") or "",
        run="" if started_at == NEVER else started_at,
        created_at=inspected["Created"],
        hash=labels.get(names.HASH, ""),
        image_id=inspected["Image"],
        one_off=labels.get(names.ONE_OFF, "").lower() == "true",
        lost=lost,
        depends_on=labels.get(names.DEPENDS_ON, ""),
        networks=tuple(inspected["NetworkSettings"]["Networks"] or ()),
        volumes=dict(_anonymous(inspected.get("Mounts") or ())),
        labels=labels,
    )


def _anonymous(mounts: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for mount in mounts:
        if mount["Type"] == "volume" and _ANONYMOUS.fullmatch(mount.get("Name") or ""):
            yield mount["Destination"], mount["Name"]
