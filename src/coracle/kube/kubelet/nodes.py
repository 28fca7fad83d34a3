"""The node itself: its object with what it has and how it is, and its lease, renewed while we live.

Nothing is measured that the next renewal would not tell anyway: one wake every ten seconds, one small commit.
Source: Kubernetes documentation, "Nodes", "Leases"; well-known labels.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.clock import Clock, rfc3339, rfc3339_micro
from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists, CloudError, NotFound
from coracle.core.object import Json, Key, Meta, Object
from coracle.core.tasks import offload
from coracle.engine.kinds.sandbox import DnsConfig
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.pressure import LOW_DISK_BYTES, LOW_MEMORY_BYTES, Relief

RENEW_S, LEASE_S = 10.0, 40
HEARTBEAT_S = 300.0  # status is written so often even if nothing changes, as by the kubelet
LEASES = "kube-node-lease"
PODS = 110
VERSION = "v1.36.0-coracle"
_LOW_PIDS = 256
HANDLER_FEATURES = {"recursiveReadOnlyMounts": True, "userNamespaces": False}  # of the one runtime
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64"}


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the machine is now.  Units: bytes; processes that may still be made."""

    memory_free_bytes: int
    disk_free_bytes: int
    pids_free: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine is; does not change while we run.  `boot_id`, `machine_id`: as Linux has them."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    kernel: str = ""
    os_image: str = ""
    machine_id: str = ""
    boot_id: str = ""
    architecture: str = "amd64"
    runtime: str = "coracle://0.1.0"

    @property
    def capacity(self) -> dict[str, str]:
        """As in Node.status.capacity."""
        return {
            "cpu": str(self.cpus),
            "ephemeral-storage": f"{self.disk_bytes // 1024}Ki",
            "memory": f"{self.memory_bytes // 1024}Ki",
            "pods": str(PODS),
        }


def read_machine(disk_path: str, runtime: str) -> Machine:
    """What this machine is.  Reads a few small files."""
    release = platform.freedesktop_os_release() if os.path.exists("/etc/os-release") else {}
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        disk_bytes=shutil.disk_usage(disk_path).total,
        kernel=platform.release(),
        os_image=release.get("PRETTY_NAME", "Linux"),
        machine_id=_line("/etc/machine-id"),
        boot_id=_line("/proc/sys/kernel/random/boot_id"),
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        runtime=runtime,
    )


def read_vitals(disk_path: str) -> Vitals:
    """How this machine is now.  Reads /proc."""
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = {name: int(value.split()[0]) * 1024 for name, _, value in (line.partition(":") for line in file)}
    with open("/proc/loadavg", encoding="ascii") as file:
        tasks = int(file.read().split()[3].partition("/")[2])
    free = shutil.disk_usage(disk_path).free
    return Vitals(memory.get("MemAvailable", 0), free, int(_line("/proc/sys/kernel/pid_max") or 0) - tasks)


def read_host_dns(path: str = "/etc/resolv.conf") -> DnsConfig:
    """What the host's resolv.conf says."""
    said: dict[str, list[str]] = {"nameserver": [], "search": [], "options": []}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                words = line.split("#")[0].split()
                if words and words[0] in ("search", "options"):
                    said[words[0]] = words[1:]
                elif len(words) > 1 and words[0] == "nameserver":
                    said["nameserver"].append(words[1])
    except FileNotFoundError:
        pass  # a host without resolvers: pods have the cluster's names only
    return DnsConfig(servers=tuple(said["nameserver"]), searches=tuple(said["search"]), options=tuple(said["options"]))


def _line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except OSError:
        return ""


# -- pure -----------------------------------------------------------------------------------------------------------


def node_object(config: NodeConfig, machine: Machine) -> Object:
    """The Node as it is first registered, without its status."""
    labels = {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": config.name,
        "kubernetes.io/os": "linux",
        "node-role.kubernetes.io/control-plane": "",
    }
    spec = {"podCIDR": config.pod_cidr, "podCIDRs": [config.pod_cidr]} if config.pod_cidr else {}
    return Object("Node", Meta(name=config.name, labels=labels), {"spec": spec})


