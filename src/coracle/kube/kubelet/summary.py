"""What pods and their node use, as monitoring asks the kubelet: /stats/summary, and /metrics/resource as Prometheus
reads it.  Measured when asked for.

Source: kubelet's stats/v1alpha1 Summary; Kubernetes documentation, "Node metrics data", "Resource metrics endpoint".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from coracle.core.clock import rfc3339
from coracle.core.object import Json, Object
from coracle.kube.kubelet.records import statuses_of
from coracle.kube.kubelet.thresholds import MEMORY, PIDS, Stocks
from coracle.kube.kubelet.volumes.metering import VolumeUse


@dataclass(frozen=True, slots=True)
class Use:
    """Counters of a container: processor time since it began, and its rate in billionths of a processor; memory."""

    cpu_ns: int
    cpu_nano: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Used:
    """What a node uses at `at_s` (seconds since 1970): itself, its pods' containers by name, their volumes by uid; and
    what is left (`stocks`)."""

    name: str
    at_s: float
    node: Use
    pods: tuple[tuple[Object, Mapping[str, Use]], ...]
    volumes: Mapping[str, Sequence[VolumeUse]] = field(default_factory=dict)
    stocks: Stocks = field(default_factory=dict)


def summary(used: Used) -> Json:
    """stats/v1alpha1 Summary."""
    node = {"nodeName": used.name, **_stats(used.node, used.at_s)}
    if used.stocks:
        node |= _machine(used.stocks, rfc3339(used.at_s))
        node["memory"] |= {"availableBytes": used.stocks[MEMORY].available}
    return {"node": node, "pods": [_pod(pod, containers, used) for pod, containers in used.pods]}


def _machine(stocks: Stocks, time: str) -> Json:
    """The disk, which is that of the images and containers, too; and the processes."""
    room, names, processes = stocks["nodefs.available"], stocks["nodefs.inodesFree"], stocks[PIDS]
    disk = {
        "time": time,
        "availableBytes": room.available,
        "capacityBytes": room.capacity,
        "usedBytes": room.capacity - room.available,
        "inodesFree": names.available,
        "inodes": names.capacity,
        "inodesUsed": names.capacity - names.available,
    }
    limit = {"time": time, "maxpid": processes.capacity, "curproc": processes.capacity - processes.available}
    return {"fs": disk, "runtime": {"imageFs": disk, "containerFs": disk}, "rlimit": limit}


def _pod(pod: Object, containers: Mapping[str, Use], used: Used) -> Json:
    at_s = used.at_s
    began = _beginnings(pod)
    ref = {"name": pod.meta.name, "namespace": pod.meta.namespace, "uid": pod.meta.uid}
    listed = [{"name": name, "startTime": began.get(name), **_stats(use, at_s)} for name, use in containers.items()]
    together = _stats(_together(containers.values()), at_s)
    volumes = [_volume(use, pod.meta.namespace, rfc3339(at_s)) for use in used.volumes.get(pod.meta.uid, ())]
    told = {"volume": volumes} if volumes else {}
    return {"podRef": ref, "startTime": pod.status.get("startTime"), "containers": listed, **together, **told}


def _volume(use: VolumeUse, namespace: str, time: str) -> Json:
    ref = {"pvcRef": {"name": use.claim, "namespace": namespace}} if use.claim else {}
    return {"time": time, **use.amounts, "name": use.name, **ref}


def _stats(use: Use, at_s: float) -> Json:
    time = rfc3339(at_s)
    return {
        "cpu": {"time": time, "usageNanoCores": use.cpu_nano, "usageCoreNanoSeconds": use.cpu_ns},
        "memory": {"time": time, "usageBytes": use.memory_bytes, "workingSetBytes": use.memory_bytes},
    }


def _together(uses: Iterable[Use]) -> Use:
    listed = list(uses)
    return Use(
        sum(one.cpu_ns for one in listed),
        sum(one.cpu_nano for one in listed),
        sum(one.memory_bytes for one in listed),
    )


def _beginnings(pod: Object) -> dict[str, str]:
    """When each container that runs began, by name."""
    running = {one["name"]: (one.get("state") or {}).get("running") or {} for one in statuses_of(pod)}
    return {name: state["startedAt"] for name, state in running.items() if state.get("startedAt")}


# -- Prometheus --------------------------------------------------------------------------------------------------------

Sample = tuple[Mapping[str, str], float]


def exposition(used: Used) -> str:
    """/metrics/resource, in Prometheus' text format."""
    pods = [({"namespace": pod.meta.namespace, "pod": pod.meta.name}, uses) for pod, uses in used.pods]
    each = [({"container": name, **labels}, use) for labels, uses in pods for name, use in uses.items()]
    whole = [(labels, _together(uses.values())) for labels, uses in pods]
    node: list[tuple[dict[str, str], Use]] = [({}, used.node)]
    about: list[tuple[str, list[tuple[dict[str, str], Use]]]] = [("container", each), ("node", node), ("pod", whole)]
    lines: list[str] = []
    for what, found in about:
        seconds = ((labels, use.cpu_ns / 1e9) for labels, use in found)
        said = f"Cumulative cpu time consumed by the {what} in core-seconds"
        lines += _family(f"{what}_cpu_usage_seconds_total", "counter", said, seconds)
        working = ((labels, float(use.memory_bytes)) for labels, use in found)
        said = f"Current working set of the {what} in bytes"
        lines += _family(f"{what}_memory_working_set_bytes", "gauge", said, working)
    said = "1 if there was an error while getting resource metrics, 0 otherwise"
    return "\n".join((*lines, *_family("resource_scrape_error", "gauge", said, [({}, 0.0)]))) + "\n"


