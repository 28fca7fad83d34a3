"""Sandboxes: network identities that containers live in.  The only writer of Sandbox records.

Called by the kubelet and by Docker's containers; calls the NetDriver.  A record is committed, with the claims on its
addresses, before anything of it exists in the kernel, and goes after everything of it is gone: whatever moment the
daemon dies at, `adopt` finds what it left.

    ensure       commit "making" + addresses -> netns -> plugs -> files -> commit "ready"
    connect      commit the endpoint "making" + its addresses -> plug -> files -> commit the endpoint "ready"
    disconnect   commit the endpoint "leaving" -> unplug -> files -> commit without it
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists, Conflict, NotFound
from coracle.core.kind import Reader
from coracle.core.object import Object
from coracle.core.store import Store
from coracle.core.tasks import offload
from coracle.engine import endpoints, userids
from coracle.engine.endpoints import GivenNetworks, KnownNetworks
from coracle.engine.kinds import sandbox as sandboxes
from coracle.engine.kinds.sandbox import DnsConfig, Endpoint, Plugged, SandboxSpec
from coracle.engine.locks import KeyedLocks
from coracle.engine.names import render_files
from coracle.engine.sharing import NothingShared, Sharing
from coracle.linux.removal import remove_tree
from coracle.net.api import NetDriver, Network
from coracle.net.names import Asker

__all__ = ["DnsConfig", "Endpoint", "GivenNetworks", "KnownNetworks", "SandboxSpec", "Sandboxes"]

log = logging.getLogger(__name__)


class Askers(Protocol):
    """Who answers names, and needs to know who asks: `net.names`."""

    def know(self, asker: Asker) -> None: ...

    def forget(self, name: str) -> None: ...


class Sandboxes:
    """`root_path` keeps the sandboxes' files, `run_path` the pins of their namespaces (gone after a reboot)."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        net: NetDriver,
        networks: KnownNetworks,
        names: Askers | None = None,
        *,
        sharing: Sharing | None = None,
        root_path: str,
        run_path: str,
    ) -> None:
        self._net, self._networks, self._names = net, networks, names
        self._sharing: Sharing = sharing or NothingShared()
        self._files_path, self._pins_path = f"{root_path}/sandboxes", f"{run_path}/netns"
        self._records = Collection(replace(sandboxes.KIND, assign=self._assign), store, clock)
        self._locks = KeyedLocks()
        self._plugs = endpoints.Plugs(networks)

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

        Raises:      NotFound (network), AlreadyExists (an address that was asked for), Exhausted (no address, no
                     links), Invalid.  Nothing is left after a failure.
        Concurrency: safe at once; calls for one name take turns.
        """
        async with self._locks.of(spec.name):
            record = self.find(spec.name)
            if record is not None and record.status["state"] == "ready" and self._is_whole(record):
                return record
            return await self._make(record or self._first_record(spec), is_new=record is None)

    async def remove(self, name: str) -> None:
        """Take it out of the kernel, free its addresses, forget it.  Its containers must be gone.  Idempotent."""
        async with self._locks.of(name):
            record = self.find(name)
            if record is not None:
                await self._clear(record)

    async def connect(self, name: str, endpoint: Endpoint) -> Object:
        """Plug a sandbox into one more network, while its containers run.

        Raises: NotFound (sandbox, network), AlreadyExists (connected already; the address, the interface), Conflict
                (it has the host's network), Exhausted, Invalid.  Nothing is left after a failure.
        """
        async with self._locks.of(name):
            record = self._get(name)
            if record.spec["host_network"]:
                raise Conflict("a sandbox with the host's network cannot be connected", kind="Sandbox", name=name)
            if any(one["network"] == endpoint.network for one in record.status["endpoints"]):
                said = f"sandbox {name} is already connected to network {endpoint.network}"
                raise AlreadyExists(said, kind="Endpoint", name=endpoint.network)
            async with contextlib.AsyncExitStack() as undo:
                undo.push_async_callback(self._take_out, name, endpoint.network)
                record = await self._records.change(record.key, lambda now: _with_wish(now, endpoint))
                await self._plug_in(record, endpoints.networks_of(record, self._networks))
                record = await self._settle(record, endpoint.network, "ready")
                undo.pop_all()
            return record

    async def disconnect(self, name: str, network: str) -> Object:
        """Unplug a sandbox from a network.  Raises NotFound (sandbox; it is not connected)."""
        async with self._locks.of(name):
            record = self._get(name)
            if all(one["network"] != network for one in record.status["endpoints"]):
                raise NotFound(f"sandbox {name} is not connected to network {network}", kind="Endpoint", name=network)
            return await self._take_out(name, network)

    async def adopt(self) -> None:
        """At start, when the networks are there: undo what was half made when the last daemon died, and finish what
        was half undone."""
        os.makedirs(self._files_path, mode=0o700, exist_ok=True)
        os.makedirs(self._pins_path, mode=0o700, exist_ok=True)
        for record in self.list():
            if record.status["state"] == "making":
                log.info("sandbox %s was half made: undone", record.meta.name)
                await self.remove(record.meta.name)
                continue
            for one in record.status["endpoints"]:
                if one["state"] != "ready":
                    log.info("sandbox %s was %s network %s: taken out", record.meta.name, one["state"], one["network"])
                    await self.disconnect(record.meta.name, one["network"])
            self._announce(self._get(record.meta.name))

    # -- how -----------------------------------------------------------------------------------------------------

    def _get(self, name: str) -> Object:
        record = self.find(name)
        if record is None:
            raise NotFound(kind="Sandbox", name=name)
        return record

    def _first_record(self, spec: SandboxSpec) -> Object:
        host = "host" if spec.host_network else ""
        return sandboxes.to_record(spec).with_status(
            address="",
            primary="",
            netns_path=host or f"{self._pins_path}/{spec.name}",
            ipcns_path="",
            utsns_path=host,
        )

    async def _make(self, record: Object, *, is_new: bool) -> Object:
        async with contextlib.AsyncExitStack() as undo:
            if is_new:
                undo.push_async_callback(self._clear, record)
                record = await self._records.create(record)
            users_path = await self._sharing.make_users(record)
            if record.status["netns_path"] != "host":
                await self._net.make_netns(record.status["netns_path"], users_path)
            await self._plug_in(record, endpoints.networks_of(record, self._networks))
            made = {"users_path": users_path, **await self._sharing.make(record)}
            made |= {} if is_new else {"mended": record.status.get("mended", 0) + 1}
            record = await self._records.change(record.key, lambda now: now.with_status(state="ready", **made))
            undo.pop_all()
        return record

    async def _plug_in(self, record: Object, networks: Mapping[str, Network]) -> None:
        """Bring the kernel, the files and the names to what the record says of `networks`."""
        for port in endpoints.ports_of(record, networks):
            await self._net.plug(networks[port.network], port)
        await offload(_write_files, self.files_path(record.meta.name), render_files(record))
        self._announce(record)

    async def _take_out(self, name: str, network: str) -> Object:
        """Unplug from `network`, whatever there is of it."""
        record = await self._settle(self._get(name), network, "leaving")
        for one in record.status["endpoints"]:
            if one["network"] == network:
                await self._net.unplug(endpoints.bare_port(record, one))
        if self._is_whole(record):
            await self._plug_in(record, endpoints.known_of(record, self._networks))  # another may have to lead out now
        return await self._records.change(record.key, lambda now: _without(now, network))

    async def _settle(self, record: Object, network: str, state: Literal["ready", "leaving"]) -> Object:
        def settled(now: Object) -> Object:
            there = [{**one, "state": state} if one["network"] == network else one for one in now.status["endpoints"]]
            return now.with_status(endpoints=there)

        return await self._records.change(record.key, settled)

    async def _clear(self, record: Object) -> None:
        """Undo everything, whatever there is of it; the record and its addresses last."""
        present = self._records.find(record.key) or record
        if self._names is not None:
            self._names.forget(present.meta.name)
        if present.status["netns_path"] != "host":
            ports = [endpoints.bare_port(present, one) for one in present.status["endpoints"]]
            await self._net.drop_netns(present.status["netns_path"], ports)
        await self._sharing.drop(present.meta.name)
        await offload(remove_tree, self.files_path(present.meta.name))
        await self._records.delete(present.key, missing_ok=True)

    def _is_whole(self, record: Object) -> bool:
        """Whether the namespace is still pinned: a mount of nsfs on the path."""
        path = record.status["netns_path"]
        if not self._sharing.is_whole(record):
            return False
        if path == "host":
            return True
        try:
            return os.stat(path).st_dev != os.stat(os.path.dirname(path)).st_dev
        except FileNotFoundError:
            return False

    def _announce(self, record: Object) -> None:
        """Tell who answers names who asks from these addresses."""
        there = endpoints.present(record)
        if self._names is None or not there:
            return
        dns = record.spec["dns"]
        self._names.know(
            Asker(
                name=record.meta.name,
                addresses=tuple(address for one in there for address in (one["address"], one["address6"]) if address),
                networks=tuple(one["network"] for one in there),
                servers=tuple(dns["servers"]) if dns["embedded"] else (),
                outside=any(not network.internal for network in endpoints.known_of(record, self._networks).values()),
            )
        )

    def _assign(self, sandbox: Object, old: Object | None, reader: Reader) -> Object:
        """Give each endpoint that was wished for its addresses; the claims on them are part of the same commit."""
        there: list[Plugged] = list(sandbox.status["endpoints"])
        for wish in sandbox.spec["endpoints"] if not sandbox.spec["host_network"] else ():
            if all(one["network"] != wish["network"] for one in there):
                made = self._plugs.plugged(wish, there, reader)
                there.append(made if old is None else {**made, "state": "making"})
        if old is None and sandbox.spec["own_users"]:
            sandbox = sandbox.with_status(first_id=userids.choose(sandbox.meta.name, reader))
        filled = sandbox.with_status(endpoints=there)
        first = endpoints.primary(filled, endpoints.known_of(filled, self._networks))
        return filled.with_status(address=first["address"] if first else "", primary=first["network"] if first else "")


def _with_wish(sandbox: Object, endpoint: Endpoint) -> Object:
    return _with_endpoints(sandbox, [*sandbox.spec["endpoints"], sandboxes.wish(endpoint)])


def _without(sandbox: Object, network: str) -> Object:
    left = [one for one in sandbox.status["endpoints"] if one["network"] != network]
    wishes = [wish for wish in sandbox.spec["endpoints"] if wish["network"] != network]
    return _with_endpoints(sandbox.with_status(endpoints=left), wishes)


def _with_endpoints(sandbox: Object, wishes: Sequence[dict[str, Any]]) -> Object:
    return replace(sandbox, body={**sandbox.body, "spec": {**sandbox.spec, "endpoints": list(wishes)}})


def _write_files(path: str, files: dict[str, str]) -> None:
    """In place: containers have these very files bound.  Blocks."""
    os.makedirs(path, mode=0o755, exist_ok=True)
    for name, text in files.items():
        with open(f"{path}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
