"""`healthcheck` as probes, `post_start` and `pre_stop` as hooks.

Docker reports a container that is not healthy and lets it be: that is a readiness probe, which takes the pod out of its
Services; a liveness probe would restart it.  A start period only says that one looks more often while it starts: a
startup probe that never gives up.  Source: Kubernetes documentation, "Liveness, Readiness, and Startup Probes".
"""

from __future__ import annotations

from typing import Any

from coracle.compose.kubernetes.amounts import is_whole, seconds
from coracle.compose.kubernetes.fields import Fields, compact
from coracle.compose.units import nanoseconds

_SHELL = ["/bin/sh", "-c"]
_INTERVAL, _TIMEOUT, _RETRIES, _START_INTERVAL = "30s", "30s", 3, "5s"  # Docker's
_FOR_EVER = (1 << 31) - 1


def probes(service: Fields) -> dict[str, Any]:
    """`readinessProbe` and `startupProbe`, as far as there is something to probe by."""
    given = service.part("healthcheck")
    test = given.take("test") or []
    interval, timeout = given.take("interval", _INTERVAL), given.take("timeout", _TIMEOUT)
    retries, period = given.take("retries", _RETRIES), given.take("start_period")
    disabled = given.take("disable", False) or test[:1] == ["NONE"]
    if disabled or not given.given:
        given.take("start_interval")
        return {}
    if not test:
        given.take("start_interval")
        given.warn("", "Kubernetes does not read the image's health check: say its `test` here")
        return {}
    _rounding(given, ("interval", "timeout"))
    common = {"exec": {"command": _command(test)}, "timeoutSeconds": seconds(timeout)}
    ready = {"readinessProbe": {**common, "periodSeconds": seconds(interval), "failureThreshold": max(1, retries)}}
    if not period or nanoseconds(period) <= 0:
        return ready
    every = given.take("start_interval", _START_INTERVAL)
    _rounding(given, ("start_interval",))
    return ready | {"startupProbe": {**common, "periodSeconds": seconds(every), "failureThreshold": _FOR_EVER}}


def is_probed(healthcheck: dict[str, Any]) -> bool:
    """Whether a service with this `healthcheck` has a readiness probe."""
    test = healthcheck.get("test") or []
    return bool(test) and test[0] != "NONE" and not healthcheck.get("disable")


def lifecycle(service: Fields) -> dict[str, Any]:
    """The hooks, and the signal to stop by."""
    found = compact(postStart=_hook(service, "post_start"), preStop=_hook(service, "pre_stop"))
    signal = service.take("stop_signal", "SIGTERM")
    signal = signal if str(signal).startswith("SIG") or str(signal).isdigit() else f"SIG{signal}"
    if str(signal).isdigit():
        service.warn("stop_signal", "Kubernetes takes names of signals only")
    elif signal != "SIGTERM":
        service.warn("stop_signal", "needs Kubernetes 1.33 or later with ContainerStopSignals")
        found["stopSignal"] = signal
    return found


def _hook(service: Fields, key: str) -> dict[str, Any] | None:
    hooks = service.parts(key)
    commands = [hook.take("command") or [] for hook in hooks]
    if len(commands) > 1:
        service.warn(key, "Kubernetes runs one command: the first is taken")
    return {"exec": {"command": commands[0]}} if commands and commands[0] else None


def _command(test: list[str]) -> list[str]:
    return [*_SHELL, *test[1:]] if test[0] == "CMD-SHELL" else test[1:]


def _rounding(given: Fields, keys: tuple[str, ...]) -> None:
    for key in keys:
        value = given.given.get(key)
        if value and not is_whole(value):
            given.warn(key, f"Kubernetes counts whole seconds: {value} becomes {seconds(value)}s")
