"""How many durable commits a second does the store take, and how long does one last?

Floor in the same run: write 2 kB and fdatasync, on the same disk.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path

from coracle.core.object import Meta, Object
from coracle.core.store import Put
from coracle.core.tasks import running
from coracle.store.sqlite import SqliteStore
from measure import report

SECONDS, RUNS = 2, 3
BODY = {"spec": {"text": "x" * 1900}}


async def commits(writers):
    """Commits per second, and the median milliseconds of one."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        store = SqliteStore(Path(directory))
        lasted_ms = []

        async def write(number):
            until = time.perf_counter() + SECONDS
            while (start := time.perf_counter()) < until:
                await store.commit(Put(Object("Thing", Meta(name=f"t{number}"), BODY)))
                lasted_ms.append(1000 * (time.perf_counter() - start))

        async with running(store):
            await asyncio.gather(*[write(number) for number in range(writers)])
        return len(lasted_ms) / SECONDS, sorted(lasted_ms)[len(lasted_ms) // 2]


def floor():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        fd = os.open(Path(directory) / "file", os.O_WRONLY | os.O_CREAT)
        count, until = 0, time.perf_counter() + SECONDS
        while time.perf_counter() < until:
            os.write(fd, b"x" * 2000)
            os.fdatasync(fd)
            count += 1
        os.close(fd)
        return count / SECONDS


def main():
    rows = [("floor: write + fdatasync", [floor() for _ in range(RUNS)], "/s", "")]
    for writers in (1, 32, 256):
        answers = [asyncio.run(commits(writers)) for _ in range(RUNS)]
        rows.append((f"commits, {writers} writers", [rate for rate, _ in answers], "/s", "goal >= 10,000 (many)"))
        rows.append(("  one lasts", [ms for _, ms in answers], "ms", ""))
    report("Durable commits of 2 kB objects", rows)


main()
