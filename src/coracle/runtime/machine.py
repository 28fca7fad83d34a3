"""What the machine under us can give containers, as the pure modules beside this are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from coracle.core.errors import Invalid
from coracle.core.errors import invalid as invalid_value


@dataclass(frozen=True, slots=True)
class HostDevice:
    """A device node of the host: `kind` c or b, numbers, and who may use it."""

    kind: str
    major: int
    minor: int
    mode: int = 0o660
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Host:
    """What this machine and this process can give.

    `capabilities` None: all there are.  `oom_score_adj_floor`: below it we may not go.  `devices`: by path, those that
    Bundles name, and for privileged ones all of /dev.  `unified`: cgroup version 2 only.  `lacking`: fields of
    Resources that this machine's cgroups do not have.
    """

    processors: int = 1
    capabilities: frozenset[str] | None = None
    oom_score_adj_floor: int = -1000
    devices: Mapping[str, HostDevice] = field(default_factory=dict)
    unified: bool = False
    lacking: frozenset[str] = frozenset()

    def node(self, path: str) -> HostDevice:
        """Raises Invalid."""
        if path not in self.devices:
            problem = invalid_value("devices", path, "is not a device node of the host")
            raise Invalid([problem], kind="Container")
        return self.devices[path]
