"""The node itself: its object with what it has and how it is, and its lease, renewed while we live.

Nothing is measured that the next renewal would not tell anyway: one wake every ten seconds, one small commit.
Decide: nodestatus, thresholds.  Source: Kubernetes documentation, "Nodes", "Leases", "Node-pressure Eviction".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from coracle.core.clock import Clock, rfc3339, rfc3339_micro
from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists, CloudError, NotFound
from coracle.core.object import Json, Key, Meta, Object
from coracle.core.tasks import offload
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.configuration import Settings
from coracle.kube.kubelet.machine import Machine, read_stocks
from coracle.kube.kubelet.nodestatus import (
    allocatable,
    capacity,
    changed,
    node_object,
    node_status,
    relabelled,
    same_but_for_time,
)
from coracle.kube.kubelet.pressure import Relief
from coracle.kube.kubelet.thresholds import Stocks, Strain

LEASES = "kube-node-lease"


class NodeSync:
    """A Part: registers the node, keeps its status, renews its lease, and sees to it that there is room (`relief`).

    Up once the node is Ready: start it when everything that pods need is up.
    """

    def __init__(
        self,
        nodes: Collection,
        leases: Collection,
        config: NodeConfig,
        machine: Machine,
        settings: Settings,
        *,
        recorder: EventRecorder,
        clock: Clock,
        relief: Relief | None = None,
        images: Callable[[], Iterable[Object]] = tuple,
    ) -> None:
        """`images` gives the engine's."""
        self._images = images
        self._nodes, self._leases = nodes, leases
        self._config, self._machine, self._settings = config, machine, settings
        self._recorder, self._clock, self._relief = recorder, clock, relief
        self._told_at_s, self._strain = 0.0, Strain()
        self._cordoned: bool | None = None

    async def run(self, up: Callable[[], None]) -> None:
        await self.register()
        await self.renew()
        up()
        while True:
            await self._clock.sleep(self._settings.period_s)
            try:
                await asyncio.gather(self.renew(), self.tell())
            except NotFound:
                await self.register()  # somebody has deleted the node: we are still here
            except CloudError:
                continue  # the store is busy or full; the next renewal says it

    async def register(self) -> None:
        """Make the Node, or take over the one of our name; then say how it is."""
        wanted = node_object(self._config, self._machine)
        try:
            node = await self._nodes.create(wanted)
        except AlreadyExists:
            labels = wanted.meta.labels
            node = await self._nodes.change(
                wanted.key, lambda node: node.with_meta(labels={**node.meta.labels, **labels})
            )
        self._recorder.emit(node, "Normal", "Starting", "Starting kubelet.")
        booted = (node.status.get("nodeInfo") or {}).get("bootID", self._machine.boot_id)
        if booted != self._machine.boot_id:
            said = f"Node {node.meta.name} has been rebooted, boot id: {self._machine.boot_id}"
            self._recorder.emit(node, "Warning", "Rebooted", said)
        self._told_at_s, self._cordoned = 0.0, None
        await self.tell()

    async def tell(self) -> None:
        """Write the status where it has changed, or has not been written for a while; then relieve what is short."""
        stocks = await self._look()
        now_s = self._clock.now_s()
        stale = now_s - self._told_at_s >= self._settings.heartbeat_s
        before: list[Object] = []

        def told(node: Object) -> Object:
            before[:] = [node]
            status = self._status(node, stocks, rfc3339(now_s))
            return node.with_body(status=status) if stale or not same_but_for_time(status, node.status) else node

        node = await self._nodes.change(Key("", self._config.name), told, "status")
        if stale:
            self._told_at_s = now_s
        self._announce(before[0], node)
        if relabelled(node, self._machine) != node:
            await self._nodes.change(node.key, lambda now: relabelled(now, self._machine))
        if self._relief is None:
            return
        self._relief.note(self._strain.conditions(self._clock.monotonic_s(), self._settings.transition_s))
        if self._strain.due:
            await self._relief.relieve(node, self._strain.due, stocks, self._look)

    async def _look(self) -> Stocks:
        """What is left now, remembered in our `strain`."""
        stocks = await offload(read_stocks, self._config.disk_path)
        self._strain = self._strain.look(self._settings.thresholds(stocks), stocks, self._clock.monotonic_s())
        return stocks

    def _status(self, node: Object, stocks: Stocks, now: str) -> Json:
        gives = allocatable(self._machine, self._settings, self._settings.thresholds(stocks))
        pressed = self._strain.conditions(self._clock.monotonic_s(), self._settings.transition_s)
        has = capacity(self._machine, self._settings)
        images = self._images()
        return node_status(
            node, self._config, self._machine, has=has, gives=gives, pressed=pressed, images=images, now=now
        )

    def _announce(self, before: Object, node: Object) -> None:
        """Events for the conditions that have turned, and for a cordon."""
        reasons = changed(before, node.status)
        cordoned = bool(node.spec.get("unschedulable"))
        if self._cordoned is not None and cordoned != self._cordoned:
            reasons.append("NodeNotSchedulable" if cordoned else "NodeSchedulable")
        self._cordoned = cordoned
        for reason in reasons:
            self._recorder.emit(node, "Normal", reason, f"Node {node.meta.name} status is now: {reason}")

    async def renew(self) -> None:
        """Say in the lease that we live."""
        name, now = self._config.name, rfc3339_micro(self._clock.now_s())
        spec = {"holderIdentity": name, "leaseDurationSeconds": self._settings.lease_s, "renewTime": now}
        key = Key(LEASES, name)
        if self._leases.find(key) is not None:
            await self._leases.change(key, lambda lease: lease.with_body(spec=spec))
            return
        node = self._nodes.find(Key("", name))
        owners = (node.as_owner(controller=False),) if node is not None else ()
        meta = Meta(name=name, namespace=LEASES, owners=owners)
        try:
            await self._leases.create(Object("Lease", meta, {"spec": spec}, "coordination.k8s.io/v1"))
        except (AlreadyExists, NotFound):
            return  # the namespace is not there yet; the next renewal makes it
