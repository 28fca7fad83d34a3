"""The NetDriver on Linux: bridges and veth pairs by netlink, forwards by one nftables table.

Sequences links, rules and settings; each of them is idempotent and is found again by the cloud's names.
docs/network.md tells how packets go.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from coracle.core.errors import Broken
from coracle.core.tasks import offload
from coracle.linux import netns, nftables
from coracle.net.api import Forward, Network, Port
from coracle.net.nft import sysctls
from coracle.net.nft.bridges import Bridges, Groups, links_with_routers
from coracle.net.nft.family import V4, V6, Family
from coracle.net.nft.plugs import Plugs
from coracle.net.nft.policing import PolicyTable
from coracle.net.nft.rules import Rules
from coracle.net.nft.sysctls import Ledger
from coracle.net.policing import Isolation

log = logging.getLogger(__name__)

_TABLES = "coracle-"  # how tables of all clouds begin
_FORWARDING, _FORWARDING6 = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"
_DROPPED_AT_MOST = 512  # links that may wait for the kernel to delete them, should it leave them to us


@dataclass(frozen=True, slots=True)
class Marks:
    """What is this cloud's in the kernel, which it shares with everybody.

    table            the nftables table, beginning with "coracle-"
    prefix           how its links are called, at most 7 bytes; bridges of its Networks begin so too
    run_dir          below it lie its pinned namespaces
    ledger_path      the file that all clouds of the machine share; see sysctls
    service_range    addresses that are only ever forwarded
    service_network  the network they are reached through
    """

    table: str
    prefix: str
    run_dir: Path
    ledger_path: Path = Path("/run/coracle/sysctls.json")
    service_range: IPv4Network | None = None
    service_network: str = "pods"


class NftDriver:
    """Also a Part: while it runs, rules that somebody removes (`nft flush`) are made again at once."""

    def __init__(self, marks: Marks) -> None:
        if not marks.table.startswith(_TABLES) or not 0 < len(marks.prefix) <= 7:
            raise ValueError(f"not the marks of a cloud: {marks.table}, {marks.prefix}")
        self._marks = marks
        groups = Groups(marks.prefix)
        self._bridges = Bridges(groups, marks.service_range, marks.service_network)
        self._plugs = Plugs(marks.prefix, groups, self._bridges)
        self._rules = {family: Rules(marks.table, marks.service_range, family) for family in (V4, V6)}
        self._policies = PolicyTable(f"{marks.table}.policies")
        self._ledger = Ledger(marks.ledger_path)
        self._telling = threading.Lock()  # of the rules; links take care of themselves
        self._purged = False
        self._dropped = 0  # plugs cut off since the last sweep

    async def ensure_network(self, network: Network) -> None:
        await offload(self._ensure_network, network)

    async def remove_network(self, network: Network) -> None:
        await offload(self._remove_network, network)

    async def make_netns(self, path: str, users_path: str = "") -> None:
        await offload(self._plugs.make_netns, path, users_path)

    async def drop_netns(self, path: str, ports: Sequence[Port] = ()) -> None:
        await offload(self._plugs.drop, path, ports)
        self._dropped += len(ports)
        if self._dropped >= _DROPPED_AT_MOST:
            self._dropped = 0
            await offload(self._sweep)

    async def plug(self, network: Network, port: Port) -> None:
        await offload(self._plugs.plug, network, port)

    async def unplug(self, port: Port) -> None:
        await offload(self._plugs.unplug, port)

    async def steer(self, forwards: Sequence[Forward]) -> None:
        await offload(self._steer, tuple(forwards))

    async def isolate(self, isolations: Sequence[Isolation]) -> None:
        """See `policing.Policing`."""
        await offload(self._isolate, tuple(isolations))

    async def purge(self) -> None:
        await offload(self._purge)

    async def run(self, up: Callable[[], None]) -> None:
        """Watch the rules, and make them again where they are taken away; no link is left to be deleted before and
        after."""
        await offload(self._sweep)
        with nftables.TableNews() as news:
            loop = asyncio.get_running_loop()
            removed = asyncio.Event()

            def heard() -> None:
                if news.is_removed(self._marks.table, self._policies.table):
                    removed.set()

            loop.add_reader(news.fileno(), heard)
            try:
                up()
                while True:
                    await removed.wait()
                    removed.clear()
                    await offload(self._reassert)
            finally:
                loop.remove_reader(news.fileno())
                self._sweep()

    # -- in threads ----------------------------------------------------------------------------------------------

    def _ensure_network(self, network: Network) -> None:
        self._purged = False
        try:
            self._let_forward(network)
            self._bridges.ensure(network)
            with self._telling:
                for family in _families(network):
                    self._rules[family].add_network(network)
        except OSError as error:
            raise Broken(f"cannot make network {network.name}: {error}", kind="Network", name=network.name) from error

    def _let_forward(self, network: Network) -> None:
        self._ledger.change(_FORWARDING, "1", self._marks.table)
        if network.subnet6 is not None and sysctls.is_known(_FORWARDING6):
            for link in links_with_routers():
                # A host that forwards would no longer listen to its router.
                self._ledger.change(f"net/ipv6/conf/{link}/accept_ra", "2", self._marks.table)
            self._ledger.change(_FORWARDING6, "1", self._marks.table)

    def _remove_network(self, network: Network) -> None:
        try:
            self._bridges.remove(network)
            with self._telling:
                for family in _families(network):
                    self._rules[family].remove_network(network)
        except OSError as error:
            raise Broken(f"cannot remove network {network.name}: {error}", kind="Network", name=network.name) from error

    def _steer(self, forwards: Sequence[Forward]) -> None:
        try:
            with self._telling:
                for family, rules in self._rules.items():
                    mine = [forward for forward in forwards if family.has(forward)]
                    if mine or rules.forwards or family == V4:
                        rules.steer(mine)
        except OSError as error:
            raise Broken(f"cannot set the forwards: {error}") from error

    def _isolate(self, isolations: Sequence[Isolation]) -> None:
        try:
            with self._telling:
                self._policies.isolate(isolations)
        except OSError as error:
            raise Broken(f"cannot isolate: {error}") from error

    def _reassert(self) -> None:
        with self._telling:
            for rules in self._all_rules():
                if self._purged or not rules.is_used or rules.exists():
                    continue
                log.warning("table %s was removed by somebody else; making it again", rules.table)
                try:
                    rules.reassert()
                except OSError:
                    log.exception("the rules could not be made again; the next change tries once more")

    def _all_rules(self) -> list[Rules | PolicyTable]:
        return [*self._rules.values(), self._policies]

    def _sweep(self) -> None:
        try:
            self._plugs.sweep()
        except OSError:
            log.exception("links that were cut off could not be deleted; the next sweep takes them along")

    def _purge(self) -> None:
        with self._telling:
            self._purged = True
            for rules in self._all_rules():
                rules.remove()
        self._plugs.remove_all()
        for path in netns.pins(self._marks.run_dir):
            netns.drop(path)
        alive = set(nftables.tables())
        self._ledger.release(self._marks.table, alive.__contains__)


def _families(network: Network) -> list[Family]:
    return [V4, V6] if network.subnet6 is not None else [V4]
