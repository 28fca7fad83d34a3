"""What the bodies of all requests are made with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def without_empty(body: Mapping[str, Any]) -> dict[str, Any]:
    """Only what says something: Docker's side has its own defaults for the rest."""
    return {name: value for name, value in body.items() if value not in (None, "", 0, False, [], {})}


def digest(value: Any) -> str:
    """The same for what is the same, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
