"""Things on the host that carry our names and belong to no cloud: after crashes, or a cloud deleted by hand."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from coracle.linux import netlink, nftables
from coracle.linux.cgroups import children
from coracle.net.nft.bridges import Groups, is_of_a_cloud
from coracle.node.config import clouds, tag_of
from coracle.node.marks import CGROUPS, TABLES
from coracle.node.sweep import end_groups

_LINK = re.compile(r"(coracle|cor[0-9a-f]{4})[0-9a-f]+")
_LINKS = Path("/sys/class/net")
_FAMILIES = ("ip", "ip6")


@dataclass(frozen=True, slots=True)
class Leftover:
    sort: Literal["link", "nft table", "cgroup"]
    name: str


def find() -> list[Leftover]:
    """Needs root for the nft tables; without it they are not looked at.

    A cloud that comes up or goes down while we look is known.
    """
    known = {*clouds()}
    links, tables, groups = list(_links()), list(_tables()), list(children(CGROUPS))
    known |= {*clouds()}
    return [
        *(Leftover("link", name) for name in _strange(links, [tag_of(name) for name in known])),
        *(
            Leftover("nft table", f"{family} {table}")
            for family, table in tables
            if table.startswith(TABLES) and table.removeprefix(TABLES).removesuffix(".policies") not in known
        ),
        *(Leftover("cgroup", path) for path in groups if Path(path).name not in known),
    ]


def _tables() -> Iterator[tuple[str, str]]:
    with contextlib.suppress(OSError):
        for family in _FAMILIES:
            yield from ((family, table) for table in nftables.tables(family))


def _links() -> Iterator[tuple[str, int]]:
    """Name and group of each link."""
    for path in _LINKS.iterdir():
        with contextlib.suppress(OSError, ValueError):  # it has gone meanwhile
            yield path.name, int((path / "netdev_group").read_text())


def _strange(links: Iterable[tuple[str, int]], tags: Sequence[str]) -> Iterator[str]:
    """Links of clouds with other tags: called so, or, bridges that users named, in a group of such a cloud; pure."""
    known = {group for tag in tags for group in (Groups(tag).ours, Groups(tag).doomed)}
    for name, group in links:
        named = _LINK.fullmatch(name) and not name.startswith(tuple(tags))
        if named or (is_of_a_cloud(group) and group not in known):
            yield name


def remove(found: Iterable[Leftover]) -> set[Leftover]:
    """Remove them; returns those that are gone.  Raises OSError."""
    for thing in found:
        if thing.sort == "link":
            with netlink.Netlink() as kernel:
                kernel.send(netlink.delete_link(thing.name), ignore=(errno.ENODEV,))
        elif thing.sort == "nft table":
            nftables.run(f"delete table {thing.name}")
        else:
            end_groups(thing.name, grace_s=0)
    return set(found) - set(find())
