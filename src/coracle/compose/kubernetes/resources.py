"""Limits and reservations.

What has a limit and no reservation requests nothing: Kubernetes would else reserve the whole limit, and Compose
reserves nothing.  Source: Kubernetes documentation, "Resource Management for Pods and Containers".
"""

from __future__ import annotations

from typing import Any

from coracle.compose.kubernetes import amounts
from coracle.compose.kubernetes.fields import Fields, compact

_PERIOD_US = 100_000
_GPU = "nvidia.com/gpu"


def resources(service: Fields, deploy: Fields) -> dict[str, Any]:
    """The container's `resources`; empty where nothing is said."""
    given = deploy.part("resources")
    asked, kept = given.part("limits"), given.part("reservations")
    limits = _amounts(
        cpus=_cpus(service, asked),
        memory=asked.take("memory") or service.take("mem_limit"),
        devices=_gpus(service, kept),
    )
    service.take("mem_limit")
    requests = _amounts(cpus=kept.take("cpus"), memory=kept.take("memory") or service.take("mem_reservation"))
    service.take("mem_reservation")
    _processes(service, asked)
    free = {name: "0" for name in limits if name not in requests and name != _GPU} if limits else {}
    return compact(limits=limits, requests={**free, **requests})


def _cpus(service: Fields, limits: Fields) -> float | None:
    quota, period = service.take("cpu_quota"), service.take("cpu_period") or _PERIOD_US
    own, asked = service.take("cpus"), limits.take("cpus")
    return asked or own or (quota / period if quota and quota > 0 else None)


def _amounts(*, cpus: Any, memory: Any, devices: int = 0) -> dict[str, str]:
    return compact(
        cpu=amounts.cpus(float(cpus)) if cpus and float(cpus) > 0 else None,
        memory=amounts.memory(int(memory)) if memory and int(memory) > 0 else None,
        **{_GPU: str(devices) if devices else None},
    )


def _processes(service: Fields, limits: Fields) -> None:
    """No limit of processes is nothing to warn of."""
    for given, key in ((service, "pids_limit"), (limits, "pids")):
        if (given.given.get(key) or 0) <= 0:
            given.take(key)


def _gpus(service: Fields, reservations: Fields) -> int:
    """How many whole GPUs are asked for; other devices, and all of a machine's, cannot be."""
    total = 0
    for device in [*service.parts("gpus"), *reservations.parts("devices")]:
        count, driver = device.take("count", -1), device.take("driver", "nvidia")
        kinds = device.take("capabilities") or ["gpu"]
        if driver == "nvidia" and "gpu" in kinds and count > 0:
            total += count
        else:
            device.warn("", "ask for a number of GPUs, or for the resource of another device plugin")
            device.take("device_ids")
    return total
