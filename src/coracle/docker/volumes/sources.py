"""The host's side of binds: whether it is there, and making it where it may be made.  Blocks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from coracle.core.errors import Invalid, Malformed
from coracle.docker.volumes.points import MountPoint


def check(points: Iterable[MountPoint]) -> None:
    """Raises Malformed where the source of one of these binds has to be there and is not."""
    for point in points:
        if not point.make_source and not os.path.lexists(point.source):
            said = f"bind source path does not exist: {point.source}"
            raise Malformed(f'invalid mount config for type "bind": {said}')


def make(points: Sequence[MountPoint]) -> None:
    """Make the missing sources of binds as directories.  Raises Malformed (one that must exist is gone), Invalid."""
    check(points)
    for point in points:
        if os.path.lexists(point.source):
            continue
        try:
            os.makedirs(point.source, mode=0o755, exist_ok=True)
        except OSError as error:
            said = f"error while creating mount source path '{point.source}': mkdir {point.source}: {error.strerror}"
            raise Invalid(message=said) from error
