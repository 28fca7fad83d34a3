"""Show pods' logs where log agents look for them.

    pods/<namespace>_<pod>_<uid>/<container>/<attempt>.log      as the kubelet names them
    containers/<pod>_<namespace>_<container>-<id>.log           for agents that know these names only

All are links: whoever mounts both directories, or the one above them, can follow them (decision 12).  The files are the
monitors' own, in the format of the container runtime interface; they are rotated under their names.
Decide: links(), pure.  Act: PodLogs.reconcile().

Source: Kubernetes documentation, "Logging Architecture", "Log locations".
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from coracle.core.loop import Again
from coracle.core.object import Key
from coracle.core.tasks import offload
from coracle.kube.kubelet.records import CONTAINER, Present, Records, to_pod
from coracle.linux.rooted import make_directory_in_root, open_in_root, open_within

PODS, CONTAINERS = "pods", "containers"
ALL = ".all"  # in `pods`: what is seen there has a directory with its log for every container, by id
SHOWN_AT = "/var/log"
Links = Mapping[str, str]  # path below the directory -> what it leads to


def links(key: Key, there: Mapping[str, Present]) -> dict[str, str]:
    """For all containers that there are of the pods of that name, by uid."""
    found = {}
    for uid, present in there.items():
        for one in present.all:
            path = f"{PODS}/{key.namespace}_{key.name}_{uid}/{one.container}/{one.number}.log"
            found[path] = f"../../{ALL}/{one.id}/log"
            found[f"{CONTAINERS}/{key.name}_{key.namespace}_{one.container}-{one.id}.log"] = f"{SHOWN_AT}/{path}"
    return found


class PodLogs:
    """The loop over pods; below `path` lie the directories that are seen in SHOWN_AT.

    What an earlier daemon left counts as made, and is looked at first: its pods may have gone while nobody was there.
    """

    name = "kubelet-pod-logs"
    watches = {CONTAINER: to_pod}

    def __init__(self, records: Records, path: Path) -> None:
        self._records, self._path = records, path
        self._made: dict[Key, Links] = {}
        self._found, self._turn = False, asyncio.Lock()

    async def reconcile(self, key: Key) -> Again | None:
        async with self._turn:
            if not self._found:
                self._made = await offload(_left, self._path)
                self._found = True
                for other in list(self._made):
                    with contextlib.suppress(OSError):  # its own turn comes, where it has containers
                        await self._link(other)
            await self._link(key)
        return None

    async def _link(self, key: Key) -> None:
        wanted, made = links(key, self._records.of(key)), self._made.get(key, {})
        if wanted == made:
            return
        gone = [path for path, target in made.items() if wanted.get(path) != target]
        await offload(_change, self._path, gone, wanted)
        if wanted:
            self._made[key] = wanted
        else:
            self._made.pop(key, None)


def _change(top: Path, gone: Iterable[str], wanted: Links) -> None:
    top.mkdir(mode=0o755, parents=True, exist_ok=True)
    root = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # agents may put links in the way
    try:
        for path in gone:
            _remove(root, path)
        for path, target in wanted.items():
            _link(root, path, target)
    finally:
        os.close(root)


def _link(root: int, path: str, target: str) -> None:
    folder, _, name = path.rpartition("/")
    parent = make_directory_in_root(root, folder)
    try:
        with contextlib.suppress(FileExistsError):
            os.symlink(target, name, dir_fd=parent)
    finally:
        os.close(parent)


def _remove(root: int, path: str) -> None:
    """With the pod's directories, where they are empty then."""
    steps: Sequence[Callable[..., None]] = (os.unlink, os.rmdir, os.rmdir)
    for step in steps[: 1 if path.startswith(f"{CONTAINERS}/") else 3]:
        path, _, name = path.rpartition("/")
        try:
            parent = open_in_root(root, path, os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return
        try:
            step(name, dir_fd=parent)
        except FileNotFoundError:
            pass
        except OSError:
            return
        finally:
            os.close(parent)


def _left(top: Path) -> dict[Key, Links]:
    """The links that we made before, by pod; directories without any go.  Agents' own files and links stay."""
    left: dict[Key, dict[str, str]] = {}
    for link in [*(top / PODS).glob("*_*_*/*/*.log"), *(top / CONTAINERS).glob("*_*_*.log")]:
        with contextlib.suppress(OSError):  # no link, or gone meanwhile
            path, target = str(link.relative_to(top)), os.readlink(link)
            if target.startswith((f"../../{ALL}/", f"{SHOWN_AT}/{PODS}/")):
                left.setdefault(_pod_of(path), {})[path] = target
    for directory in [*(top / PODS).glob("*_*_*/*"), *(top / PODS).glob("*_*_*")]:
        _remove_empty(top, str(directory.relative_to(top)))
    return {**left}


def _pod_of(path: str) -> Key:
    """Whose link that is, by its name."""
    folder, rest = path.split("/", 1)
    first, second, _ = rest.split("_", 2)
    return Key(first, second) if folder == PODS else Key(second, first)


def _remove_empty(top: Path, path: str) -> None:
    """A directory in which nothing is: the daemon was killed before it had put a link in, or after it took it out."""
    folder, _, name = path.rpartition("/")
    with contextlib.suppress(OSError):
        parent = open_within(str(top), folder, os.O_PATH | os.O_DIRECTORY)
        try:
            os.rmdir(name, dir_fd=parent)
        finally:
            os.close(parent)
