"""What the containers of a sandbox share beside its network: IPC with the memory at /dev/shm, and processes.

    <run>/shared/<sandbox>/ipc    a pinned namespace
    <run>/shared/<sandbox>/shm    the memory, a file system that is bound into each container
    <run>/shared/<sandbox>/pid    a pinned namespace, whose first process reaps and does nothing else
    <run>/shared/<sandbox>/pause  the number of the process that ends it when it ends

Called by `sandboxes`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from coracle.core.errors import Broken, Unavailable
from coracle.core.object import Object
from coracle.core.tasks import offload
from coracle.engine import inits
from coracle.linux import mounts, pins

_QUIET = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC


class Sharing(Protocol):
    """Makes and drops what a sandbox's containers share."""

    async def make(self, sandbox: Object) -> dict[str, Any]:
        """What its spec asks for; returns what its status says of it.  Idempotent.  Raises Broken."""
        ...

    async def drop(self, name: str) -> None:
        """Idempotent."""
        ...

    def is_whole(self, sandbox: Object) -> bool: ...


class NothingShared:
    """Every container for itself."""

    async def make(self, sandbox: Object) -> dict[str, Any]:
        return {}

    async def drop(self, name: str) -> None:
        return

    def is_whole(self, sandbox: Object) -> bool:
        return True


class SharedNamespaces:
    """The namespaces of Linux."""

    def __init__(self, *, run_path: str) -> None:
        self._path = Path(run_path) / "shared"
        self._holders: dict[str, subprocess.Popen[bytes]] = {}

    async def make(self, sandbox: Object) -> dict[str, Any]:
        if not (sandbox.spec["share_ipc"] or sandbox.spec["share_pid"]):
            return {}
        try:
            return await offload(self._make, sandbox)
        except OSError as error:
            said = f"cannot make what the containers of {sandbox.meta.name} share: {error}"
            raise Broken(said, kind="Sandbox", name=sandbox.meta.name) from error

    async def drop(self, name: str) -> None:
        path = self._path / name
        if path.exists():
            await offload(self._drop, path)

    def is_whole(self, sandbox: Object) -> bool:
        paths = [str(sandbox.status.get(key) or "") for key in ("ipcns_path", "pidns_path")]
        return all(pins.is_pinned(path) for path in paths if path and path != "host")

    # -- blocking --------------------------------------------------------------------------------------------------

    def _make(self, sandbox: Object) -> dict[str, Any]:
        path, found = self._path / sandbox.meta.name, dict[str, Any]()
        path.mkdir(parents=True, exist_ok=True, mode=0o711)
        if sandbox.spec["share_ipc"]:
            pins.make_ipc(f"{path}/ipc")
            _make_memory(path / "shm", sandbox.spec["shm_bytes"])
            found |= {"ipcns_path": f"{path}/ipc", "shm_path": f"{path}/shm"}
        if sandbox.spec["share_pid"]:
            if not pins.is_pinned(f"{path}/pid"):
                self._hold(sandbox.meta.name, path)
            found |= {"pidns_path": f"{path}/pid"}
        return found

    def _hold(self, name: str, path: Path) -> None:
        holder = pins.hold_processes(_pause(), str(path))
        (path / "pause").write_text(str(holder.pid))
        self._holders[name] = holder
        pins.pin_processes_of(holder, f"{path}/pid")

    def _drop(self, path: Path) -> None:
        end_holder(path / "pause")
        holder = self._holders.pop(path.name, None)
        if holder is not None:
            holder.wait()
        for name in ("ipc", "pid", "shm"):
            while mounts.unmount(path / name):
                pass
        shutil.rmtree(path, ignore_errors=True)


def end_holder(path: Path) -> None:
    """End the process whose number is in the file at `path`, and with it its namespace.  Nothing where it is gone."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(path.read_text())
        if Path(f"/proc/{pid}/comm").read_text().strip() == "unshare":
            os.kill(pid, signal.SIGKILL)


def _make_memory(path: Path, size_bytes: int) -> None:
    path.mkdir(exist_ok=True)
    if not os.path.ismount(path):
        mounts.mount("tmpfs", path, source="shm", flags=_QUIET, data=f"mode=1777,size={size_bytes}")


def _pause() -> Sequence[str]:
    """What the first process runs; without an init on the host it does not reap."""
    try:
        return (inits.find_init(), "--", "sleep", "infinity")
    except Unavailable:
        return ("sleep", "infinity")
