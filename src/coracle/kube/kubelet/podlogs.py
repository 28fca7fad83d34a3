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

from coracle.core.informer import Informer
from coracle.core.loop import Again
from coracle.core.object import Key
from coracle.core.tasks import offload
from coracle.kube.kubelet.records import CONTAINER, POD_UID, Present, Records, to_pod
from coracle.linux.rooted import make_directory_in_root, open_in_root

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
    """The loop over pods; below `path` lie the directories that are seen in SHOWN_AT."""

    name = "kubelet-pod-logs"
    watches = {CONTAINER: to_pod}

    def __init__(self, caches: Mapping[str, Informer], records: Records, path: Path) -> None:
        self._cache, self._records, self._path = caches[CONTAINER], records, path
        self._made: dict[Key, dict[str, str]] = {}
        self._swept, self._turn = False, asyncio.Lock()

    async def reconcile(self, key: Key) -> Again | None:
        async with self._turn:
            if not self._swept:
                live = {entry.labels.get(POD_UID, "") for entry in self._cache.entries()}
                await offload(_sweep, self._path, live)
                self._swept = True
            await self._link(key)
        return None

    async def _link(self, key: Key) -> None:
        wanted, made = links(key, self._records.of(key)), self._made.get(key, {})
        if wanted == made:
            return
        await offload(_change, self._path, [path for path in made if path not in wanted], wanted)
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


def _sweep(top: Path, live: set[str]) -> None:
    """Forget the pods that went while we were away; `live` are the others' uids.  Agents' own files stay."""
    for link in [*(top / PODS).glob("*_*/*/*.log"), *(top / CONTAINERS).glob("*.log")]:
        if not link.is_symlink():
            continue
        place = link if link.parent.name != CONTAINERS else Path(os.readlink(link))
        if place.parent.parent.name.rpartition("_")[2] not in live:
            _change(top, [str(link.relative_to(top))], {})