def counts_exposition(node: str, running: Sequence[int]) -> str:
    """What /metrics says of the node by itself; `running`: how many containers of each pod run."""
    lines = (
        *_family(
            "kubelet_node_name", "gauge", "The node's name. The count is always 1.", [({"node": node}, 1)], "ALPHA"
        ),
        *_family(
            "kubelet_running_containers",
            "gauge",
            "Number of containers currently running",
            [({"container_state": "running"}, sum(running))],
            "ALPHA",
        ),
        *_family(
            "kubelet_running_pods",
            "gauge",
            "Number of pods that have a running pod sandbox",
            [({}, sum(1 for count in running if count))],
            "ALPHA",
        ),
    )
    return "".join(f"{line}\n" for line in lines)


_VOLUMES = {
    "available_bytes": ("availableBytes", "Number of available bytes in the volume"),
    "capacity_bytes": ("capacityBytes", "Capacity in bytes of the volume"),
    "inodes": ("inodes", "Maximum number of inodes in the volume"),
    "inodes_free": ("inodesFree", "Number of free inodes in the volume"),
    "inodes_used": ("inodesUsed", "Number of used inodes in the volume"),
    "used_bytes": ("usedBytes", "Number of used bytes in the volume"),
}


def volumes_exposition(uses: Sequence[tuple[str, VolumeUse]]) -> str:
    """The kubelet_volume_stats_* of claims, each with its namespace, in Prometheus' text format."""
    lines: list[str] = []
    for name, (amount, said) in _VOLUMES.items() if uses else ():
        samples = [
            ({"namespace": namespace, "persistentvolumeclaim": use.claim}, float(use.amounts[amount]))
            for namespace, use in uses
        ]
        lines += _family(f"kubelet_volume_stats_{name}", "gauge", said, samples, "ALPHA")
    return "".join(f"{line}\n" for line in lines)


def probes_exposition(looks: Iterable[tuple[Object, Mapping[tuple[str, str, str], int]]]) -> str:
    """/metrics/probes: how often each probe of a pod found what (`Notes.looks`), in Prometheus' text format."""
    samples = [
        (
            {
                "namespace": pod.meta.namespace,
                "pod": pod.meta.name,
                "pod_uid": pod.meta.uid,
                "container": container,
                "probe_type": sort,
                "result": result,
            },
            float(times),
        )
        for pod, found in looks
        for (container, sort, result), times in found.items()
    ]
    said = "Cumulative number of a liveness, readiness or startup probe for a container by result."
    lines = _family("prober_probe_total", "counter", said, samples, "BETA") if samples else ()
    return "".join(f"{line}\n" for line in lines)


def _family(name: str, sort: str, said: str, samples: Iterable[Sample], level: str = "STABLE") -> Iterator[str]:
    yield f"# HELP {name} [{level}] {said}"
    yield f"# TYPE {name} {sort}"
    for labels, value in samples:
        told = ",".join(f'{label}="{text}"' for label, text in sorted(labels.items()))
        yield f"{name}{{{told}}} {value!r}" if told else f"{name} {value!r}"
