"""Sandboxes: network identities that containers live in.  The only writer of Sandbox records.

Called by the kubelet and by Docker's containers; calls the NetDriver.  A record is committed, with the claim on its
address, before anything of it exists in the kernel, and goes after everything of it is gone: whatever moment the daemon
dies at, `adopt` finds what it left.

    commit "making" + address -> netns -> plug -> files -> commit "ready"
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import NotFound
from coracle.core.kind import Reader
from coracle.core.object import Object
from coracle.core.store import Store
from coracle.core.tasks import offload
from coracle.engine.kinds import sandbox as sandboxes
from coracle.engine.kinds.sandbox import DnsConfig, SandboxSpec
from coracle.engine.locks import KeyedLocks
from coracle.engine.names import render_hostname, render_hosts, render_resolv_conf
from coracle.net.addresses import Addresses, mac_of
from coracle.net.api import NetDriver, Network, Port

__all__ = ["DnsConfig", "SandboxSpec", "Sandboxes"]

log = logging.getLogger(__name__)


class Sandboxes:
    """`root_path` keeps the sandboxes' files, `run_path` the pins of their namespaces (gone after a reboot)."""

    def __init__(
        self, store: Store, clock: Clock, net: NetDriver, networks: Sequence[Network], *, root_path: str, run_path: str
    ) -> None:
        self._net = net
        self._networks = {network.name: network for network in networks}
        self._files_path, self._pins_path = f"{root_path}/sandboxes", f"{run_path}/netns"
        self._records = Collection(replace(sandboxes.KIND, assign=self._assign), store, clock)
        self._locks = KeyedLocks()
        self._addresses = {network.name: Addresses(network.name, network.subnet) for network in networks}

    # -- reading -------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Object | None:
        return self._records.find(sandboxes.key(name))

    def list(self) -> Sequence[Object]:
        return self._records.list()

    def files_path(self, name: str) -> str:
        """The directory with the sandbox's hosts, hostname and resolv.conf."""
        return f"{self._files_path}/{name}"

    # -- making and removing -------------------------------------------------------------------------------------

    async def ensure(self, spec: SandboxSpec) -> Object:
        """The sandbox of that name: made, or as it is, mended where the kernel has lost it (a reboot).

        Raises:      NotFound (network), Exhausted (no address, no links), Invalid.  Nothing is left after a failure.
        Concurrency: safe at once; calls for one name take turns.
        """
        async with self._locks.of(spec.name):
            record = self.find(spec.name)
            if record is not None and record.status["state"] == "ready" and self._is_whole(record):
                return record
            return await self._make(record or self._first_record(spec), is_new=record is None)

    async def remove(self, name: str) -> None:
        """Take it out of the kernel, free its address, forget it.  Its containers must be gone.  Idempotent."""
        async with self._locks.of(name):
            record = self.find(name)
            if record is not None:
                await self._clear(record)

    async def adopt(self) -> None:
        """At start: make the networks, and undo the sandboxes that were half made when the last daemon died."""
        os.makedirs(self._files_path, mode=0o700, exist_ok=True)
        os.makedirs(self._pins_path, mode=0o700, exist_ok=True)
        for network in self._networks.values():
            await self._net.ensure_network(network)
        for record in self.list():
            if record.status["state"] == "making":
                log.info("sandbox %s was half made: undone", record.meta.name)
                await self.remove(record.meta.name)

    # -- how -----------------------------------------------------------------------------------------------------

    def _first_record(self, spec: SandboxSpec) -> Object:
        host = "host" if spec.host_network else ""
        return sandboxes.to_record(spec).with_status(
            address="",
            netns_path=host or f"{self._pins_path}/{spec.name}",
            ipcns_path="",
            utsns_path=host,
        )

    async def _make(self, record: Object, *, is_new: bool) -> Object:
        async with contextlib.AsyncExitStack() as undo:
            if is_new:
                undo.push_async_callback(self._clear, record)
                record = await self._records.create(record)
            if record.status["netns_path"] != "host":
                await self._net.make_netns(record.status["netns_path"])
                await self._net.plug(self._networks[record.spec["network"]], _port(record))
            await offload(_write_files, self.files_path(record.meta.name), _files(record))
            record = await self._records.change(record.key, lambda now: now.with_status(state="ready"))
            undo.pop_all()
        return record

    async def _clear(self, record: Object) -> None:
        """Undo everything, whatever there is of it; the record and its address last."""
        present = self._records.find(record.key) or record
        if present.status["netns_path"] != "host":
            if present.status["address"]:
                await self._net.unplug(_port(present))
            await self._net.drop_netns(present.status["netns_path"])
        await offload(_remove_tree, self.files_path(present.meta.name))
        await self._records.delete(present.key, missing_ok=True)

    def _is_whole(self, record: Object) -> bool:
        """Whether the namespace is still pinned: a mount of nsfs on the path."""
        path = record.status["netns_path"]
        if path == "host":
            return True
        try:
            return os.stat(path).st_dev != os.stat(os.path.dirname(path)).st_dev
        except FileNotFoundError:
            return False

    def _assign(self, sandbox: Object, old: Object | None, reader: Reader) -> Object:
        """Give a new sandbox the next free address of its network; the claim is part of the same commit."""
        if old is not None or sandbox.spec["host_network"]:
            return sandbox
        network = self._networks.get(sandbox.spec["network"])
        if network is None:
            raise NotFound(kind="Network", name=sandbox.spec["network"])
        return sandbox.with_status(address=str(self._addresses[network.name].choose(reader)))


def _port(record: Object) -> Port:
    address = IPv4Address(record.status["address"])
    return Port(record.meta.name, record.spec["network"], address, record.status["netns_path"], mac_of(address))


def _files(record: Object) -> dict[str, str]:
    spec = record.spec
    dns = DnsConfig(**{name: tuple(words) for name, words in spec["dns"].items()})
    return {
        "hosts": render_hosts(spec["hostname"], record.status["address"], spec["hosts"]),
        "hostname": render_hostname(spec["hostname"]),
        "resolv.conf": render_resolv_conf(dns),
    }


def _write_files(path: str, files: dict[str, str]) -> None:
    """In place: containers have these very files bound.  Blocks."""
    os.makedirs(path, mode=0o755, exist_ok=True)
    for name, text in files.items():
        with open(f"{path}/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def _remove_tree(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)
