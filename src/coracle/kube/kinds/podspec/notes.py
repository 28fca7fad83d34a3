"""What annotations of pods and of their templates may say, where something acts on them.

Source: Kubernetes documentation, "Pod deletion cost"; the messages of its pod validation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from coracle.core.errors import invalid
from coracle.core.kind import Problems

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_NUMBER = "0|-?[1-9][0-9]*"
_LOWEST, _HIGHEST = -(2**31), 2**31 - 1


def problems(annotations: Mapping[str, str] | None, at: str) -> Problems:
    text = (annotations or {}).get(DELETION_COST)
    if text is None or (re.fullmatch(_NUMBER, text) and _LOWEST <= int(text) <= _HIGHEST):
        return []
    return [invalid(f"{at}[{DELETION_COST}]", text, "must be a 32bit integer")]
