"""A Kubernetes control plane in memory, for tests of kinds and loops: a store, collections, caches and the loops given.

stage = Stage(replication.INDEXES)
stage.run(Replication(replication.CONTROLLERS, stage.means))
await stage["ReplicationController"].create(an_rc(3))
await stage.settle(60)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from coracle.core.clock import LoopClock, rfc3339
from coracle.core.collection import Collection, Deletion
from coracle.core.informer import Index, Informer
from coracle.core.kind import Kind
from coracle.core.loop import Again, Loop, Reconciler, ToKeys, itself
from coracle.core.object import Json, Key, Meta, Object
from coracle.core.store import MemoryStore
from coracle.core.tasks import Part, run_parts
from coracle.kube.controllers.daemons.nodes import node_of
from coracle.kube.controllers.means import Means
from coracle.kube.kinds import guards
from coracle.kube.kinds.catalogue import kinds
from coracle.kube.kinds.recorder import EventRecorder


class Stage:
    """`stage["Pod"]` is the collection of pods; `settle` lets virtual time pass with every loop running."""

    def __init__(self, *indexes: Mapping[str, Mapping[str, Index]], store: MemoryStore | None = None) -> None:
        self.store, self.clock = store or MemoryStore(), LoopClock()
        self.kinds: tuple[Kind, ...] = kinds()
        self.collections = {
            kind.type: Collection(kind, self.store, self.clock, guards.for_kind(kind)) for kind in self.kinds
        }
        self._by_name = {kind.name: self.collections[kind.type] for kind in self.kinds}
        self.caches = {
            kind.type: Informer(kind.type, self.store, _merged(kind.type, indexes)) for kind in self.kinds
        }  # fmt: skip
        self.recorder = EventRecorder(self._by_name["Event"], self.clock, "test")
        self.means = Means(self.caches, self.collections, self.recorder, self.clock)
        self._parts: list[Part] = [*self.caches.values(), self.recorder]

    def __getitem__(self, name: str) -> Collection:
        return self._by_name[name]

    def run(self, reconciler: Reconciler, workers: int = 1) -> None:
        """Have this loop run whenever time passes."""
        self._parts.append(Loop(reconciler, self.caches, self.store, workers=workers))

    async def rooms(self, *names: str) -> None:
        """Make namespaces: `default` and these."""
        for name in ("default", *names):
            await self["Namespace"].create(Object("Namespace", Meta(name=name)))

    async def settle(self, seconds_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds_s):
                await run_parts(self._parts, up=lambda: None)

    def said(self, reason: str) -> list[str]:
        """The messages of the Events with this reason."""
        return [str(event.body["message"]) for event in self["Event"].list() if event.body["reason"] == reason]


def _merged(type: str, many: tuple[Mapping[str, Mapping[str, Index]], ...]) -> dict[str, Index]:
    return {name: index for indexes in many for name, index in indexes.get(type, {}).items()}


def a_pod(name: str, labels: Mapping[str, str] | None = None, namespace: str = "default", **spec: Any) -> Object:
    """A pod of one container as a user writes it; `spec` replaces fields of its spec."""
    container = {"name": "www", "image": "nginx"}
    meta = Meta(name=name, namespace=namespace, labels=dict(labels or {"app": "web"}))
    return Object("Pod", meta, {"spec": {"containers": [container], **spec}})


def an_rc(replicas: int, name: str = "web", labels: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """A ReplicationController whose template's labels are its selector."""
    template = {
        "metadata": {"labels": dict(labels or {"app": "web"})},
        "spec": {"containers": [{"name": "www", "image": "nginx"}]},
    }
    body = {"spec": {"replicas": replicas, "template": template, **spec}}
    return Object("ReplicationController", Meta(name=name, namespace="default"), body)


def a_workload(
    kind: str, name: str = "web", labels: Mapping[str, str] | None = None, api: str = "apps/v1", **spec: Any
) -> Object:
    """A Deployment, ReplicaSet, StatefulSet or DaemonSet whose selector is its template's labels."""
    chosen = dict(labels or {"app": "web"})
    template = {"metadata": {"labels": chosen}, "spec": {"containers": [{"name": "www", "image": "nginx"}]}}
    body = {"spec": {"selector": {"matchLabels": chosen}, "template": template, **spec}}
    return Object(kind, Meta(name=name, namespace="default"), body, api)


