"""What every side of the cloud stands on: its settings, the store with a cache of each type, the clock, the engine."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from coracle.compose.projects import parts as projects
from coracle.core.clock import Clock
from coracle.core.informer import Index, Informer
from coracle.core.store import Store
from coracle.kube.controllers import clusterips, endedpods, endpoints, mirroring, podgc, workloads
from coracle.kube.controllers.storage import parts as storage
from coracle.kube.kubelet import records
from coracle.kube.kubelet.volumes import following
from coracle.kube.proxy import parts as proxying
from coracle.kube.scheduler import binding
from coracle.node.assembly.engine import Engine
from coracle.node.config import Settings

_READERS = (
    workloads,
    endpoints,
    mirroring,
    clusterips,
    endedpods,
    podgc,
    storage,
    binding,
    records,
    following,
    proxying,
    projects,
)


@dataclass(frozen=True, slots=True)
class Foundation:
    """`caches`: by type."""

    settings: Settings
    store: Store
    clock: Clock
    engine: Engine
    caches: Mapping[str, Informer]


class Once:
    """A Part that does something when its turn comes, and then only waits."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = steps

    async def run(self, up: Callable[[], None]) -> None:
        for step in self._steps:
            done = step()
            if inspect.isawaitable(done):
                await done
        up()
        await asyncio.get_running_loop().create_future()


def caches(store: Store, types: Iterable[str]) -> dict[str, Informer]:
    """One cache for each type, with the indexes that anybody wants of it."""
    wanted: dict[str, dict[str, Index]] = {type: {} for type in (*types, "Sandbox.engine", *projects.TYPES)}
    for reader in _READERS:
        for type, indexes in getattr(reader, "INDEXES", {}).items():
            wanted[type] |= indexes
    return {type: Informer(type, store, indexes) for type, indexes in wanted.items()}
