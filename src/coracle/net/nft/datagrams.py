"""Datagrams that the kernel remembers as connections, and steers past what has changed."""

from __future__ import annotations

from collections.abc import Sequence

from coracle.linux import conntrack, netlink, routes
from coracle.net.addresses import Address
from coracle.net.api import Forward
from coracle.net.nft.family import V4, Family


def forget_stale(changed: Sequence[Forward], present: dict[str, Forward], family: Family) -> None:
    """Make datagrams that still go to a target that is no more, or past a new Forward, be steered anew."""
    if not changed:
        return
    with netlink.Netlink() as kernel:
        of_links = routes.addresses(kernel) if family == V4 else routes.addresses6(kernel)
        local: set[Address] = {address for _index, address, _prefix in of_links}
    allowed: dict[tuple[Address | None, int], set[tuple[Address, int]]] = {
        (forward.address, forward.port): set() for forward in changed
    }
    for forward in present.values():
        if forward.transport == "UDP" and (forward.address, forward.port) in allowed:
            allowed[forward.address, forward.port].update((t.address, t.port) for t in forward.targets)

    def stale(flow: conntrack.Flow) -> bool:
        address, port = flow.asked
        targets = allowed.get((address, port))
        if targets is None and (address in local or address in family.loopback):
            targets = allowed.get((None, port))
        return targets is not None and flow.answering not in targets

    conntrack.forget_datagrams(stale, family.number)
