"""Which registries are asked for images: `registries.toml` in the cloud's root, else in /etc/coracle.

[[registry]]
name = "docker.io"                        # as it stands in references; docker.io is meant where none stands there
endpoints = ["https://mirror.example.com"]  # asked in this order; http only on this machine
username = "me"                           # where it wants to know; the file is then for root only
password = "secret"
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from coracle.core.errors import Malformed
from coracle.image.doors import Endpoint
from coracle.image.registry import Mirrors

FILE = "registries.toml"
MACHINE_WIDE = Path("/etc/coracle")


def read_mirrors(root: Path) -> Mirrors:
    """The configured registries; none where there is no file.  Raises Malformed (with the path), Invalid (a URL)."""
    path = next((place / FILE for place in (root, MACHINE_WIDE) if (place / FILE).exists()), None)
    if path is None:
        return Mirrors()
    try:
        listed = tomllib.loads(path.read_text()).get("registry", [])
        return Mirrors({entry["name"]: _endpoints(entry) for entry in listed})
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"{path}: {error}") from error


def _endpoints(entry: dict[str, Any]) -> tuple[Endpoint, ...]:
    username, password = entry.get("username", ""), entry.get("password", "")
    return tuple(Endpoint(url, username, password) for url in entry["endpoints"])
