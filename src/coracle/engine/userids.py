"""Ranges of the host's ids for sandboxes whose users are not the host's.  Pure.

Each range has 65536 ids and begins at a multiple of that; no two sandboxes of a cloud have the same.  Where to begin to
look follows from the sandbox's name, so that the clouds of one machine, which do not know of each other, hardly meet.

Source: Kubernetes documentation, "User Namespaces".
"""

from __future__ import annotations

import hashlib

from coracle.core import claims
from coracle.core.errors import Exhausted
from coracle.core.kind import Reader
from coracle.engine.kinds.sandbox import users_claim
from coracle.linux.idmaps import COUNT

RANGES = 2**31 // COUNT - 1  # but for the first, which is the host's own


def choose(name: str, reader: Reader) -> int:
    """The first id of a range that nobody holds.  Raises Exhausted."""
    start = int.from_bytes(hashlib.blake2s(name.encode(), digest_size=4).digest())
    for number in range(RANGES):
        first = (1 + (start + number) % RANGES) * COUNT
        if not claims.holder(reader, users_claim(first)):
            return first
    raise Exhausted("no range of user ids is free", kind="Sandbox", name=name)
