"""Volume: a named directory that outlives the containers that use it.

Spec
    driver    "local"
    options   of the file system that is mounted on it: {"type": "tmpfs", "device": "tmpfs", "o": "size=64m"}; {} for a
              plain directory
    path      where its content is on the host
Status
    passing   true: it is there for a container whose record is still to come, or which takes it along when it goes;
              where no container uses it when the daemon starts, it is what a dead daemon left
"""

from __future__ import annotations

from collections.abc import Mapping

from coracle.core.kind import Kind
from coracle.core.object import Key, Meta, Object

TYPE = "Volume.engine"
API = "engine/v1"

KIND = Kind(
    name="Volume",
    plural="volumes",
    api=API,
    namespaced=False,
    name_rule="record",
    counts_generations=False,
)


def key(name: str) -> Key:
    return Key("", name)


def to_record(name: str, path: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]) -> Object:
    spec = {"driver": driver, "options": dict(options), "path": path}
    return Object(KIND.name, Meta(name=name, labels=dict(labels)), {"spec": spec}, API)
