"""Do the same thing many times, carefully at first: 1, 2, 4, ... at once, and no more after a failure.

When something is wrong (a quota, a full disk), the first attempt says so and the other five hundred are not made.

Source: Kubernetes' slow start of replica creation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from coracle.core.errors import CloudError

_FIRST = 1


async def slow_start(count: int, act: Callable[[], Awaitable[object]]) -> tuple[int, CloudError | None]:
    """Call `act` `count` times.  Returns how often it went well, and the first failure if there was one."""
    done, size = 0, _FIRST
    while done < count:
        size = min(size, count - done)
        failures = await _at_once(size, act)
        done += size - len(failures)
        if failures:
            return done, failures[0]
        size *= 2
    return done, None


async def _at_once(size: int, act: Callable[[], Awaitable[object]]) -> list[CloudError]:
    failures: list[CloudError] = []

    async def attempt() -> None:
        try:
            await act()
        except CloudError as error:
            failures.append(error)

    async with asyncio.TaskGroup() as group:
        for _ in range(size):
            group.create_task(attempt())
    return failures
