"""The kind Project: an application as a Compose file declares it.  Named as the project is.

A run of a container is named by the container's id and the moment it started ("" before its first), so that nothing
here depends on clocks that agree.

spec
    directory, files  where the files are, for people
    model             the checked model in canonical form; secrets and configs with their contents or absolute paths
    services          name -> Service: what is wanted of each service that takes part
    all_resources     networks and volumes that no service uses are wanted, too
    discard           containers that go: id -> whether their anonymous volumes go too
    timeout_s         how long a container may take to stop; null: as it says itself
    going             null, or Going: everything goes, then the object
    borrowed          known from the labels of containers only: the object goes once its word is kept
    trial             null, or Trial: what to return to where this declaration does not work
    undo              null, or There: what came after it goes
    turn              counts declarations

status
    ended             "service-number" -> exit code of the container that ended by itself, and is not made anew when it
                      is gone
    volumes           "service-number" -> target -> the anonymous volume that the container there has, or had
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from coracle.core.kind import Kind
from coracle.core.object import Key, Meta, Object

TYPE = "Project.compose"
API = "compose/v1"

KIND = Kind(
    name="Project",
    plural="projects",
    api=API,
    namespaced=False,
    name_rule="record",
    counts_generations=False,
    loop="coracle.compose.projects.loop:Projects",
)

Want = Literal["running", "created", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is wanted of one service.

    hash      what its containers' label must say; "" for those that are only known from their labels
    accepts   other values of it that are as good (`--no-recreate`)
    anew      ids of containers that are made anew all the same
    again     runs that count as over: a container that has ended starts again, one that runs is started anew
    ends      runs that are to end
    alone     it waits for no other service (`--no-deps`)
    """

    want: Want
    scale: int = 1
    hash: str = ""
    image_id: str = ""
    accepts: tuple[str, ...] = ()
    anew: tuple[str, ...] = ()
    again: Mapping[str, str] = field(default_factory=dict)
    ends: Mapping[str, str] = field(default_factory=dict)
    renew_volumes: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """`down`.  `images`: "", "all" or "local"; `orphans`: containers of services that the model does not know, too;
    `kept`: services whose containers stay, with what these use."""

    volumes: bool = False
    images: str = ""
    orphans: bool = False
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """What there was before a declaration: containers with their runs, networks and volumes by name."""

    containers: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A declaration that nobody knows yet to work; `former` is the spec before it, null where there was none."""

    former: Mapping[str, Any] | None = None
    there: There = There()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The declaration; see above."""

    directory: str = ""
    files: tuple[str, ...] = ()
    model: Mapping[str, Any]
    services: Mapping[str, Service] = field(default_factory=dict)
    all_resources: bool = False
    discard: Mapping[str, bool] = field(default_factory=dict)
    timeout_s: int | None = None
    going: Going | None = None
    borrowed: bool = False
    trial: Trial | None = None
    undo: There | None = None
    turn: int = 0

    @property
    def name(self) -> str:
        return str(self.model["name"])

    @property
    def known(self) -> Mapping[str, Any]:
        """The model's services."""
        services: Mapping[str, Any] = self.model.get("services") or {}
        return services


def key(name: str) -> Key:
    return Key("", name)


def to_object(spec: Spec) -> Object:
    return Object(KIND.name, Meta(name=spec.name), {"spec": to_json(spec), "status": {"ended": {}, "volumes": {}}}, API)


def to_json(spec: Spec) -> dict[str, Any]:
    """As it is stored; a former spec inside a trial has no trial of its own."""
    return asdict(spec)


def spec_of(obj: Object) -> Spec:
    return from_json(obj.spec)


def with_spec(obj: Object, spec: Spec) -> Object:
    return obj.with_body(spec=to_json(spec))


def from_json(doc: Mapping[str, Any]) -> Spec:
    trial, undo, going = doc.get("trial"), doc.get("undo"), doc.get("going")
    return Spec(
        directory=doc["directory"],
        files=tuple(doc["files"]),
        model=doc["model"],
        services={name: _service(given) for name, given in doc["services"].items()},
        all_resources=doc.get("all_resources", False),
        discard=doc["discard"],
        timeout_s=doc["timeout_s"],
        going=Going(**{**going, "kept": tuple(going.get("kept", ()))}) if going else None,
        borrowed=doc["borrowed"],
        trial=Trial(former=trial["former"], there=_there(trial["there"])) if trial else None,
        undo=_there(undo) if undo else None,
        turn=doc["turn"],
    )


def _service(doc: Mapping[str, Any]) -> Service:
    return Service(**{**doc, "accepts": tuple(doc["accepts"]), "anew": tuple(doc["anew"])})


def _there(doc: Mapping[str, Any]) -> There:
    return There(containers=doc["containers"], networks=tuple(doc["networks"]), volumes=tuple(doc["volumes"]))


def taken_back(spec: Spec) -> Spec:
    """What is declared in place of one whose trial has failed; pure.

    What ran when it was declared runs again, and what has come since goes.
    """
    if spec.trial is None:
        return spec
    there, former = spec.trial.there, spec.trial.former
    if former is None:
        return replace(spec, services={}, discard={}, going=Going(), trial=None, undo=there)
    before = from_json(former)
    ran = {id: at for id, at in there.containers.items() if at}
    services = {name: replace(service, again={**service.again, **ran}) for name, service in before.services.items()}
    return replace(before, services=services, trial=None, undo=there, turn=spec.turn)
