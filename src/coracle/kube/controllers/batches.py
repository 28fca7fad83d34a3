"""Do the same thing many times, carefully at first: 1, 2, 4, ... at once, and no more after a failure.

When something is wrong (a quota, a full disk), the first attempt says so and the other five hundred are not made.

Source: Kubernetes' slow start of replica creation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from coracle.core.errors import CloudError

T = TypeVar("T")

_FIRST = 1


async def slow_start(items: Sequence[T], act: Callable[[T], Awaitable[object]]) -> list[CloudError]:
    """Call `act` for one after another.  Returns the failures of the batch that had some."""
    done, size = 0, _FIRST
    while done < len(items):
        batch = items[done : done + size]
        failures = await for_each(batch, act)
        if failures:
            return failures
        done += len(batch)
        size *= 2
    return []


async def for_each(items: Iterable[T], act: Callable[[T], Awaitable[object]]) -> list[CloudError]:
    """Call `act` for all of them at once.  Returns the failures."""
    failures: list[CloudError] = []

    async def attempt(item: T) -> None:
        try:
            await act(item)
        except CloudError as error:
            failures.append(error)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(attempt(item))
    return failures
