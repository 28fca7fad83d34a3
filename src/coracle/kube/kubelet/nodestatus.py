"""The Node as the kubelet writes it: its labels, and the whole of its status.  Pure.

Source: Kubernetes documentation, "Nodes", "Reserve Compute Resources for System Daemons"; well-known labels.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from coracle.core.object import Json, Meta, Object
from coracle.core.quantity import Quantity, parse
from coracle.image.references import parse_reference
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.configuration import Settings
from coracle.kube.kubelet.machine import Machine
from coracle.kube.kubelet.thresholds import MEMORY, Threshold

VERSION = "v1.36.0+coracle"
_USERS_SINCE = (6, 3)  # the kernel whose tmpfs shows files as other users'
_NANO = 10**9
_MOST_IMAGES, _MOST_NAMES = 50, 5  # as the kubelet shows
_HELD_BACK = {MEMORY: "memory", "nodefs.available": "ephemeral-storage"}
# condition -> the reason and the message while it is not so, and while it is
_SAID = {
    "MemoryPressure": (
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    ),
    "DiskPressure": (
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    ),
    "PIDPressure": (
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
    ),
}


def capacity(machine: Machine, settings: Settings) -> dict[str, str]:
    """As in Node.status.capacity."""
    return {
        "cpu": str(machine.cpus),
        "ephemeral-storage": f"{machine.disk_bytes // 1024}Ki",
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "pods": str(settings.pods),
    }


def allocatable(machine: Machine, settings: Settings, thresholds: Collection[Threshold]) -> dict[str, str]:
    """What pods can have: without what is reserved, and without that of which the node must not run short."""
    whole = {"memory": machine.memory_bytes, "ephemeral-storage": machine.disk_bytes}
    held = dict(settings.reserved)
    for one in thresholds:
        name = _HELD_BACK.get(one.signal, "") if not one.grace_s else ""
        if name:
            more = Quantity(one.amount.of(whole[name]) * _NANO, "binary")
            held[name] = held[name] + more if name in held else more
    found = capacity(machine, settings)
    return {name: _less(amount, held[name]) if name in held else amount for name, amount in found.items()}


def _less(amount: str, held: Quantity) -> str:
    left = Quantity(max(0, parse(amount).nano - held.nano), parse(amount).family)
    return str(left) if left.family != "binary" else f"{left.whole // 1024}Ki"


def relabelled(node: Object, machine: Machine) -> Object:
    """With the labels that nobody else may change, as the kubelet sees to it while it runs."""
    wanted = {"kubernetes.io/arch": machine.architecture, "kubernetes.io/os": "linux"}
    if all(node.meta.labels.get(name) == value for name, value in wanted.items()):
        return node
    return node.with_meta(labels={**node.meta.labels, **wanted})


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


def node_status(
    node: Object,
    config: NodeConfig,
    machine: Machine,
    *,
    has: Mapping[str, str],
    gives: Mapping[str, str],
    pressed: Collection[str],
    images: Iterable[Object],
    now: str,
) -> Json:
    """The whole status, what others have put there kept.

    `has`, `gives`: capacity, allocatable.  `pressed`: the conditions of pressure that are so.  `images`: the engine's
    records.  `now` RFC 3339.
    """
    there = {**(node.status.get("capacity") or {}), **has}
    return {
        **node.status,
        "capacity": there,
        "allocatable": {**there, **gives},  # all of what others have counted there
        "conditions": _conditions(node, pressed, now),
        "addresses": [
            {"type": "InternalIP", "address": config.address},
            {"type": "Hostname", "address": config.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": config.kubelet_port}},
        "nodeInfo": _info(machine),
        "images": _images(images),
        "runtimeHandlers": [{"name": name, "features": _features(machine)} for name in ("", config.runtime)],
        "features": {"supplementalGroupsPolicy": True},
    }


def _features(machine: Machine) -> Json:
    """Of the one runtime."""
    version = tuple(int(part) for part in re.findall("[0-9]+", machine.kernel)[:2])
    return {"recursiveReadOnlyMounts": True, "userNamespaces": version >= _USERS_SINCE}


def _images(images: Iterable[Object]) -> list[Json]:
    """Those that have names, by full names; the largest first."""
    named = [(image.spec["size_bytes"], [*image.spec["digests"], *image.spec["references"]]) for image in images]
    shown = [(size, sorted(str(parse_reference(name)) for name in names)) for size, names in named if names]
    ordered = sorted(shown, key=lambda one: (-one[0], one[1]))[:_MOST_IMAGES]
    return [{"names": names[:_MOST_NAMES], "sizeBytes": size} for size, names in ordered]


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


def _conditions(node: Object, pressed: Collection[str], now: str) -> list[Json]:
    had = {one["type"]: one for one in node.status.get("conditions") or ()}
    said = {type: (str(type in pressed), words[type in pressed]) for type, words in _SAID.items()}
    said["Ready"] = ("True", ("KubeletReady", "kubelet is posting ready status"))
    ours = [_condition(type, *verdict, had.get(type) or {}, now) for type, verdict in said.items()]
    return [*ours, *(one for type, one in had.items() if type not in said)]


def _condition(type: str, status: str, words: tuple[str, str], had: Mapping[str, Any], now: str) -> Json:
    since = had.get("lastTransitionTime", now) if had.get("status") == status else now
    times = {"lastHeartbeatTime": now, "lastTransitionTime": since}
    return {"type": type, "status": status, **times, "reason": words[0], "message": words[1]}


def changed(before: Object, status: Mapping[str, Any]) -> list[str]:
    """The reasons of the events that tell people which conditions have turned: `NodeReady`, `NodeHasDiskPressure`."""
    had = {one["type"]: one.get("status") for one in before.status.get("conditions") or ()}
    turned = [
        one
        for one in status["conditions"]
        if one["type"] in (*_SAID, "Ready") and had.get(one["type"]) != one["status"]
    ]
    return ["NodeReady" if one["type"] == "Ready" else one["reason"].replace("Kubelet", "Node") for one in turned]


def same_but_for_time(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two statuses of a node differ in their heartbeats only."""
    return _timeless(one) == _timeless(other)


def _timeless(status: Mapping[str, Any]) -> Json:
    conditions = [{**one, "lastHeartbeatTime": ""} for one in status.get("conditions") or ()]
    return {**status, "conditions": conditions}
