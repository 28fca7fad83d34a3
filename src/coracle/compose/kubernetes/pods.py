"""The pod of a service, and of those that share its network.

Source: Kubernetes v1 API, PodSpec.
"""

from __future__ import annotations

from typing import Any

from coracle.compose.kubernetes import attached, security
from coracle.compose.kubernetes.amounts import seconds
from coracle.compose.kubernetes.containers import container
from coracle.compose.kubernetes.fields import Fields, compact
from coracle.compose.kubernetes.names import is_key, label
from coracle.compose.kubernetes.placement import placement
from coracle.compose.kubernetes.setting import Setting
from coracle.compose.kubernetes.units import Unit
from coracle.compose.kubernetes.volumes import Volumes
from coracle.compose.kubernetes.waiting import init_containers

_GRACE = "10s"  # Docker's
_OWN_OF_A_POD = (
    *("restart", "scale", "hostname", "extra_hosts", "dns", "dns_search", "dns_opt", "group_add", "sysctls"),
    *("platform", "runtime"),
)


def template(unit: Unit, units: dict[str, Unit], setting: Setting, *, restart: str = "") -> dict[str, Any]:
    """The pod template; `units` are those of all services by name, `restart` its policy where that is not Always."""
    known, labels = Volumes(), setting.labels(unit.name)
    containers = [container(one, known, setting) for one in unit.together]
    graces = [str(one.fields.take("stop_grace_period", _GRACE)) for one in unit.together]
    spec = compact(
        initContainers=known.fills + init_containers(unit, units, setting),
        containers=containers,
        volumes=known.as_list(),
        restartPolicy=restart,
        terminationGracePeriodSeconds=max(map(seconds, graces)),
        **_host(unit),
        hostname=_hostname(unit.fields),
        hostAliases=_hosts(unit.fields),
        dnsConfig=_dns(unit.fields),
        securityContext=security.of_pod(unit.fields),
        os={"name": "linux"} if any("stopSignal" in one.get("lifecycle", {}) for one in containers) else None,
        **placement(unit.fields, unit.deploy, labels),
    )
    spec["enableServiceLinks"] = False  # Compose sets no variables for other services
    for member in unit.members:
        _leave_to(unit, member)
    metadata = compact(labels=labels, annotations=_annotations(unit, setting))
    return {"metadata": metadata, "spec": spec}


def _leave_to(unit: Unit, member: Unit) -> None:
    """What is the pod's cannot be said by each of its containers."""
    for key in _OWN_OF_A_POD:
        if member.fields.take(key) and member.fields.take(key) != unit.fields.take(key):
            member.fields.warn(key, f"is the pod's, which is {unit.service}'s: say it there")
    if member.deploy.given:
        member.fields.warn("deploy", f"there are as many as of {unit.service}, whose pod it is in")
        for key in ("mode", "replicas", "placement", "update_config", "restart_policy", "labels"):
            member.deploy.take(key)


def _annotations(unit: Unit, setting: Setting) -> dict[str, str]:
    found = attached.digest([one.fields for one in unit.together], setting)
    for one in unit.together:
        for key in ("labels", "annotations"):
            found |= noted(one.fields, key)
    return found


def noted(given: Fields, key: str) -> dict[str, str]:
    """What is at `key` as annotations, as far as they may be called so."""
    found = {name: str(value or "") for name, value in given.take(key, {}).items()}
    for name in [name for name in found if not is_key(name)]:
        given.warn(key, f"{name} cannot be the key of an annotation")
        del found[name]
    return found


def _host(unit: Unit) -> dict[str, Any]:
    """Which of the machine's namespaces the pod is in, and which its containers share."""
    found: dict[str, Any] = {}
    mode = str(unit.fields.take("network_mode", ""))
    if mode == "host":
        found = {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    elif mode not in ("", "bridge", "default"):
        unit.fields.warn("network_mode", f"{mode}: a pod is in the cluster's network, or in its machine's")
    inside = {f"service:{one.service}" for one in unit.together}
    for one in unit.together:
        one.fields.take("network_mode")
        found |= _shared(one.fields, "pid", "hostPID", inside, {"shareProcessNamespace": True})
        found |= _shared(one.fields, "ipc", "hostIPC", inside, {})
        if str(one.fields.take("userns_mode", "host")) != "host":
            one.fields.warn("userns_mode", "a pod has a user namespace of its own with hostUsers: false only")
    return found


def _shared(service: Fields, key: str, field: str, inside: set[str], within: dict[str, Any]) -> dict[str, Any]:
    mode = str(service.take(key, ""))
    if mode == "host":
        return {field: True}
    if mode in inside:
        return within
    if mode not in ("", "private", "shareable", "none"):
        service.warn(key, f"{mode}: only containers of one pod can share it: say network_mode: {mode}, too")
    return {}


def _hostname(service: Fields) -> str | None:
    name = service.take("hostname")
    if name and label(name) != name:
        service.warn("hostname", f"{name} is no host name of a pod: 63 small letters, digits and hyphens at most")
        return None
    return str(name) if name else None


def _hosts(service: Fields) -> list[dict[str, Any]]:
    found: dict[str, list[str]] = {}
    for entry in service.take("extra_hosts", ()):
        name, _, address = entry.partition("=")
        if address == "host-gateway":
            service.warn("extra_hosts", f"{entry}: a pod does not know its machine's address beforehand")
        else:
            found.setdefault(address, []).append(name)
    return [{"ip": address, "hostnames": names} for address, names in found.items()]


def _dns(service: Fields) -> dict[str, Any]:
    servers, options = service.take("dns", []), service.take("dns_opt", [])
    if servers:
        service.warn("dns", "is asked after the cluster's own name server, which also answers for outside names")
    pairs = [option.partition(":") for option in options]
    return compact(
        nameservers=list(servers),
        searches=list(service.take("dns_search", [])),
        options=[compact(name=name, value=value) for name, _, value in pairs],
    )