def a_job(name: str = "work", restart: str = "Never", **spec: Any) -> Object:
    """A Job as a user writes it."""
    template = {"spec": {"restartPolicy": restart, "containers": [{"name": "main", "image": "busybox"}]}}
    return Object("Job", Meta(name=name, namespace="default"), {"spec": {"template": template, **spec}}, "batch/v1")


def a_service(name: str = "web", namespace: str = "default", **spec: Any) -> Object:
    given: Json = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return Object("Service", Meta(name=name, namespace=namespace), {"spec": given})


def a_node(name: str = "n1", labels: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """A ready node with 4 cpus, 8 GiB and room for 110 pods."""
    capacity = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    status = {"capacity": capacity, "allocatable": capacity, "conditions": [{"type": "Ready", "status": "True"}]}
    return Object(
        "Node",
        Meta(name=name, labels={"kubernetes.io/hostname": name, **(labels or {})}),
        {"spec": spec, "status": status},
    )


class Kubelet:
    """A loop that does the scheduler's and the kubelet's work for every pod: on `node`, where it asks for no other.

    A pod is ready `ready_after_s` after it was placed, unless its image is called "broken"; it is gone `stop_s` after
    it was asked to go.  Where `exits` is given, it ends then instead, with that exit code.
    """

    name = "fake-kubelet"

    def __init__(
        self,
        stage: Stage,
        node: str = "n1",
        *,
        ready_after_s: float = 0,
        stop_s: float = 0,
        exits: Callable[[Object], int] | None = None,
    ) -> None:
        self._stage, self._node = stage, node
        self._ready_after_s, self._stop_s, self._exits = ready_after_s, stop_s, exits
        self._moments: dict[tuple[str, str], float] = {}
        self.watches: Mapping[str, ToKeys] = {"Pod": itself}

    async def reconcile(self, key: Key) -> Again | None:
        pod = self._stage.caches["Pod"].find(key)
        if pod is None:
            return None
        what = "stop" if pod.meta.deleting else "start"
        since_s = self._moments.setdefault((pod.meta.uid, what), self._stage.clock.now_s())
        wait_s = since_s + (self._stop_s if pod.meta.deleting else self._ready_after_s) - self._stage.clock.now_s()
        if not pod.meta.deleting and not pod.spec.get("nodeName"):
            await place(self._stage, key, node_of(pod) or self._node, ready=False)
        if wait_s > 0:
            return Again(wait_s)
        if pod.meta.deleting:
            await self._stage["Pod"].delete(key, Deletion(grace_s=0, uid=pod.meta.uid), missing_ok=True)
        elif pod.status.get("phase") not in ("Failed", "Succeeded"):
            await self._go_on(pod)
        return None

    async def _go_on(self, pod: Object) -> None:
        if self._exits is not None:
            await self._end(pod, self._exits(pod))
        elif not _is_ready(pod):
            fine = all(container["image"] != "broken" for container in pod.spec["containers"])
            await place(self._stage, pod.key, self._node, ready=fine, since=rfc3339(self._stage.clock.now_s()))

    async def _end(self, pod: Object, code: int) -> None:
        ended = {"terminated": {"exitCode": code, "finishedAt": rfc3339(self._stage.clock.now_s())}}
        statuses = [{"name": container["name"], "state": ended} for container in pod.spec["containers"]]
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": statuses, "conditions": []}
        await self._stage["Pod"].change(pod.key, lambda pod: pod.with_status(**status), part="status")


def _is_ready(pod: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.status.get("conditions") or ())


async def place(
    stage: Stage, key: Key, node: str = "n1", ip: str = "10.32.0.1", *, ready: bool = True, since: str = ""
) -> Object:
    """Do the scheduler's and the kubelet's work for a pod; `since` is when it became ready."""
    if not stage["Pod"].get(key).spec.get("nodeName"):
        await stage["Pod"].change(key, lambda pod: pod.with_spec(nodeName=node), part="binding")
    status = {
        "phase": "Running",
        "startTime": since or "2023-11-14T22:13:20Z",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "conditions": [
            {
                "type": "Ready",
                "status": "True" if ready else "False",
                "lastTransitionTime": since or "2023-11-14T22:13:20Z",
            }
        ],
    }
    return await stage["Pod"].change(key, lambda pod: pod.with_status(**status), part="status")
