"""What takes long for a pod (pulling an image, ending a container, probing), beside the loop that must stay free.

A chore has a pod and a name; one that goes on already is not begun again.  When it ends, however it ends, its pod is
looked at again: what it changed is seen there, in a record or a note.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from coracle.core.clock import Clock
from coracle.core.errors import CloudError
from coracle.core.object import Key
from coracle.core.tasks import Tasks

log = logging.getLogger(__name__)

RETRY_S = 1.0  # a failed chore holds its place for so long, lest it be begun again at once

Work = Callable[[], Coroutine[Any, Any, None]]


class Chores:
    """A Part that runs chores.  `listen` says whom to tell that a pod wants to be looked at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._tasks = Tasks()
        self._wake: Callable[[Key], None] = lambda _key: None

    def listen(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake

    def wake(self, key: Key) -> None:
        """Look at this pod soon."""
        self._wake(key)

    async def run(self, up: Callable[[], None]) -> None:
        await self._tasks.run(up)

    def begin(self, pod_uid: str, key: Key, name: str, work: Work) -> bool:
        """Do `work` unless a chore of that name goes on for this pod.  Returns whether it was begun."""
        id = (pod_uid, name)
        if id in self._running or not self._tasks.running:
            return False
        self._running[id] = self._tasks.begin(self._do(id, key, work), name=f"{key}: {name}")
        return True

    def names(self, pod_uid: str) -> list[str]:
        return [name for uid, name in self._running if uid == pod_uid]

    def cancel(self, pod_uid: str, name: str) -> None:
        task = self._running.get((pod_uid, name))
        if task is not None:
            task.cancel()

    async def _do(self, id: tuple[str, str], key: Key, work: Work) -> None:
        try:
            await work()
        except CloudError as error:
            log.info("%s of pod %s: %s", id[1], key, error)
            await self._clock.sleep(RETRY_S)
        except Exception:
            log.exception("%s of pod %s", id[1], key)
            await self._clock.sleep(RETRY_S)
        finally:
            del self._running[id]
            self._wake(key)
