"""What inspect and list show of a container beyond its record: network, health, sizes, files."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any, Protocol

from coracle.core.object import Object
from coracle.docker.containers import details, states
from coracle.docker.networks.endpoints import Lookup
from coracle.docker.networks.settings import network_settings
from coracle.docker.versions import Version
from coracle.engine.files import Files
from coracle.engine.images import Images
from coracle.engine.sandboxes import Sandboxes

DRIVER = "overlay2"


class Looks(Protocol):
    """What health checks have found."""

    def looks(self, id: str) -> list[dict[str, Any]]: ...
    def streak(self, id: str) -> int: ...


class Views:
    def __init__(self, sandboxes: Sandboxes, lookup: Lookup, looks: Looks, files: Files, images: Images) -> None:
        self._sandboxes, self._lookup = sandboxes, lookup
        self._looks, self._files, self._images = looks, files, images

    def network_settings(self, record: Object, version: Version) -> dict[str, Any]:
        settings = network_settings(record, self.sandbox(record), self._lookup)
        if version < Version(1, 45):  # the short id was an alias
            for endpoint in settings["Networks"].values():
                if endpoint.get("DNSNames"):
                    names = [*(endpoint.get("Aliases") or ()), record.meta.name[:12]]
                    endpoint["Aliases"] = list(dict.fromkeys(names))
        return settings

    def sandbox(self, record: Object) -> Object | None:
        return self._sandboxes.find(str(record.spec["sandbox"]))

    def hostname(self, record: Object) -> str:
        """The name that its programs see."""
        sandbox = self.sandbox(record)
        if sandbox is not None and sandbox.spec["host_network"]:
            return platform.node()
        return str(sandbox.spec["hostname"]) if sandbox is not None else record.meta.name[:12]

    def file_path(self, record: Object, name: str) -> str:
        """Where the host keeps what the container sees as /etc/<name>."""
        return f"{self._sandboxes.files_path(str(record.spec['sandbox']))}/{name}"

    def health(self, record: Object) -> dict[str, Any] | None:
        """`State.Health`; None where nothing is probed."""
        found: Mapping[str, Any] | None = details.life(record).get("Health")
        if not found:
            return None
        return {
            "Status": states.health(record),
            "FailingStreak": self._looks.streak(record.meta.name) or int(found.get("FailingStreak") or 0),
            "Log": self._looks.looks(record.meta.name),
        }

    def graph_driver(self, record: Object) -> dict[str, Any]:
        merged = str(record.status.get("rootfs_path") or "")
        return {"Name": DRIVER, "Data": {"MergedDir": merged} if merged else None}

    async def sizes(self, record: Object) -> dict[str, int]:
        """`SizeRw`, what it has written, and `SizeRootFs`, with its image; in bytes."""
        own = await self._files.own_bytes(record.meta.name)
        image = self._images.find(str(record.spec["image_id"]))
        return {"SizeRw": own, "SizeRootFs": own + (int(image.spec["size_bytes"]) if image else 0)}
