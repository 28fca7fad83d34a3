"""What the loop may do about a project, one class each.  Two steps with one subject are never done at once."""

from __future__ import annotations

from dataclasses import dataclass

from coracle.compose.projects.seen import Seen, SeenNetwork, slot


@dataclass(frozen=True, slots=True)
class MakeNetwork:
    key: str

    @property
    def subject(self) -> str:
        return f"network {self.key}"


@dataclass(frozen=True, slots=True)
class DropNetwork:
    network: SeenNetwork

    @property
    def subject(self) -> str:
        return f"network {self.network.key}"


@dataclass(frozen=True, slots=True)
class MakeVolume:
    key: str

    @property
    def subject(self) -> str:
        return f"volume {self.key}"


@dataclass(frozen=True, slots=True)
class DropVolume:
    name: str
    key: str

    @property
    def subject(self) -> str:
        return f"volume {self.key}"


@dataclass(frozen=True, slots=True)
class DropImage:
    name: str

    @property
    def subject(self) -> str:
        return f"image {self.name}"


@dataclass(frozen=True, slots=True)
class Create:
    """`hash`: what the container's label will say."""

    service: str
    number: int
    hash: str

    @property
    def subject(self) -> str:
        return slot(self.service, self.number)


@dataclass(frozen=True, slots=True)
class _About:
    one: Seen

    @property
    def subject(self) -> str:
        return self.one.slot


@dataclass(frozen=True, slots=True)
class Recreate(_About):
    """Another container in its place: made beside it first, so that nothing is lost where that does not work."""

    hash: str


@dataclass(frozen=True, slots=True)
class Replace(_About):
    """The second half of Recreate: the old one goes, `by` takes its name."""

    by: Seen


@dataclass(frozen=True, slots=True)
class Rename(_About):
    name: str


class Start(_About):
    """Let it run."""


class Stop(_About):
    """End it."""


class Restart(_About):
    """End it and let it run again."""


@dataclass(frozen=True, slots=True)
class Remove(_About):
    """End it and forget it; `volumes`: and its anonymous volumes."""

    volumes: bool = False


Step = (
    MakeNetwork | DropNetwork | MakeVolume | DropVolume | DropImage
    | Create | Recreate | Replace | Rename | Start | Stop | Restart | Remove
)  # fmt: skip
THINGS = ("network ", "volume ", "image ")  # how the subjects begin that are no containers
MAKING = (MakeNetwork, DropNetwork, MakeVolume, Create, Recreate, Replace, Rename)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now.

    pending   something is left to do once these steps are done, or once what is waited for comes true
    waits     container's title -> word of progress ("Waiting", "Healthy", "Exited", "Error")
    failures  what is waited for and cannot come true by itself, in Compose's words
    doubts    what is a failure, unless it turns out to be another one soon
    skipped   container's title and why it is not waited for any more, not being required
    """

    steps: tuple[Step, ...] = ()
    pending: bool = False
    waits: tuple[tuple[str, str], ...] = ()
    failures: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()


def about(step: Step) -> Seen | None:
    """The container that a step is about, where there is one."""
    return step.one if isinstance(step, _About) else None
