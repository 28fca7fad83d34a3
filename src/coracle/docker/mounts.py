"""The mounts of Docker's containers, from the request to the end.

    resolve    the request's fields -> mount points                     (pure)
    prepared   volumes are made; what the engine's spec needs           before the record is committed
    populate   empty volumes take over what the image has there         after it
    start      missing directories, volumes' file systems, subpaths     before each start
    stop       takes away what `start` has mounted                      after each end
    drop       what only this container had                             after the record is gone

Called by the handlers and loops of containers; calls the engine's volumes and images.
Source: moby daemon/volumes.go; docker.md 6.3 item 2.
"""

from __future__ import annotations

import contextlib
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from coracle.core.errors import Malformed
from coracle.core.object import Object
from coracle.core.tasks import offload
from coracle.docker.bodies import Fields
from coracle.docker.volumes import sources
from coracle.docker.volumes.points import (
    ANONYMOUS_LABEL,
    DETAIL,
    MountPoint,
    borrowed,
    mount_points,
    runtime_mount,
    shown,
    to_details,
)
from coracle.docker.volumes.specs import clean, parse_bind, parse_mount, parse_tmpfs, parse_volumes_from
from coracle.engine.images import Images
from coracle.engine.volumes import Volumes
from coracle.runtime.api import Mount

_RUNNING = "running"

Publish = Callable[[str, str, str, Mapping[str, str]], Awaitable[None]]

