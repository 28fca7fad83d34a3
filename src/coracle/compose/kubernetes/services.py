"""Services: the names by which others find a service, and the ports by which it is published.

A service is found at its containers' own ports, as in Compose; one that names no port gets a headless Service, whose
name leads to the pods themselves.  Source: Kubernetes documentation, "Service".
"""

from __future__ import annotations

from typing import Any

from coracle.compose.kubernetes.fields import compact
from coracle.compose.kubernetes.names import free, is_service_name
from coracle.compose.kubernetes.ports import Port, of_service
from coracle.compose.kubernetes.setting import Setting
from coracle.compose.kubernetes.units import Unit

_NODE_PORTS = range(30000, 32768)


def services(units: list[Unit], setting: Setting) -> list[dict[str, Any]]:
    """The Services of all pods: by their own names, by their other names, and for what is published."""
    all_of_them = [(one, unit) for unit in units for one in unit.together]
    found = {one.name: _service(one.name, one, unit, setting) for one, unit in all_of_them}
    for one, unit in all_of_them:
        _add_aliases(found, one, unit, setting)
    for one, unit in all_of_them:
        if service := _balancer(one, unit, setting, set(found)):
            found[service["metadata"]["name"]] = service
    return list(found.values())


def _add_aliases(found: dict[str, dict[str, Any]], one: Unit, unit: Unit, setting: Setting) -> None:
    for alias, path in _aliases(one, setting):
        taken = found.get(alias)
        if taken is None and is_service_name(alias):
            found[alias] = _service(alias, one, unit, setting)
        elif taken is None:
            setting.notes.warn(path, f"{alias} cannot be a name in Kubernetes, others find {one.name} only")
        elif taken["spec"]["selector"] != _selector(unit, setting):
            setting.notes.warn(path, f"{alias} leads to another service already: a name leads to one")


def _selector(unit: Unit, setting: Setting) -> dict[str, str]:
    return setting.labels(unit.name)


def _service(name: str, one: Unit, unit: Unit, setting: Setting) -> dict[str, Any]:
    own = name == one.name
    ports = of_service(one.ports)
    chosen = own and (_chosen(one.ports) or _on_nodes(one, setting))
    headless = not ports or (one.deploy.take("endpoint_mode") == "dnsrr" and not chosen)
    if chosen and setting.options.publish == "node":
        ports = [_with_node_port(port, one) for port in ports]
    spec = compact(
        type="NodePort" if chosen else None,
        clusterIP="None" if headless else None,
        selector=_selector(unit, setting),
        ports=ports,
    )
    labels = setting.labels(one.name)
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}, "spec": spec}


def _chosen(ports: list[Port]) -> bool:
    """Whether a port is published at one that the cluster chooses."""
    return any(port.anywhere for port in ports)


def _on_nodes(one: Unit, setting: Setting) -> bool:
    return setting.options.publish == "node" and any(port.published for port in one.ports)


def _with_node_port(port: dict[str, Any], one: Unit) -> dict[str, Any]:
    wanted = [each.published for each in one.ports if each.target == port["port"] and each.published]
    if wanted and wanted[0] in _NODE_PORTS:
        return {**port, "nodePort": wanted[0]}
    if wanted:
        one.fields.warn("ports", f"nodes publish 30000 to 32767 only: the cluster chooses one instead of {wanted[0]}")
    return port


def _balancer(one: Unit, unit: Unit, setting: Setting, taken: set[str]) -> dict[str, Any] | None:
    """A Service of type LoadBalancer for what is published, at the published ports."""
    published = [port for port in one.ports if port.published]
    if setting.options.publish != "balancer" or not published:
        return None
    ports = [
        compact(name=f"{port.protocol.lower()}-{port.published}", port=port.published, targetPort=port.target)
        | {"protocol": port.protocol}
        for port in published
    ]
    spec = {"type": "LoadBalancer", "selector": _selector(unit, setting), "ports": ports}
    metadata = {"name": free(f"{one.name}-published", taken), "labels": setting.labels(one.name)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _aliases(one: Unit, setting: Setting) -> list[tuple[str, tuple[str | int, ...]]]:
    """The other names of a service: of its networks, of links to it, and of its container."""
    found: list[tuple[str, tuple[str | int, ...]]] = []
    for network in one.fields.parts("networks"):
        found += [(alias, (*network.path, "aliases")) for alias in network.take("aliases", ())]
    if name := one.fields.take("container_name"):
        found.append((name, (*one.fields.path, "container_name")))
    for other, given in setting.project.services.items():
        for link in given.get("links") or ():
            name, colon, alias = link.partition(":")
            if name == one.service and colon:
                found.append((alias, ("services", other, "links")))
    return [(alias, path) for alias, path in found if alias not in (one.service, one.name)]
