"""A short name for a template's content, as it stands in the names and labels of what is made from it.

Equal templates have equal hashes in one cloud; nothing else may be read from one.  Its form is Kubernetes': 32 bits of
FNV-1a in decimal, in an alphabet that makes no words.

Source: Kubernetes documentation, "Deployment: Pod-template-hash label".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_OFFSET, _PRIME = 2166136261, 16777619


def template_hash(template: Mapping[str, Any], collisions: int = 0) -> str:
    """`7d9c6f7b5c`.  `collisions` makes another one of the same template, where a name is taken."""
    text = orjson.dumps(template, option=orjson.OPT_SORT_KEYS) + (str(collisions).encode() if collisions else b"")
    value = _OFFSET
    for byte in text:
        value = (value ^ byte) * _PRIME & 0xFFFFFFFF
    return "".join(_SAFE[ord(digit) % len(_SAFE)] for digit in str(value))
