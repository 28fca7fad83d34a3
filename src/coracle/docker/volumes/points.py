"""MountPoint: something that a container sees at a path of its own.

A container keeps its mount points in its record's details; what the runtime mounts follows from them.
Source: Docker Engine API 1.50, "MountPoint"; moby volume/mounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from coracle.core.object import Object
from coracle.runtime.api import Mount

DETAIL = "MountPoints"  # of a container's spec.details
ANONYMOUS_LABEL = "com.docker.volume.anonymous"
QUIET = ("nosuid", "nodev")

Sort = Literal["bind", "volume", "tmpfs", "image"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPoint:
    """One mount.

    target       where the container sees it, clean and absolute
    source       of a bind: the host's path; of an image: its reference; of a volume: its directory on the host
    name, driver of a volume; an anonymous one has a name of 64 digits from `prepared` on
    mode         as it was written: "ro,z"
    propagation  of a bind: "rprivate", "shared", ...
    recursive    a bind shows what is mounted below its source
    copies       an empty volume is filled with what the image has there
    make_source  a bind's source is made where it is missing; else it has to be there
    subpath      the part of a volume or image that is shown
    via          where the host prepares what cannot be mounted by its own path (subpaths, images); "" elsewhere
    options      of a tmpfs, as mount options
    volume_options, labels   of a volume that is made for this
    listed       whether it shows in the container's Mounts; what --tmpfs makes does not
    """

    type: Sort
    target: str
    source: str = ""
    name: str = ""
    driver: str = ""
    mode: str = ""
    read_only: bool = False
    propagation: str = ""
    recursive: bool = True
    copies: bool = False
    anonymous: bool = False
    make_source: bool = False
    subpath: str = ""
    via: str = ""
    options: tuple[str, ...] = ()
    volume_options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    listed: bool = True


def to_details(points: Iterable[MountPoint]) -> list[dict[str, Any]]:
    """For `spec.details[DETAIL]`."""
    return [asdict(point) for point in points]


def mount_points(record: Object) -> tuple[MountPoint, ...]:
    """The mount points of a container; none of one that another API made."""
    kept = record.spec["details"].get(DETAIL) or ()
    return tuple(MountPoint(**{**point, "options": tuple(point["options"])}) for point in kept)


def shown(record: Object) -> list[dict[str, Any]]:
    """`Mounts` as `docker inspect` and `docker ps` show them."""
    return [_show(point) for point in mount_points(record) if point.listed]


def borrowed(points: Iterable[MountPoint], mode: str) -> tuple[MountPoint, ...]:
    """Another container's mount points, as --volumes-from takes them over; `mode` "ro" makes all read-only."""
    read_only = "ro" in mode.split(",")
    kept = [point for point in points if point.type in ("bind", "volume")]
    return tuple(
        replace(point, read_only=point.read_only or read_only, copies=False, anonymous=False) for point in kept
    )


def runtime_mount(point: MountPoint) -> Mount:
    """What the runtime is to mount."""
    if point.type == "tmpfs":
        return Mount(target=point.target, source="tmpfs", type="tmpfs", options=point.options)
    bind = "rbind" if point.recursive else "bind"
    return Mount(
        target=point.target,
        source=point.via or point.source,
        options=(bind, point.propagation or "rprivate"),
        read_only=point.read_only,
    )


def _show(point: MountPoint) -> dict[str, Any]:
    text: dict[str, Any] = {"Type": point.type}
    if point.type == "volume":
        text["Name"] = point.name
    text |= {"Source": point.source, "Destination": point.target}
    if point.driver:
        text["Driver"] = point.driver
    return text | {"Mode": point.mode, "RW": not point.read_only, "Propagation": point.propagation}
