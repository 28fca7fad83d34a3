"""Ports of the host that pods ask for (`hostPort`) become Forwards to the pod.

Decide: host_ports(), pure, one pod.  Act: HostPorts.reconcile(), which hands the set of all pods to `net.forwards`.
Source: Kubernetes API, ContainerPort.hostPort.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address

from coracle.core.informer import Informer
from coracle.core.loop import Again, ToKeys
from coracle.core.object import Key, Object
from coracle.core.store import Event
from coracle.kube.kinds.recorder import EventRecorder
from coracle.net.api import Forward, Target
from coracle.net.forwards import Forwards

OWNER = "kube/host-ports"
RETRY_S = 10.0


def host_ports(pod: Object) -> list[Forward]:
    """Those of a pod that has an address and is not over; a pod in the host's network needs none.

    Addresses of the host are IPv4, as those of pods: a port asked for at another is had nowhere.
    """
    ip = str(pod.status.get("podIP") or "")
    if not ip or ":" in ip or pod.spec.get("hostNetwork") or pod.status.get("phase") in ("Succeeded", "Failed"):
        return []
    ports = [port for container in pod.spec.get("containers") or () for port in container.get("ports") or ()]
    return [_forward(pod, ip, port) for port in ports if port.get("hostPort") and ":" not in (port.get("hostIP") or "")]


def _forward(pod: Object, ip: str, port: Mapping[str, str | int]) -> Forward:
    host_ip = str(port.get("hostIP") or "")
    everywhere = host_ip in ("", "0.0.0.0", "127.0.0.1")  # noqa: S104 - compared, not bound
    transport, number = str(port.get("protocol") or "TCP"), int(port["hostPort"])
    return Forward(
        f"{pod.key}/{transport}/{host_ip}:{number}",
        transport,  # type: ignore[arg-type]  # validated by the kind
        None if everywhere else IPv4Address(host_ip),
        number,
        (Target(IPv4Address(ip), int(port["containerPort"])),),
        owner=f"Pod {pod.key}",
        loopback_only=host_ip == "127.0.0.1",
    )


def _to_pod(event: Event) -> Iterable[Key]:
    """Only pods that ask for host ports: looked for in the bytes, since every change of every pod comes by here."""
    return (event.entry.key,) if b'"hostPort"' in event.entry.raw else ()


class HostPorts:
    """Keeps the Forwards of all pods' host ports."""

    name = "host-ports"
    watches: Mapping[str, ToKeys] = {"Pod": _to_pod}

    def __init__(self, pods: Informer, forwards: Forwards, recorder: EventRecorder) -> None:
        self._pods, self._forwards, self._recorder = pods, forwards, recorder
        self._wanted: dict[Key, list[Forward]] = {}
        self._refused: dict[str, str] = {}
        self._begun = False

    async def reconcile(self, key: Key) -> Again | None:
        if not self._begun:  # the first time all at once: rules that a former daemon left stay as they are
            self._begun = True
            everyone = [
                pod for entry in self._pods.entries() if b'"hostPort"' in entry.raw for pod in (entry.object(),)
            ]
            self._wanted = {pod.key: wanted for pod in everyone if (wanted := host_ports(pod)) and pod.key != key}
        pod = self._pods.find(key)
        before = self._wanted.get(key, [])
        wanted = host_ports(pod) if pod is not None else []
        if wanted == before and not any(forward.id in self._refused for forward in wanted):
            return None
        self._wanted[key] = wanted
        if not wanted:
            del self._wanted[key]
        refused = await self._forwards.offer(OWNER, [one for key in sorted(self._wanted) for one in self._wanted[key]])
        for refusal in refused:
            if pod is not None and refusal.forward in wanted and refusal.forward.id not in self._refused:
                self._recorder.emit(pod, "Warning", "HostPortConflict", refusal.error.message)
        self._refused = {refusal.forward.id: refusal.error.message for refusal in refused}
        return Again(RETRY_S) if any(refusal.forward in wanted for refusal in refused) else None