def node_status(node: Object, config: NodeConfig, machine: Machine, vitals: Vitals, now: str) -> Json:
    """The whole status, what others have put there kept; `now` RFC 3339."""
    capacity = {**(node.status.get("capacity") or {}), **machine.capacity}
    return {
        **node.status,
        "capacity": capacity,
        "allocatable": capacity,  # also of what others have counted there: nothing is held back
        "conditions": _conditions(node, vitals, now),
        "addresses": [
            {"type": "InternalIP", "address": config.address},
            {"type": "Hostname", "address": config.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": config.kubelet_port}},
        "nodeInfo": _info(machine),
        "runtimeHandlers": [{"name": name, "features": HANDLER_FEATURES} for name in ("", config.runtime)],
        "features": {"supplementalGroupsPolicy": True},
    }


def _info(machine: Machine) -> Json:
    return {
        "machineID": machine.machine_id,
        "systemUUID": machine.machine_id,
        "bootID": machine.boot_id,
        "kernelVersion": machine.kernel,
        "osImage": machine.os_image,
        "containerRuntimeVersion": machine.runtime,
        "kubeletVersion": VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": machine.architecture,
    }


def _conditions(node: Object, vitals: Vitals, now: str) -> list[Json]:
    had = {one["type"]: one for one in node.status.get("conditions") or ()}
    said = [
        _pressure("MemoryPressure", "Memory", vitals.memory_free_bytes < LOW_MEMORY_BYTES, "memory available"),
        _pressure("DiskPressure", "Disk", vitals.disk_free_bytes < LOW_DISK_BYTES, "disk space"),
        _pressure("PIDPressure", "PID", vitals.pids_free < _LOW_PIDS, "PID available"),
        {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"},
    ]
    ours = [_since(one, had.get(one["type"]), now) for one in said]
    return [*ours, *(one for type, one in had.items() if type not in {one["type"] for one in said})]


def _pressure(type: str, what: str, short: bool, amount: str) -> Json:
    reason = f"KubeletHas{'Insufficient' if short else 'Sufficient'}{what}"
    if what == "Disk":
        reason = "KubeletHasDiskPressure" if short else "KubeletHasNoDiskPressure"
        amount = "disk pressure"
    has = {True: "insufficient", False: "sufficient"}[short] if what != "Disk" else ("a" if short else "no")
    return {"type": type, "status": str(short), "reason": reason, "message": f"kubelet has {has} {amount}"}


def _since(said: Json, had: Mapping[str, Any] | None, now: str) -> Json:
    same = had is not None and had.get("status") == said["status"]
    since = had.get("lastTransitionTime", now) if same and had is not None else now
    times = {"lastHeartbeatTime": now, "lastTransitionTime": since}
    return {
        "type": said["type"],
        "status": said["status"],
        **times,
        "reason": said["reason"],
        "message": said["message"],
    }


def same_but_for_time(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two statuses of a node differ in their heartbeats only."""
    return _timeless(one) == _timeless(other)


def _timeless(status: Mapping[str, Any]) -> Json:
    conditions = [{**one, "lastHeartbeatTime": ""} for one in status.get("conditions") or ()]
    return {**status, "conditions": conditions}


# -- acting ---------------------------------------------------------------------------------------------------------


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
        clock: Clock,
        *,
        relief: Relief | None = None,
    ) -> None:
        self._nodes, self._leases = nodes, leases
        self._config, self._machine, self._clock = config, machine, clock
        self._relief = relief
        self._told_at_s = 0.0

    async def run(self, up: Callable[[], None]) -> None:
        await self.register()
        await self.renew()
        up()
        while True:
            await self._clock.sleep(RENEW_S)
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
            await self._nodes.create(wanted)
        except AlreadyExists:
            labels = wanted.meta.labels
            await self._nodes.change(wanted.key, lambda node: node.with_meta(labels={**node.meta.labels, **labels}))
        self._told_at_s = 0.0
        await self.tell()

    async def tell(self) -> None:
        """Write the status where it has changed, or has not been written for a while."""
        vitals = await offload(read_vitals, self._config.disk_path)
        now_s = self._clock.now_s()
        stale = now_s - self._told_at_s >= HEARTBEAT_S

        def told(node: Object) -> Object:
            status = node_status(node, self._config, self._machine, vitals, rfc3339(now_s))
            return node.with_body(status=status) if stale or not same_but_for_time(status, node.status) else node

        node = await self._nodes.change(Key("", self._config.name), told, "status")
        if stale:
            self._told_at_s = now_s
        if self._relief is not None:
            await self._relief.relieve(node, vitals.memory_free_bytes, vitals.disk_free_bytes)

    async def renew(self) -> None:
        """Say in the lease that we live."""
        name, now = self._config.name, rfc3339_micro(self._clock.now_s())
        spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_S, "renewTime": now}
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