__all__ = ["DETAIL", "MountPoint", "Mounts", "Prepared", "mount_points", "resolve", "shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a container's spec takes: `mounts` and `volumes` as they are, `details` under `details[DETAIL]`."""

    points: tuple[MountPoint, ...]

    @property
    def mounts(self) -> tuple[Mount, ...]:
        return tuple(runtime_mount(point) for point in self.points)

    @property
    def volumes(self) -> tuple[str, ...]:
        """Names of the volumes that it uses."""
        return tuple(dict.fromkeys(point.name for point in self.points if point.type == "volume"))

    @property
    def details(self) -> list[dict[str, Any]]:
        return to_details(self.points)


def resolve(
    host: Fields, targets: Iterable[str], lender: Callable[[str], Sequence[MountPoint]]
) -> tuple[MountPoint, ...]:
    """The mount points that a request asks for.

    Shape:  `host` is HostConfig (Binds, Mounts, Tmpfs, VolumesFrom, VolumeDriver); `targets` the keys of
            Config.Volumes, the image's with them; `lender(name)` the mount points of a container in VolumesFrom.
    Raises: Malformed, in Docker's words; what `lender` raises.
    """
    found: dict[str, MountPoint] = {}
    for text in host.texts("VolumesFrom"):
        name, mode = parse_volumes_from(text)
        found |= {point.target: point for point in borrowed(lender(name), mode)}
    asked = [parse_bind(raw, host.text("VolumeDriver")) for raw in host.texts("Binds")]
    asked += [parse_mount(spec) for spec in host.objects("Mounts")]
    asked += [parse_tmpfs(target, options) for target, options in host.text_map("Tmpfs").items()]
    own: dict[str, MountPoint] = {}
    for point in asked:
        if point.target in own:
            raise Malformed(f"Duplicate mount point: {point.target}")
        own[point.target] = point
    found |= own
    for target in targets:
        if target[1:3] == ":/":  # what the client makes of `-v x:/srv`, as if x were a drive
            said = "volume name is too short, names should be at least two alphanumeric characters"
            raise Malformed(f"create {target[0]}: {said}")
        if not target.startswith("/") or clean(target) == "/" or "\0" in target:
            raise Malformed(f"invalid volume specification: '{target}'")
        driver = host.text("VolumeDriver") or "local"
        found.setdefault(
            clean(target),
            MountPoint(type="volume", target=clean(target), driver=driver, copies=True, anonymous=True),
        )
    return tuple(found.values())


class Mounts:
    """`publish(type, action, id, attributes)` tells events of volumes."""

    def __init__(self, volumes: Volumes, images: Images, publish: Publish) -> None:
        self._volumes, self._images, self._publish = volumes, images, publish
        self._holders: defaultdict[str, set[str]] = defaultdict(set)  # container -> who needs what it mounts

    @contextlib.asynccontextmanager
    async def prepared(self, points: Sequence[MountPoint]) -> AsyncIterator[Prepared]:
        """The points with their volumes made, for the time in which the container's record is committed.

        No volume of it can be removed meanwhile; if the body fails, the anonymous ones that were made for it go.
        Raises: Malformed (a bind's source is missing, a volume's name or options), NotFound (an image).
        """
        whole = [self._named(point) for point in points]
        if binds := [point for point in whole if point.type == "bind"]:
            await offload(sources.check, binds)
        for point in whole:
            if point.type == "image":
                self._images.get(point.source)
        made: list[str] = []
        try:
            with self._volumes.in_use([point.name for point in whole if point.name]):
                for i, point in enumerate(whole):
                    if point.type == "volume":
                        whole[i] = await self._with_volume(point)
                        made += [point.name] if point.anonymous else []
                yield Prepared(points=tuple(whole))
        except BaseException:
            for name in made:
                await self._abandon(name)
            raise

    def _named(self, point: MountPoint) -> MountPoint:
        name = secrets.token_hex(32) if point.type == "volume" and not point.name else point.name
        indirect = point.subpath or point.type == "image"
        return replace(point, name=name, via=self._volumes.view_path(secrets.token_hex(16)) if indirect else "")

    async def _with_volume(self, point: MountPoint) -> MountPoint:
        labels = {**point.labels, **({ANONYMOUS_LABEL: ""} if point.anonymous else {})}
        options = dict(point.volume_options)
        is_new = self._volumes.find(point.name) is None
        await self._volumes.create(
            point.name, driver=point.driver, options=options, labels=labels, passing=point.anonymous
        )
        if is_new:
            await self._publish("volume", "create", point.name, {"driver": point.driver})
        return replace(point, source=self._volumes.path(point.name))

    async def settle(self, record: Object, *, passing: bool) -> None:
        """Its anonymous volumes outlive it, or (`passing`) are to go with it, whenever the daemon dies.  Idempotent."""
        for point in mount_points(record):
            if point.anonymous:
                await self._volumes.mark(point.name, passing=passing)

    async def populate(self, record: Object) -> None:
        """Fill its empty volumes with what its image has at their targets.  Raises Invalid, Exhausted, Broken.

        The root file system stays mounted for the start, which mostly follows.
        """
        points = [point for point in mount_points(record) if point.type == "volume" and point.copies]
        if not points:
            return
        root = await self._images.mount(self._images.get(record.spec["image_id"]), record.meta.name)
        for point in points:
            await self._volumes.fill(point.name, root, point.target)

    async def start(self, record: Object, holder: str = _RUNNING) -> None:
        """Make everything ready to be mounted.  Raises Invalid, NotFound, Broken; then nothing stays mounted."""
        points = mount_points(record)
        self._holders[record.meta.name].add(holder)
        try:
            if binds := [point for point in points if point.type == "bind"]:
                await offload(sources.make, binds)
            for name in record.spec.get("volumes") or ():
                await self._volumes.attach(name, record.meta.name)
            for point in points:
                if point.via:
                    await self._volumes.view(point.via, await self._base(point), point.subpath)
        except BaseException:
            await self.stop(record, holder)
            raise
        if holder == _RUNNING:
            await self._tell("mount", record)

    async def stop(self, record: Object, holder: str = _RUNNING) -> None:
        """Take away what `start` mounted, once the container does not run.  Idempotent."""
        holders = self._holders[record.meta.name]
        ran = holder == _RUNNING and holder in holders
        holders.discard(holder)
        if ran:
            await self._tell("unmount", record)
        if holders:
            return
        self._holders.pop(record.meta.name, None)
        for point in mount_points(record):
            if point.via:
                await self._volumes.drop_view(point.via)
                if point.type == "image":
                    await self._images.unmount(_snapshot(point))
        for name in record.spec.get("volumes") or ():
            await self._volumes.detach(name, record.meta.name)

    @contextlib.asynccontextmanager
    async def seen(self, record: Object) -> AsyncIterator[None]:
        """While somebody looks at its files: what it mounts is there, though it may not run."""
        if record.status["state"] == "running":
            yield
            return
        holder = secrets.token_hex(8)
        await self.start(record, holder)
        try:
            yield
        finally:
            await self.stop(record, holder)

    async def drop(self, record: Object, *, anonymous: bool) -> None:
        """Forget what only this container had; with `anonymous` also its anonymous volumes (--rm, rm -v).

        For after its record is gone.  Idempotent; an anonymous volume that another one borrowed stays.
        """
        await self.stop(record)
        for point in mount_points(record):
            if point.type == "image":
                await self._images.discard(_snapshot(point))
            if anonymous and point.anonymous:
                await self._abandon(point.name)

    async def _abandon(self, name: str) -> None:
        if await self._volumes.abandon(name):
            await self._publish("volume", "destroy", name, {"driver": "local"})

    async def _tell(self, action: str, record: Object) -> None:
        for point in mount_points(record):
            if point.type == "volume":
                told = {"driver": point.driver, "container": record.meta.name}
                if action == "mount":
                    how = "false" if point.read_only else "true"
                    told |= {"destination": point.target, "read/write": how, "propagation": point.propagation}
                await self._publish("volume", action, point.name, told)

    async def _base(self, point: MountPoint) -> str:
        """Where the whole of what a view shows a part of is."""
        if point.type == "image":
            return await self._images.mount(self._images.get(point.source), _snapshot(point))
        return point.source


def _snapshot(point: MountPoint) -> str:
    """The snapshot under an image mount."""
    return f"view-{point.via.rpartition('/')[2]}"
