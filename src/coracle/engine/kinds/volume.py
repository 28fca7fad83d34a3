"""Volume: a named directory that outlives the containers that use it.

Spec: {driver, options, owner}.  Status: {path}.  What lives only as long as its pod (emptyDir) has no record: its
directory says it all (engine.volumes).
"""

from __future__ import annotations

from coracle.core.kind import Kind

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
