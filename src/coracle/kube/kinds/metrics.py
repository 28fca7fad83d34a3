"""What is used now: NodeMetrics and PodMetrics, which are measured when asked for and never kept.

Source: Kubernetes documentation, "Resource metrics pipeline"; metrics.k8s.io/v1beta1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from coracle.core.clock import rfc3339
from coracle.core.durations import duration_text
from coracle.core.kind import Kind
from coracle.core.object import Json, Meta, Object
from coracle.core.quantity import ZERO, Quantity, parse
from coracle.kube.kinds import printing

API = "metrics.k8s.io/v1beta1"


@dataclass(frozen=True, slots=True)
class Amounts:
    """Processor time in billionths of a processor; memory in bytes, without file cache that can go."""

    cpu_nano: int
    memory_bytes: int

    def to_json(self) -> Json:
        memory = Quantity(self.memory_bytes * 10**9, "binary")
        return {"cpu": str(Quantity(self.cpu_nano)), "memory": str(memory)}


@dataclass(frozen=True, slots=True)
class Measurement:
    """Processor time over the `window_s` before `at_s` (seconds since 1970), memory then.

    `amounts`: by container for a pod, one under "" for a node.
    """

    at_s: float
    window_s: float
    amounts: Mapping[str, Amounts]


class Meter(Protocol):
    """Measures what runs here.  The kubelet does; `node` joins it with who asks."""

    async def node(self) -> Measurement:
        """The whole machine."""
        ...

    async def pods(self, pods: Sequence[Object]) -> Mapping[str, Measurement]:
        """By the pod's uid; only those of the given whose containers run."""
        ...


def pod_metrics(pod: Object, found: Measurement) -> Object:
    containers = [{"name": name, "usage": amounts.to_json()} for name, amounts in sorted(found.amounts.items())]
    meta = Meta(name=pod.meta.name, namespace=pod.meta.namespace, labels=pod.meta.labels, created=rfc3339(found.at_s))
    return Object(PODS.name, meta, {**_when(found), "containers": containers}, API)


def node_metrics(node: Object, found: Measurement) -> Object:
    meta = Meta(name=node.meta.name, labels=node.meta.labels, created=rfc3339(found.at_s))
    return Object(NODES.name, meta, {**_when(found), "usage": found.amounts[""].to_json()}, API)


def _when(found: Measurement) -> Json:
    return {"timestamp": rfc3339(found.at_s), "window": duration_text(round(found.window_s * 1000) * 10**6)}


def _used(resource: str) -> Any:
    return lambda obj: obj.body["usage"][resource]


NODES = Kind(
    name="NodeMetrics",
    plural="nodes",
    api=API,
    namespaced=False,
    columns=(
        printing.NAME,
        printing.text("CPU", _used("cpu")),
        printing.text("Memory", _used("memory")),
        printing.text("Window", lambda obj: obj.body["window"]),
    ),
)
PODS = Kind(
    name="PodMetrics",
    plural="pods",
    api=API,
    columns=(
        printing.NAME,
        printing.text("CPU", lambda obj: _sum(obj, "cpu")),
        printing.text("Memory", lambda obj: _sum(obj, "memory")),
        printing.text("Window", lambda obj: obj.body["window"]),
    ),
)


def _sum(obj: Object, resource: str) -> str:
    return str(sum((parse(one["usage"][resource]) for one in obj.body["containers"]), ZERO))
