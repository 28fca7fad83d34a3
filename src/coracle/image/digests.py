"""Digests: the one grammar that is let near a path, and the arithmetic over them.

Only sha256 is spoken: every registry and every tool we meet uses it, and one algorithm leaves no room to mix two up.
Source: OCI image specification 1.1, "Digests" and "Layer ChainID".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from coracle.core.errors import Malformed

PREFIX = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_digest(text: object) -> bool:
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def check_digest(text: object) -> str:
    """`text` if it is `sha256:` and 64 lowercase hex digits.  Raises Malformed."""
    if not isinstance(text, str) or _DIGEST.fullmatch(text) is None:
        raise Malformed(f"invalid digest {str(text)[:100]!r}")
    return text


def hex_of(digest: str) -> str:
    """The 64 hex digits: safe as a file name.  Raises Malformed."""
    return check_digest(digest).removeprefix(PREFIX)


def digest_of(data: bytes) -> str:
    return PREFIX + hashlib.sha256(data).hexdigest()


def chain_ids(diff_ids: Iterable[str]) -> tuple[str, ...]:
    """The name of each layer together with all below it, lowest first; one per diff id.

    Two images share an unpacked layer when they agree on everything up to and including it.
    """
    chain: list[str] = []
    for diff_id in diff_ids:
        check_digest(diff_id)
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)
