"""What the containers of a sandbox share beside its network: users, IPC with the memory at /dev/shm, and processes.

    <run>/shared/<sandbox>/users  a pinned namespace, to which the others of the sandbox belong
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
from collections.abc import Iterator, Sequence
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

    async def make_users(self, sandbox: Object) -> str:
        """Where the user namespace that it asks for is pinned; "": it has the host's.  Idempotent.  Raises Broken."""
        ...

    async def make(self, sandbox: Object) -> dict[str, Any]:
        """What its spec asks for; returns what its status says of it.  Idempotent.  Raises Broken."""
        ...

    async def drop(self, name: str) -> None:
        """Idempotent."""
        ...

    def is_whole(self, sandbox: Object) -> bool: ...


class NothingShared:
    """Every container for itself."""

    async def make_users(self, sandbox: Object) -> str:
        return ""

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

    async def make_users(self, sandbox: Object) -> str:
        if not sandbox.spec.get("own_users"):
            return ""
        with _telling(sandbox):
            return await offload(self._make_users, sandbox)

    async def make(self, sandbox: Object) -> dict[str, Any]:
        if not (sandbox.spec["share_ipc"] or sandbox.spec["share_pid"]):
            return {}
        with _telling(sandbox):
            return await offload(self._make, sandbox)

    async def drop(self, name: str) -> None:
        path = self._path / name
        if path.exists():
            await offload(self._drop, path)

    def is_whole(self, sandbox: Object) -> bool:
        path = self._path / sandbox.meta.name
        if sandbox.spec.get("own_users") and not pins.is_pinned(f"{path}/users"):
            return False
        if sandbox.spec["share_ipc"] and not pins.is_pinned(f"{path}/ipc"):
            return False
        return not sandbox.spec["share_pid"] or _holder(path) is not None

    # -- blocking --------------------------------------------------------------------------------------------------

    def _place(self, sandbox: Object) -> Path:
        path = self._path / sandbox.meta.name
        path.mkdir(parents=True, exist_ok=True, mode=0o711)
        return path

    def _make_users(self, sandbox: Object) -> str:
        path = f"{self._place(sandbox)}/users"
        pins.make_users(path, sandbox.status["first_id"])
        return path

    def _make(self, sandbox: Object) -> dict[str, Any]:
        path, found = self._place(sandbox), dict[str, Any]()
        users_path = f"{path}/users" if sandbox.spec.get("own_users") else ""
        if sandbox.spec["share_ipc"]:
            pins.make_ipc(f"{path}/ipc", users_path)
            _make_memory(path / "shm", sandbox.spec["shm_bytes"])
            found |= {"ipcns_path": f"{path}/ipc", "shm_path": f"{path}/shm"}
        if sandbox.spec["share_pid"]:
            if _holder(path) is None:
                self._hold(sandbox.meta.name, path, users_path)
            found |= {"pidns_path": f"{path}/pid"}
        return found

    def _hold(self, name: str, path: Path, users_path: str) -> None:
        mounts.unmount_all(path / "pid")  # of a namespace whose first process has been killed
        holder = pins.hold_processes(_pause(), str(path), users_path)
        (path / "pause").write_text(str(holder.pid))
        self._holders[name] = holder
        pins.pin_processes_of(holder, f"{path}/pid")

    def _drop(self, path: Path) -> None:
        end_holder(path)
        holder = self._holders.pop(path.name, None)
        if holder is not None:
            holder.wait()
        for name in ("ipc", "pid", "shm", "users"):
            mounts.unmount_all(path / name)
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _telling(sandbox: Object) -> Iterator[None]:
    """Turn OSError into Broken."""
    try:
        yield
    except OSError as error:
        said = f"cannot make what the containers of {sandbox.meta.name} share: {error}"
        raise Broken(said, kind="Sandbox", name=sandbox.meta.name) from error


def end_holder(path: Path) -> None:
    """End the process that holds what is shared at `path`, and with it its namespace.  Nothing where it is gone."""
    pid = _holder(path)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _holder(path: Path) -> int | None:
    """The process whose number is in the file there, if it lives."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((path / "pause").read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
        alive = Path(f"/proc/{pid}/comm").read_text().strip() == "unshare" and state != "Z"
        return pid if alive else None
    return None


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
