"""What a Snapshotter is: layers unpacked once, and for each container a writable view of some of them.

Terms.  A *layer* is a tar of changes.  Its *diff id* is the digest of that tar, uncompressed; its *chain id* (see
`image.digests.chain_ids`) names it together with everything below it.  A *chain* is a sequence of chain ids, the lowest
first.  A *snapshot* is a container's own root file system: a chain and what the container changed.

Lifecycle.  `unpack` makes a layer present, all at once or not at all; the layers below it come first.  `mount` makes a
snapshot (the first time) and its root file system appear at the path it returns; mounting what is mounted answers the
same path.  `unmount` takes the view away and keeps the changes; `remove` forgets them.  `collect` removes the layers
that neither the caller nor any snapshot uses.

All state is on disk below the directory that a Snapshotter was given, its mounts included: another process given the
same directory goes on where the first one ended.  The directory must not be reachable for other users (0700): layers
hold set-user-id programs.  Every method blocks; call from a thread.  Calls for different ids may run at once.

Source: containerd's core/snapshots, boiled down; OCI image specification 1.1, "Image Layer Filesystem Changeset".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from coracle.core.errors import Malformed
from coracle.linux.idmaps import Users

_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer to unpack: the last of `chain`, whose tar is in the file `blob`, packed by `compression`."""

    chain: tuple[str, ...]
    diff_id: str
    blob: Path
    compression: Literal["", "gzip", "zstd"] = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one layer may grow to.  A ratio is only asked of what unpacks to more than `free_bytes`."""

    max_bytes: int = 32 << 30
    max_entries: int = 1_000_000
    max_ratio: int = 300
    free_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between a snapshot and its layers; `path` is absolute inside the root file system."""

    kind: Literal["added", "modified", "deleted"]
    path: str


class Snapshotter(Protocol):
    def has_layer(self, chain_id: str) -> bool: ...

    def layer_bytes(self, chain_id: str) -> int:
        """What the files of one layer hold, without those below it.  Raises NotFound."""
        ...

    def unpack(self, layer: Layer) -> None:
        """Make the layer present; nothing to do where it is.

        Raises: Invalid (damaged, or an archive no image should hold), TooLarge (a limit), NotFound (a layer below it
                is missing), Exhausted (no space).  Then nothing is left of it.
        """
        ...

    def mount(self, id: str, chain: Sequence[str], *, read_only: bool = False, users: Users | None = None) -> Path:
        """The root file system of snapshot `id`.  `chain` counts the first time; later, the stored one does.

        `users`: whose files they are inside: uid 0 of the layers is the root of that user namespace.
        Raises: NotFound (a layer is missing), Malformed (id), Unsupported (ids cannot be mapped here), Broken.
        """
        ...

    def unmount(self, id: str) -> None:
        """Take the view away; nothing to do where there is none."""
        ...

    def remove(self, id: str) -> None:
        """Forget the snapshot and its changes; nothing to do where there is none."""
        ...

    def list(self) -> tuple[str, ...]:
        """The ids of all snapshots, sorted."""
        ...

    def usage_bytes(self, id: str) -> int:
        """What the files hold that the snapshot has beside its layers.  Raises NotFound."""
        ...

    def changes(self, id: str) -> Iterator[Change]:
        """What differs from the layers, parents before children.  Raises NotFound."""
        ...

    def collect(self, used: Collection[str]) -> int:
        """Remove layers that are neither in `used` (chain ids) nor below a snapshot; how many."""
        ...

    def sweep(self) -> None:
        """Remove what an earlier process left half done.  For start-up: nothing else may be at work."""
        ...


class Packs(Protocol):
    """An optional ability: making a layer of what a snapshot changed."""

    def pack(self, id: str, out: BinaryIO, *, without: Collection[str] = ()) -> str:
        """Write the changes as an uncompressed layer; its diff id.  Raises NotFound.

        `without`: absolute paths that are left out where an empty file or directory was made there.
        """
        ...


class Keeps(Protocol):
    """An optional ability: a snapshot's changes become a layer where they lie, without being packed and unpacked."""

    def keep(self, id: str, chain: Sequence[str]) -> None:
        """The changes of snapshot `id` are the last layer of `chain` from now on, and the snapshot is no more.

        Nothing of it may be in use.  It is not synced to disk: whoever relies on it calls `sync`.
        Raises: NotFound.
        """
        ...

    def sync(self) -> None:
        """Everything that was kept so far is on the disk."""
        ...


def check_id(id: str) -> str:
    """`id` if it can name a snapshot.  Raises Malformed."""
    if _ID.fullmatch(id) is None:
        raise Malformed(f"invalid snapshot id {id[:140]!r}")
    return id
