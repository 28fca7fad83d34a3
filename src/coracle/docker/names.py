"""Who is called what on which network.

    a network that a user made   its containers, by name, aliases, short id and hostname, for its members
    bridge, pods                 containers by name and short id, pods by name and name.namespace, for members of both
    172.18.0.5                   PTR: web.n1

On the networks that everybody shares only names of one label are told: a container called `example.com` shall not
answer for the host of that name.

Decide: of_container(), of_pod(), pure.  Act: SandboxNames, which publishes what one sandbox is called.
Source: Docker's documentation, "Networking overview", "DNS services"; Docker's own default network has no names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from coracle.core.informer import Informer
from coracle.core.loop import Again, ToKeys, itself
from coracle.core.object import Key, Object
from coracle.core.store import Event
from coracle.docker.containers.details import is_docker
from coracle.docker.networks.modes import BRIDGE
from coracle.docker.networks.settings import names_of
from coracle.engine.networks import PODS
from coracle.net.names import Names
from coracle.net.zones import Entry, Pointer
from coracle.wire import dns

SANDBOX, CONTAINER = "Sandbox.engine", "Container.engine"
SHARED = (BRIDGE, PODS)
POD_NAME, POD_NAMESPACE = "io.kubernetes.pod.name", "io.kubernetes.pod.namespace"

Records = dict[str, list[Entry]]
Told = dict[str, Records]  # by network


def of_container(container: Object, sandbox: Object) -> Told:
    """What a container of Docker's with a sandbox of its own is called."""
    told: Told = {}
    for one in _plugged(sandbox):
        network = one["network"]
        if network in SHARED:
            names = [name for name in (container.spec["name"], container.meta.name[:12]) if "." not in name]
            _tell_shared(told, one, names)
        else:
            _tell(told, network, one, names_of(container, network))
    return told


def of_pod(sandbox: Object) -> Told:
    """What a pod is called, for Docker's containers and other pods."""
    name, namespace = sandbox.meta.labels.get(POD_NAME, ""), sandbox.meta.labels.get(POD_NAMESPACE, "")
    told: Told = {}
    for one in _plugged(sandbox):
        _tell_shared(told, one, [name, f"{name}.{namespace}"] if "." not in name else [])
    return told


def renamed(event: Event) -> Iterable[Key]:
    """Containers that got another name; all else that names depend on changes before their sandbox does."""
    before = event.before.object() if event.before is not None else None
    return (event.entry.key,) if before and before.spec["name"] != event.entry.object().spec["name"] else ()


class SandboxNames:
    """Keeps the names of all sandboxes told."""

    name = "docker-names"
    watches: Mapping[str, ToKeys] = {SANDBOX: itself, CONTAINER: renamed}

    def __init__(self, caches: Mapping[str, Informer], names: Names) -> None:
        self._sandboxes, self._containers, self._names = caches[SANDBOX], caches[CONTAINER], names
        self._told: dict[Key, Told] = {}

    async def reconcile(self, key: Key) -> Again | None:
        told = self._wanted(key)
        before = self._told.get(key, {})
        for network in {**before, **told}:
            if told.get(network) != before.get(network):
                self._names.publish(f"docker/{key.name}", told.get(network, {}), network)
        self._told[key] = told
        if not told:
            del self._told[key]
        return None

    def _wanted(self, key: Key) -> Told:
        sandbox = self._sandboxes.find(key)
        if sandbox is None or sandbox.status["state"] != "ready":
            return {}
        if POD_NAME in sandbox.meta.labels:
            return of_pod(sandbox)
        container = self._containers.find(key)
        return of_container(container, sandbox) if container is not None and is_docker(container) else {}


def _tell_shared(told: Told, one: Mapping[str, Any], names: Sequence[str]) -> None:
    """Members of either know those of both."""
    for network in SHARED:
        _tell(told, network, one, names)


def _tell(told: Told, network: str, one: Mapping[str, Any], names: Iterable[str]) -> None:
    addresses = [ip_address(text) for text in (one["address"], one.get("address6")) if text]
    good = [name for name in names if name != "localhost" and _is_name(name)]
    records = told.setdefault(network, {})
    for name in good:
        records[name] = list(addresses)
    for address in addresses if good else ():
        records[dns.reverse_name(address)] = [Pointer(f"{good[0]}.{one['network']}")]


def _plugged(sandbox: Object) -> list[Mapping[str, Any]]:
    return [one for one in sandbox.status["endpoints"] if one["state"] == "ready" and one["address"]]


def _is_name(text: str) -> bool:
    try:
        dns.encode_name(text)
    except ValueError:
        return False
    return True
