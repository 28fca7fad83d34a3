"""Who Docker's client is to registries: what `docker login` wrote into its configuration.

Only what stands in the file is read; programs that keep passwords elsewhere are not asked.
Source: docker/cli, "config.json": {"auths": {"registry.example": {"auth": base64 of user:password}}}.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DOCKERS_OWN = "https://index.docker.io/v1/"
_MAX_BYTES = 1 << 20


def logins(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Registry -> AuthConfig, of the directory DOCKER_CONFIG or ~/.docker; none where nothing can be read."""
    home = environment.get("DOCKER_CONFIG") or os.path.join(environment.get("HOME") or "/", ".docker")
    try:
        with open(Path(home, "config.json"), "rb") as file:
            auths = json.loads(file.read(_MAX_BYTES))["auths"]
        return {str(name): _config(str(name), given) for name, given in auths.items() if isinstance(given, dict)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _config(registry: str, given: dict[str, Any]) -> dict[str, Any]:
    found = {"serveraddress": registry, **given}
    try:
        user, _, password = base64.b64decode(str(found.pop("auth", ""))).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return found
    return {**found, "username": user, "password": password} if user else found


def login_header(registry: str, environment: Mapping[str, str]) -> dict[str, str]:
    """X-Registry-Auth for one registry; Docker's own is `docker.io`."""
    found = logins(environment)
    config = found.get(registry) or found.get(f"https://{registry}")
    if config is None and registry == "docker.io":
        config = found.get(_DOCKERS_OWN)
    return {"X-Registry-Auth": _encoded(config or {})}


def logins_header(environment: Mapping[str, str]) -> dict[str, str]:
    """X-Registry-Config: all of them, for builds."""
    return {"X-Registry-Config": _encoded(logins(environment))}


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
