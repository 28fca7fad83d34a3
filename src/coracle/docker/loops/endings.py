"""Does what is due when a container has ended: ports and address go, policies restart it, --rm removes it.

A Part.  At its start it publishes the ports of those that have run on without us, then looks at every record once: one
that ended while no daemon was there is treated like any other, with its true exit code.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from coracle.core.errors import CloudError, NotFound
from coracle.core.informer import Informer
from coracle.core.loop import Again, Loop
from coracle.core.object import Key, Object
from coracle.core.store import Event, Store
from coracle.docker.containers import details
from coracle.docker.containers.homes import Homes
from coracle.docker.containers.lives import Lives
from coracle.engine.containers import Containers

log = logging.getLogger(__name__)

TYPE = "Container.engine"
WORKERS = 8


def ended(event: Event) -> Iterable[Key]:
    """Containers that do not run: nothing is due of others."""
    if event.type == "DELETED" or event.entry.raw.find(b'"made_by":"docker"') < 0:
        return ()
    if event.before is not None and event.entry.raw.find(b'"state":"running"') >= 0:
        return ()
    return (event.entry.key,)


class Endings:
    """The reconciler."""

    name = "docker-endings"
    watches = {TYPE: ended}

    def __init__(self, lives: Lives) -> None:
        self._lives = lives

    async def reconcile(self, key: Key) -> Again | None:
        try:
            after_s = await self._lives.settle(key.name)
        except NotFound:
            return None
        return Again(after_s) if after_s is not None else None


class Keeper:
    """The Part: what has to be so again at the start, then the loop."""

    def __init__(
        self, lives: Lives, homes: Homes, containers: Containers, caches: Mapping[str, Informer], store: Store
    ) -> None:
        self._lives, self._homes, self._containers = lives, homes, containers
        self._loop = Loop(Endings(lives), caches, store, workers=WORKERS)

    async def run(self, up: Callable[[], None]) -> None:
        for record in self._containers.list():
            if details.is_docker(record):
                await self._resume(record)
        await self._loop.run(up)

    async def _resume(self, record: Object) -> None:
        try:
            if record.status["state"] == "running":
                await self._homes.restore(record)
            else:
                await self._lives.wake(record.meta.name)
        except CloudError as error:
            log.error("container %s is not as it was before the restart: %s", record.meta.name, error)
