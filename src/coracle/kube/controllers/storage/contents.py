"""Where the contents of the cluster's own volumes are, and how volumes are named that were made here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from coracle.core.object import Object
from coracle.kube.kinds.storagerules import PROVISIONED_BY

NAME = "coracle.io/local-directory"  # of the provisioner
FINALIZER = NAME


class Directories(Protocol):
    """Directories, and files for block devices, by name; and what volumes made by hand ask of the host."""

    async def make(self, name: str) -> str:
        """The path of the directory of that name, made or as it is."""
        ...

    async def make_block(self, name: str, size_bytes: int) -> str:
        """The path of the block device's file of that name: made, or grown to that size."""
        ...

    async def copy(self, source_path: str, name: str) -> None:
        """Put what is at `source_path` into the one of that name."""
        ...

    async def remove(self, name: str) -> None:
        """With all that is in it.  Idempotent."""
        ...

    async def empty(self) -> Sequence[str]:
        """The names of those in which nothing is."""
        ...

    async def scrub(self, path: str) -> None:
        """Remove all that is in a directory of the host, not itself."""
        ...

    async def remove_path(self, path: str) -> None:
        """Remove a directory of the host.  Idempotent."""
        ...


def volume_name(claim: Object) -> str:
    return f"pvc-{claim.meta.uid}"


def is_ours(volume: Object) -> bool:
    return volume.meta.annotations.get(PROVISIONED_BY) == NAME


def is_block(obj: Object) -> bool:
    """A claim or a volume."""
    return obj.spec.get("volumeMode") == "Block"
