"""Which files make a project, and the reading of them."""

from __future__ import annotations

import os.path
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from coracle.core.errors import Malformed, NotFound

LIMIT_BYTES = 4 << 20
NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)


def choose(given: Sequence[str], directory: str, environment: Mapping[str, str], start: str = "") -> list[str]:
    """The project's files, absolute (`-` is standard input): those `given`, else COMPOSE_FILE's, both from `directory`,
    else what is found in `start` (as a rule the same) or above it, with its override file.  Raises NotFound."""
    if not given and environment.get("COMPOSE_FILE"):
        given = environment["COMPOSE_FILE"].split(environment.get("COMPOSE_PATH_SEPARATOR") or ":")
    if given:
        return [name if name == "-" else os.path.abspath(os.path.join(directory, name)) for name in given]
    first = Path(directory, start)
    for place in [first, *first.parents]:
        if found := next((place / name for name in NAMES if (place / name).is_file()), None):
            override = next((place / name for name in _OVERRIDES if (place / name).is_file()), None)
            return [str(found), *([str(override)] if override else [])]
    raise NotFound("no configuration file provided: not found")


def rivals(path: str) -> list[str]:
    """The files beside a project's first that could have been it, itself among them."""
    found = (Path(path).parent / name for name in NAMES)
    return [str(one) for one in found if one.is_file()]


def read(path: str) -> str:
    """A file's text, not much more of it than anybody accepts.  Raises NotFound and Malformed."""
    try:
        if path == "-":
            return sys.stdin.read(LIMIT_BYTES + 1)
        with open(path, "rb") as file:
            return file.read(LIMIT_BYTES + 1).decode()
    except FileNotFoundError as error:
        raise NotFound(f"open {path}: no such file or directory") from error
    except OSError as error:
        raise Malformed(f"open {path}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise Malformed(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
