"""Things on the host that carry our names and belong to no cloud: after crashes, or a cloud deleted by hand."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from coracle.linux import netlink, nftables
from coracle.linux.cgroups import children
from coracle.node.config import clouds, tag_of
from coracle.node.marks import CGROUPS, TABLES
from coracle.node.sweep import end_groups

_LINK = re.compile(r"(coracle|cor[0-9a-f]{4})[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Leftover:
    sort: Literal["link", "nft table", "cgroup"]
    name: str


def find() -> list[Leftover]:
    """Needs root for the nft tables; without it they are not looked at."""
    known = clouds()
    tags = tuple(tag_of(name) for name in known)
    found = [Leftover("link", path.name) for path in Path("/sys/class/net").iterdir() if _LINK.fullmatch(path.name)]
    found = [thing for thing in found if not thing.name.startswith(tags)] if tags else found
    try:
        tables = nftables.tables()
    except OSError:
        tables = []
    found += [Leftover("nft table", t) for t in tables if t.startswith(TABLES) and t.removeprefix(TABLES) not in known]
    found += [Leftover("cgroup", path) for path in children(CGROUPS) if Path(path).name not in known]
    return found


def remove(found: Iterable[Leftover]) -> set[Leftover]:
    """Remove them; returns those that are gone.  Raises OSError."""
    for thing in found:
        if thing.sort == "link":
            with netlink.Netlink() as kernel:
                kernel.send(netlink.delete_link(thing.name), ignore=(errno.ENODEV,))
        elif thing.sort == "nft table":
            nftables.run(f"delete table ip {thing.name}")
        else:
            end_groups(thing.name, grace_s=0)
    return set(found) - set(find())
