"""Versions of the Docker Engine API: which we speak, which a client speaks.

A client puts its version in front of the path (`/v1.41/containers/json`); without one it gets ours.
Source: Docker Engine API, "Versioning"; reference docker.md 1.1 and 1.4.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from coracle.core.errors import Malformed
from coracle.web.messages import Request

_PREFIX = re.compile(r"/v([0-9]{1,4})\.([0-9]{1,4})(?=/|$)")


class Version(NamedTuple):
    """Compares as versions do: (1, 9) < (1, 41)."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


NEWEST, OLDEST = Version(1, 50), Version(1, 24)


def split(raw_path: str) -> tuple[str, str]:
    """The version's part of a path and the rest: "/v1.41/info" -> ("/v1.41", "/info"); "/info" -> ("", "/info")."""
    found = _PREFIX.match(raw_path)
    return (found[0], raw_path[found.end() :] or "/") if found else ("", raw_path)


def version_of(request: Request) -> Version:
    """The version in which to answer.  Raises Malformed in dockerd's words."""
    found = _PREFIX.match(request.mount)
    if found is None:
        return NEWEST
    asked = Version(int(found[1]), int(found[2]))
    if asked > NEWEST:
        raise Malformed(f"client version {asked} is too new. Maximum supported API version is {NEWEST}")
    if asked < OLDEST:
        raise Malformed(
            f"client version {asked} is too old. Minimum supported API version is {OLDEST}, "
            "please upgrade your client to a newer version"
        )
    return asked
