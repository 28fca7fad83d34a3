"""A project's name: as given, else COMPOSE_PROJECT_NAME, else the files' `name`, else its directory's."""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping

from coracle.core.errors import Malformed

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def normalised(name: str) -> str:
    """The letters of `name` that may be in a project's name."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")


def project_name(given: str, environment: Mapping[str, str], written: str, directory: str) -> str:
    """The name of the project in `directory`.  Raises Malformed for one given that cannot be a name."""
    chosen = given or environment.get("COMPOSE_PROJECT_NAME", "")
    if chosen:
        if not _NAME.fullmatch(chosen):
            raise Malformed(
                f'invalid project name "{chosen}": must consist only of lowercase alphanumeric characters, hyphens, '
                "and underscores as well as start with a letter or number"
            )
        return chosen
    found = normalised(written) or normalised(os.path.basename(os.path.abspath(directory)))
    if not found:
        raise Malformed("project name must not be empty")
    return found
