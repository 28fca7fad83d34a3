"""`depends_on`: what a pod waits for before its containers start.

Kubernetes starts everything at once and starts again what fails, which is what `service_started` comes to.  For
`service_healthy` an init container waits until the Service of the other leads to a pod that is ready: it then accepts
connections, or where it has no port, its name is found.  Source: Kubernetes documentation, "Init Containers".
"""

from __future__ import annotations

from typing import Any

from coracle.compose.kubernetes.fields import Fields
from coracle.compose.kubernetes.names import label
from coracle.compose.kubernetes.probes import is_probed
from coracle.compose.kubernetes.setting import Setting
from coracle.compose.kubernetes.units import Unit

_IMAGE = "busybox"
_DOMAIN = "cluster.local"


def init_containers(unit: Unit, units: dict[str, Unit], setting: Setting) -> list[dict[str, Any]]:
    """One for each service that the pod's own wait for until it is healthy; `units` are those of all services."""
    found: dict[str, dict[str, Any]] = {}
    for dependency in (dependency for one in unit.together for dependency in one.fields.parts("depends_on")):
        dependency.take("required")
        _implied(dependency)
        other, condition = units.get(dependency.name), dependency.take("condition")
        if other is None or condition == "service_started":
            continue
        if said := _in_vain(other, condition, unit, setting):
            dependency.warn("condition", said)
        else:
            found.setdefault(other.name, _container(other))
    return list(found.values())


def _in_vain(other: Unit, condition: Any, unit: Unit, setting: Setting) -> str:
    """Why nothing can wait for the other; "" where it can."""
    if other in unit.together:
        return "containers of one pod start together"
    if condition == "service_completed_successfully":
        return f"Kubernetes does not wait for a Job: it starts beside {other.service}, and must try again"
    if not is_probed(setting.project.services[other.service].get("healthcheck") or {}):
        return f"{other.service} says no health check here: nothing tells that it is healthy"
    return ""


def _implied(dependency: Fields) -> None:
    """What a link implies was not asked for."""
    if (*dependency.path, "restart") not in dependency.notes.places.known:
        dependency.take("restart")


def _container(other: Unit) -> dict[str, Any]:
    found: dict[str, Any] = {"name": label(f"wait-for-{other.name}"), "image": _IMAGE}
    found["imagePullPolicy"] = "IfNotPresent"
    port = next((port.target for port in other.ports if port.protocol == "TCP"), None)
    if port:
        return {**found, "command": ["sh", "-c", f"until nc -w 2 {other.name} {port} -e true; do sleep 1; done"]}
    name = f'"{other.name}.$NAMESPACE.svc.{_DOMAIN}"'
    env = [{"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]
    return {**found, "command": ["sh", "-c", f"until nslookup {name} >/dev/null; do sleep 1; done"], "env": env}


def finishes(setting: Setting) -> set[str]:
    """The services that others wait for until they have ended."""
    return {
        name
        for service in setting.project.services.values()
        for name, how in (service.get("depends_on") or {}).items()
        if how.get("condition") == "service_completed_successfully"
    }
