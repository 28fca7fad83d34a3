"""What a client asks of a project: the body of POST /compose/projects/{name}, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from coracle.core.errors import Malformed

ACTIONS = ("up", "create", "start", "stop", "restart", "rm", "down", "scale")
MAKING = ("up", "create", "scale")
RECREATE = ("changed", "force", "never")
IMAGES = ("", "all", "local")
MOST_REPLICAS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A project as its files say.  `left_out`: services that the files have and the model has not."""

    directory: str = ""
    files: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """As Compose's commands and flags of the same names.  `project` None: what is declared, or what labels tell.

    services       [] is all; `scale` {service: n}; `timeout_s` None: as each container says
    all_resources  also the networks and volumes of the model that no service uses
    """

    name: str
    action: str
    project: File | None = None
    services: tuple[str, ...] = ()
    no_deps: bool = False
    scale: Mapping[str, int] = field(default_factory=dict)
    recreate: str = "changed"
    recreate_deps: str = "changed"
    renew_volumes: bool = False
    remove_orphans: bool = False
    timeout_s: int | None = None
    wait: bool = False
    wait_timeout_s: int | None = None
    keep_going: bool = False
    all_resources: bool = False
    volumes: bool = False
    images: str = ""
    dry_run: bool = False


_FLAGS = ("no_deps", "renew_volumes", "remove_orphans", "wait", "keep_going", "all_resources", "volumes", "dry_run")
_WORDS = {"recreate": RECREATE, "recreate_deps": RECREATE, "images": IMAGES}


def read_asked(name: str, body: Any) -> Asked:
    """Raises Malformed, naming the field."""
    if not isinstance(body, dict):
        raise Malformed("the body must be an object")
    known = {one.name for one in fields(Asked)} - {"name"}
    for field_name in body:
        if field_name not in known:
            raise Malformed(f"{field_name[:60]}: unknown field")
    if body.get("action") not in ACTIONS:
        raise Malformed(f"action: must be one of {', '.join(ACTIONS)}")
    given: dict[str, Any] = {one: _flag(body, one) for one in _FLAGS}
    given |= {one: _word(body, one, words) for one, words in _WORDS.items()}
    given |= {one: _seconds(body, one) for one in ("timeout_s", "wait_timeout_s")}
    project = body.get("project")
    return Asked(
        name=name,
        action=body["action"],
        project=None if project is None else _file(name, project),
        services=_texts(body, "services"),
        scale=_scale(body.get("scale") or {}),
        **given,
    )


def _file(name: str, given: Any) -> File:
    model = given.get("model") if isinstance(given, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("services"), dict):
        raise Malformed("project.model: must be an object with services")
    if model.get("name") != name:
        raise Malformed(f"project.model.name: must be {name}")
    for kind in ("services", "networks", "volumes", "secrets", "configs"):
        things = model.get(kind) or {}
        if not isinstance(things, dict) or not all(isinstance(thing, dict) for thing in things.values()):
            raise Malformed(f"project.model.{kind}: must be an object of objects")
    directory = given.get("directory") or ""
    if not isinstance(directory, str):
        raise Malformed("project.directory: must be a text")
    files, left_out = (_texts(given, one, "project.") for one in ("files", "left_out"))
    return File(directory=directory, files=files, model=model, left_out=left_out)


def _scale(given: Any) -> Mapping[str, int]:
    if not isinstance(given, dict):
        raise Malformed("scale: must be an object of numbers")
    for service, count in given.items():
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MOST_REPLICAS:
            raise Malformed(f"scale.{service[:60]}: must be a number from 0 to {MOST_REPLICAS}")
    return given


def _texts(body: Mapping[str, Any], field_name: str, where: str = "") -> tuple[str, ...]:
    given = body.get(field_name) or []
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise Malformed(f"{where}{field_name}: must be a list of texts")
    return tuple(given)


def _flag(body: Mapping[str, Any], field_name: str) -> bool:
    given = body.get(field_name) or False
    if not isinstance(given, bool):
        raise Malformed(f"{field_name}: must be true or false")
    return given


def _word(body: Mapping[str, Any], field_name: str, words: tuple[str, ...]) -> str:
    given = body.get(field_name) or words[0]
    if given not in words:
        raise Malformed(f"{field_name}: must be one of {', '.join(word or 'none' for word in words)}")
    return str(given)


def _seconds(body: Mapping[str, Any], field_name: str) -> int | None:
    given = body.get(field_name)
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or abs(given) > 10**8):
        raise Malformed(f"{field_name}: must be a number of seconds")
    return given
