"""Volumes: directories with names of their own.  The only writer of Volume records.

    <root>/volumes/<name>/_data    the content; also where the file system of a volume with options is mounted
    <run>/views/<token>            a part of a volume or image, opened safely and bound there for a container

A record comes after its directory and goes before it, so that a record always means a volume.  What the last daemon
left half made is swept at start.  A volume with options is mounted with its first running container, and unmounted with
its last.  Which containers use a volume is what their records say (`spec.volumes`).

Called by Docker's handlers and loops.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists, Conflict, Malformed, NotFound
from coracle.core.object import Object
from coracle.core.store import Store
from coracle.core.tasks import offload
from coracle.engine import filesystems, filling, volumefiles
from coracle.engine.kinds import container as containers
from coracle.engine.kinds import volume as volumes
from coracle.engine.locks import KeyedLocks
from coracle.image.snapshots.layers import content_bytes

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_CHARACTERS = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_LONGEST = 255


class Volumes:
    """`root_path` keeps the volumes; `run_path` what is only true until the machine restarts."""

    def __init__(self, store: Store, clock: Clock, *, root_path: str, run_path: str) -> None:
        self._store = store
        self._records = Collection(volumes.KIND, store, clock)
        self._root, self._views = Path(root_path) / "volumes", Path(run_path) / "views"
        self._locks = KeyedLocks()
        self._holds: Counter[str] = Counter()  # names that a container is being made with
        self._attached: defaultdict[str, set[str]] = defaultdict(set)  # name -> containers that start or run

    # -- reading -------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Object | None:
        return self._records.find(volumes.key(name))

    def get(self, name: str) -> Object:
        """Raises NotFound."""
        found = self.find(name)
        if found is None:
            raise NotFound(f"get {name}: no such volume", kind="Volume", name=name)
        return found

    def list(self) -> Sequence[Object]:
        return self._records.list()

    def path(self, name: str) -> str:
        """Where the content of the volume of that name is, or will be."""
        return str(self._root / name / "_data")

    def users(self, name: str) -> Sequence[str]:
        """The ids of the containers that use it, running or not."""
        return [user.meta.name for user in self._users(name)]

    def in_use_names(self) -> set[str]:
        """The names of all volumes that containers use."""
        used = {name for name, count in self._holds.items() if count}
        for entry in self._store.entries(containers.TYPE):
            used.update(_volumes_of(entry.object()))
        return used

    async def size_bytes(self, name: str) -> int:
        """What its files hold.  Raises NotFound."""
        self.get(name)
        with contextlib.suppress(FileNotFoundError):  # it goes at this moment
            return await offload(content_bytes, Path(self.path(name)))
        return 0

    # -- life ----------------------------------------------------------------------------------------------------

    async def create(
        self,
        name: str,
        *,
        driver: str = "local",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        passing: bool = False,
    ) -> Object:
        """Make a volume, or find the one of that name as it is; `passing`: see `mark`.

        Raises: Malformed (name, options), NotFound (driver), Exhausted, Broken.
        """
        _check(name, driver, options or {})
        async with self._locks.of(name):
            found = self.find(name)
            if found is not None:
                return found
            await offload(volumefiles.make, self._root / name)
            record = volumes.to_record(name, self.path(name), driver, options or {}, labels or {})
            record = record.with_status(passing=True) if passing else record
            with contextlib.suppress(AlreadyExists):
                return await self._records.create(record)
            return self.get(name)

    async def mark(self, name: str, *, passing: bool) -> None:
        """Say whether it is to go at the next start of the daemon if no container uses it then.  Idempotent."""
        found = self.find(name)
        if found is not None and bool(found.status.get("passing")) != passing:
            with contextlib.suppress(NotFound):
                await self._records.change(found.key, lambda now: now.with_status(passing=passing))

    async def remove(self, name: str, force: bool = False) -> bool:
        """Forget a volume and what is in it; whether there was one.

        Raises: NotFound (unless `force`), Conflict (containers use it).
        """
        async with self._locks.of(name):
            if self.find(name) is None:
                if force:
                    return False
                raise NotFound(f"get {name}: no such volume", kind="Volume", name=name)
            users = self.users(name)
            if users or self._holds[name]:
                said = f"remove {name}: volume is in use - [{', '.join(users)}]"
                raise Conflict(said, kind="Volume", name=name)
            await self._records.delete(volumes.key(name), missing_ok=True)
            await offload(volumefiles.remove, self._root / name)
            return True

    async def abandon(self, name: str) -> bool:
        """Remove it unless it is used or gone; whether it was removed."""
        with contextlib.suppress(Conflict):
            return await self.remove(name, force=True)
        return False

    @contextlib.contextmanager
    def in_use(self, names: Iterable[str]) -> Iterator[None]:
        """While a container with these volumes is being journaled or started, none of them is removed."""
        held = list(names)
        self._holds.update(held)
        try:
            yield
        finally:
            self._holds.subtract(held)
            for name in held:
                if not self._holds[name]:
                    del self._holds[name]

    async def fill(self, name: str, root: str, path: str) -> None:
        """Where the volume is empty, copy what the file system tree at `root` has at `path`, owner and mode included.

        Raises: Invalid (there is a file, not a directory), Exhausted, Broken.
        """
        async with self._locks.of(name):
            await self._mount(name)
            try:
                await offload(filling.fill, root, path, self.path(name))
            finally:
                await self._unmount(name)

    # -- what containers see -------------------------------------------------------------------------------------

    async def attach(self, name: str, user: str) -> None:
        """Make its content visible at `path` for the container with id `user`, which is about to start.  Idempotent.

        Raises: NotFound, Invalid (its file system cannot be mounted).
        """
        async with self._locks.of(name):
            self.get(name)
            self._attached[name].add(user)
            await self._mount(name)

    async def detach(self, name: str, user: str) -> None:
        """`user` does not run any more: unmount its file system unless another one does.  Idempotent."""
        async with self._locks.of(name):
            self._attached[name].discard(user)
            if not self._attached[name]:
                del self._attached[name]
            await self._unmount(name, but=user)

    def view_path(self, token: str) -> str:
        """Where `view` will show something; `token` is of letters and digits, and unique."""
        return str(self._views / token)

    async def view(self, path: str, base: str, subpath: str) -> None:
        """Show what `subpath` is inside the directory `base` at `path` (see `view_path`); no link leads out of `base`.

        Raises: NotFound (no such subpath), Broken.
        """
        await offload(volumefiles.show, path, base, subpath)

    async def drop_view(self, path: str) -> None:
        """Idempotent."""
        await offload(volumefiles.hide, path)

    async def adopt(self) -> None:
        """At start: remove what was being made or removed, unmount what nobody came to use."""
        used = self.in_use_names()
        for record in self.list():
            if record.status.get("passing") and record.meta.name not in used:
                await self.remove(record.meta.name, force=True)
        known = {record.meta.name for record in self.list()}
        await offload(volumefiles.sweep, self._root, known)
        for name in known:
            await self._unmount(name)

    # -- how -----------------------------------------------------------------------------------------------------

    async def _mount(self, name: str) -> None:
        """Mount its file system where it has one and is not mounted."""
        options = self.get(name).spec["options"]
        if options.get("type"):
            await offload(filesystems.mount, self.path(name), options)

    async def _unmount(self, name: str, but: str = "") -> None:
        """Unmount its file system where it has one and no container but `but` needs it."""
        found = self.find(name)
        if found is None or not found.spec["options"].get("type") or self._attached.get(name):
            return
        running = (user for user in self._users(name) if user.status["state"] == "running")
        if all(user.meta.name == but for user in running):
            await offload(filesystems.unmount, self.path(name))

    def _users(self, name: str) -> Iterator[Object]:
        for entry in self._store.entries(containers.TYPE):
            record = entry.object()
            if name in _volumes_of(record):
                yield record


def _check(name: str, driver: str, options: Mapping[str, str]) -> None:
    """Raises Malformed or NotFound in Docker's words."""
    said, shown = f"create {name[:_LONGEST]}: ", _quoted(name[:_LONGEST])
    if driver != "local":
        said += f"error looking up volume plugin {driver}: plugin {_quoted(driver)} not found"
        raise NotFound(said, kind="Driver", name=driver)
    if len(name) == 1:
        raise Malformed(f"{said}volume name is too short, names should be at least two alphanumeric characters")
    if _NAME.fullmatch(name) is None:
        raise Malformed(
            f'{said}{shown} includes invalid characters for a local volume name, only "{_CHARACTERS}" are allowed. '
            "If you intended to pass a host directory, use absolute path"
        )
    if len(name) > _LONGEST:
        raise Malformed(f"{said}volume name is too long, names should be at most {_LONGEST} characters")
    try:
        filesystems.check(options)
    except Malformed as error:
        raise Malformed(f"{said}{error}") from None


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _volumes_of(record: Object) -> Sequence[str]:
    return record.spec.get("volumes") or ()
