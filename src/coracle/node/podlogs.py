"""Where log agents look for pods' logs: shown in the cloud's own mount namespace, not on the host (decision 12)."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from coracle.kube.kubelet.podlogs import ALL, CONTAINERS, PODS, SHOWN_AT
from coracle.linux import mounts

log = logging.getLogger(__name__)

PLACES = (Path(SHOWN_AT, PODS), Path(SHOWN_AT, CONTAINERS))


def links_path(root: Path) -> Path:
    return root / "podlogs"


def show(root: Path) -> None:
    """Once we are in the cloud's namespace: bind what is kept in `root` to where agents look.  Idempotent.

    The host gets two empty directories to mount on, where it has none.  Without a /var/log that can be written to,
    nothing is shown.
    """
    try:
        containers = root / "containers"
        containers.mkdir(mode=0o700, exist_ok=True)
        _bind(containers, links_path(root) / PODS / ALL)
        for place in PLACES:
            _bind(links_path(root) / place.name, place)
    except OSError as error:
        log.warning("pods' logs are not shown in %s: %s", SHOWN_AT, error)


def take_back() -> None:
    """Remove the places from the host, where they are empty; when no cloud is left that has mounted on them."""
    for place in PLACES:
        with contextlib.suppress(OSError):
            place.rmdir()


def _bind(source: Path, target: Path) -> None:
    source.mkdir(mode=0o755, parents=True, exist_ok=True)
    target.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not os.path.samefile(source, target):
        mounts.bind(source, target, recursive=True)
