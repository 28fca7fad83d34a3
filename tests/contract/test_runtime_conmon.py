"""The runtime's Protocol on the real kernel, with conmon and crun, and with runc."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from coracle.runtime.api import Bundle, Process
from suites.real_runtime import Machine
from suites.runtime_suite import RuntimeSuite


class RealSuite(RuntimeSuite):
    stubborn = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000; done")
    missing = ("missing",)
    runtime_name = ""

    @pytest.fixture(autouse=True)
    def machine(self):
        directory = Path(tempfile.mkdtemp(prefix="cort-"))
        self._machine = Machine(directory, self.runtime_name)
        yield self._machine
        self._machine.close()

    def make(self):
        return self._machine.runtime()

    def exiting(self, code):
        return ("sh", "-c", f"exit {code}")

    def bundle(self, id, *argv, **fields):
        if argv == ("sleep", "1000"):  # the first process of a container is deaf to signals it does not handle
            argv = ("sh", "-c", "trap 'trap - TERM; exit 143' TERM; echo ready; sleep 1000 & wait")
            fields.setdefault("log_path", str(self._machine.directory / f"{id}.log"))
        if argv == self.stubborn:
            fields.setdefault("log_path", str(self._machine.directory / f"{id}.log"))
        process = Process(argv=argv, env=("PATH=/bin",), tty=fields.pop("tty", False))
        return Bundle(id=id, rootfs_path=str(self._machine.rootfs), process=process, **fields)

    def run(self, main):
        async def closing():
            try:
                await main
            finally:
                for runtime in self._machine._runtimes:
                    for state in await runtime.states():
                        await runtime.delete(state.id)

        return asyncio.run(closing())

    async def ready(self, runtime, id):
        log = self._machine.directory / f"{id}.log"
        async with asyncio.timeout(30):
            while "ready" not in (log.read_text() if log.exists() else ""):  # noqa: ASYNC110
                await asyncio.sleep(0.005)


class TestCrun(RealSuite):
    runtime_name = "crun"


class TestRunc(RealSuite):
    runtime_name = "runc"
