"""The labels by which Compose's clients know what is theirs.

Source: Compose v2's documentation, "Labels"; what Compose v2.29 makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coracle.compose.project import service_hash

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONE_OFF = "com.docker.compose.oneoff"
SLUG = "com.docker.compose.slug"
CONFIG_HASH = "com.docker.compose.config-hash"
DEPENDS_ON = "com.docker.compose.depends_on"
IMAGE = "com.docker.compose.image"
FILES = "com.docker.compose.project.config_files"
DIRECTORY = "com.docker.compose.project.working_dir"
REPLACE = "com.docker.compose.replace"
VERSION = "com.docker.compose.version"
NETWORK = "com.docker.compose.network"
VOLUME = "com.docker.compose.volume"
HASH = "io.coracle.compose.hash"
"""Ours: what a thing is compared by with what is declared."""

COMPOSE = "2.29.7"
"""The Compose whose labels these are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a container is made from.

    image, image_id   what it runs; the id is for the label and says when there is a newer one
    hash              wanted_hash()
    directory, files  the project's
    replaces          the id of the container before it
    """

    image: str = ""
    image_id: str = ""
    hash: str = ""
    directory: str = ""
    files: Sequence[str] = ()
    replaces: str = ""


def labels(
    model: Mapping[str, Any], service_name: str, number: int, origin: Origin, *, slug: str = ""
) -> dict[str, str]:
    """The labels of a container.  `slug`: it is a one-off of that name."""
    service = model["services"][service_name]
    waits: Mapping[str, Any] = {} if slug else service.get("depends_on") or {}
    found = {
        **(service.get("labels") or {}),
        PROJECT: model["name"],
        SERVICE: service_name,
        NUMBER: str(number),
        ONE_OFF: "True" if slug else "False",
        CONFIG_HASH: service_hash(service),
        DEPENDS_ON: ",".join(_waiting(name, waits[name]) for name in sorted(waits)),
        IMAGE: origin.image_id,
        FILES: ",".join(origin.files),
        DIRECTORY: origin.directory,
        VERSION: COMPOSE,
        HASH: origin.hash,
    }
    if slug:
        found[SLUG] = slug
    if origin.replaces:
        found[REPLACE] = origin.replaces
    return found


def _waiting(name: str, how: Mapping[str, Any]) -> str:
    return f"{name}:{how['condition']}:{'true' if how.get('restart') else 'false'}"
