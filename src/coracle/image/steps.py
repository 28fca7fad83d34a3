"""What the parts of bringing an image in, or sending it out, are called where progress is told.

A step is told as (name, done, total): bytes of a transfer, percent of a build.  Docker's edge turns these names into
its own words; everybody else shows them as they are.
"""

from __future__ import annotations

LAYER, UNPACK, PUSH = "layer ", "unpack ", "push "


def layer(digest: str) -> str:
    """The transfer of a layer to this machine."""
    return LAYER + short(digest)


def unpack(digest: str) -> str:
    return UNPACK + short(digest)


def push(digest: str) -> str:
    """The transfer of a layer to a registry.  `total` -1: it is there already; -2: taken from another repository."""
    return PUSH + short(digest)


def short(digest: str) -> str:
    """The first twelve digits, as Docker shows them."""
    return digest.partition(":")[2][:12]
