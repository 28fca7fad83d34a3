"""What keeps the pods of a service: Deployment, ReplicationController, DaemonSet or Job.

A service that is to run on is the chosen controller's; one that may end (`restart: "no"` or `on-failure`, or one whose
end others wait for) is a Job, which does not begin again what has ended well.
Source: Kubernetes documentation, "Deployments", "DaemonSet", "Jobs".
"""

from __future__ import annotations

from typing import Any

from coracle.compose.kubernetes.amounts import seconds
from coracle.compose.kubernetes.fields import Fields, compact
from coracle.compose.kubernetes.pods import noted, template
from coracle.compose.kubernetes.setting import Setting
from coracle.compose.kubernetes.units import Unit
from coracle.compose.kubernetes.waiting import finishes

_UNLIMITED = (1 << 31) - 1
_APPS = {"deployment": "Deployment", "daemonset": "DaemonSet"}


def workload(unit: Unit, units: dict[str, Unit], setting: Setting) -> dict[str, Any]:
    """The object that keeps the pods of `unit`; `units` are those of all services by name."""
    labels, mode = setting.labels(unit.name), unit.deploy.take("mode", "replicated")
    metadata = compact(name=unit.name, labels=labels, annotations=noted(unit.deploy, "labels"))
    restart, most = _restart(unit, finishes(setting))
    update = unit.deploy.part("update_config")
    if mode in ("replicated-job", "global-job") and not restart:
        restart, most = "OnFailure", _UNLIMITED
    if restart:
        _no_updates(update)
        return _job(metadata, template(unit, units, setting, restart=restart), unit.replicas, most)
    pod = template(unit, units, setting)
    controller = "daemonset" if mode == "global" else setting.options.controller
    _check_number(unit, pod, controller)
    if controller == "replicationcontroller":
        _no_updates(update)
        spec = {"replicas": unit.replicas, "selector": labels, "template": pod}
        return {"apiVersion": "v1", "kind": "ReplicationController", "metadata": metadata, "spec": spec}
    rolling = _rolling(update, pod, surges=controller == "deployment")
    spec = {"selector": {"matchLabels": labels}, **rolling, "template": pod}
    if controller == "deployment":
        spec = {"replicas": unit.replicas, **spec}
    return {"apiVersion": "apps/v1", "kind": _APPS[controller], "metadata": metadata, "spec": spec}


def _job(metadata: dict[str, Any], pod: dict[str, Any], number: int, most: int) -> dict[str, Any]:
    times = {"parallelism": number, "completions": number} if number != 1 else {}
    spec = {**times, "backoffLimit": most, "template": pod}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _restart(unit: Unit, finishing: set[str]) -> tuple[str, int]:
    """The restart policy and how often pods may fail, of a service that may end; ("", 0) for one that runs on."""
    policy, _, most = str(unit.fields.take("restart", "")).partition(":")
    said = unit.deploy.part("restart_policy")
    condition, attempts = said.take("condition"), said.take("max_attempts")
    if said.given:
        policy = {"none": "no", "on-failure": "on-failure"}.get(condition or "any", "always")
        most = str(attempts or "")
    if policy == "on-failure":
        return "OnFailure", int(most) if most.isdecimal() else _UNLIMITED
    if policy == "no" or (not policy and unit.service in finishing):
        return "Never", 0
    return "", 0


def _rolling(update: Fields, pod: dict[str, Any], *, surges: bool) -> dict[str, Any]:
    """How new pods replace old ones.

    Pods that have ports of the machine or claims cannot stand beside their successors: Recreate, which is also what
    Compose does.  Where the file says nothing and nothing is in the way, it is the cluster's default.
    """
    number, order, delay = update.take("parallelism"), update.take("order"), update.take("delay")
    ready = {"minReadySeconds": seconds(delay)} if delay and delay != "0s" else {}
    alone = _has_host_ports(pod) or any("persistentVolumeClaim" in each for each in pod["spec"].get("volumes", ()))
    if number is None and order is None:
        return {**ready, **({"strategy": {"type": "Recreate"}} if alone and surges else {})}
    first = order == "start-first" and not _has_host_ports(pod)
    if order == "start-first" and not first:
        update.warn("order", "pods with ports of the machine cannot stand beside their successors")
    amount: int | str = "100%" if number == 0 else int(number or 1)
    how = {"maxSurge": amount, "maxUnavailable": 0} if first else {"maxSurge": 0, "maxUnavailable": amount}
    key = "strategy" if surges else "updateStrategy"
    return {**ready, key: {"type": "RollingUpdate", "rollingUpdate": how}}


def _no_updates(update: Fields) -> None:
    if update.given:
        update.warn("", "nothing rolls here: delete it, and apply again")
    for key in update.given:
        update.take(key)


def _check_number(unit: Unit, pod: dict[str, Any], controller: str) -> None:
    if unit.replicas != 1 and controller == "daemonset":
        unit.fields.warn("scale", f"a DaemonSet has one pod on each node, not {unit.replicas}")
    elif unit.replicas > 1 and _has_host_ports(pod):
        unit.fields.warn("ports", "a port of a machine is one pod's: there can be one pod on each node")


def _has_host_ports(pod: dict[str, Any]) -> bool:
    containers = pod["spec"]["containers"]
    return any("hostPort" in port for one in containers for port in one.get("ports", ()))
