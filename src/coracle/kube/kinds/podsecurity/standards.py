"""Which standard of pod security a namespace asks for, and what of it a pod violates.  Pure.

Source: Kubernetes documentation, "Pod Security Admission", "Enforce Pod Security Standards with Namespace Labels".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from coracle.core.errors import invalid
from coracle.core.kind import Problems
from coracle.kube.kinds.podsecurity import baseline, restricted

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")  # from lax to strict
MODES = ("enforce", "audit", "warn")
LATEST = "latest"
_VERSION = r"v1\.(0|[1-9][0-9]*)"


@dataclass(frozen=True, slots=True)
class Standard:
    level: str = LEVELS[0]
    version: str = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


def standard(labels: Mapping[str, str], mode: Literal["enforce", "warn"]) -> Standard:
    """What the namespace asks for.  A level nobody knows is the strictest where it is enforced, else none.

    Where it says nothing of warnings, they are about what it enforces.
    """
    if mode == "warn" and f"{PREFIX}warn" not in labels:
        mode = "enforce"
    level = labels.get(f"{PREFIX}{mode}", LEVELS[0])
    if level not in LEVELS:
        level = LEVELS[-1] if mode == "enforce" else LEVELS[0]
    version = labels.get(f"{PREFIX}{mode}-version", LATEST)
    return Standard(level, version if re.fullmatch(_VERSION, version) else LATEST)


def label_problems(labels: Mapping[str, str]) -> Problems:
    found: Problems = []
    for mode in MODES:
        level, version = labels.get(f"{PREFIX}{mode}"), labels.get(f"{PREFIX}{mode}-version")
        if level is not None and level not in LEVELS:
            found.append(invalid(f"metadata.labels[{PREFIX}{mode}]", level, f"must be one of {', '.join(LEVELS)}"))
        if version is not None and version != LATEST and not re.fullmatch(_VERSION, version):
            found.append(invalid(f"metadata.labels[{PREFIX}{mode}-version]", version, 'must be "latest" or "v1.x"'))
    return found


def violations(asked: Standard, annotations: Mapping[str, str], spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(why, what exactly), in the order in which they are told."""
    if asked.level == LEVELS[0]:
        return []
    checks = _of_version(baseline.CHECKS, asked.version)
    if asked.level == LEVELS[-1]:
        more = _of_version(restricted.CHECKS, asked.version)
        less = {restricted.INSTEAD[name] for name in more if name in restricted.INSTEAD}
        checks = {name: check for name, check in checks.items() if name not in less} | more
    found = (check(annotations, spec) for check in checks.values())
    return [finding for finding in found if finding is not None]


def _of_version(checks: Mapping[str, tuple[int, baseline.Check]], version: str) -> dict[str, baseline.Check]:
    minor = None if version == LATEST else int(version.removeprefix("v1."))
    return {name: check for name, (since, check) in checks.items() if minor is None or since <= minor}


def told(found: list[tuple[str, str]]) -> str:
    return ", ".join(f"{why} ({what})" for why, what in found)
