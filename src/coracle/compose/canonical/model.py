"""The tables: which field of a Compose file has which shape."""

from __future__ import annotations

from typing import Any

from coracle.compose.canonical.build import build, extra_hosts
from coracle.compose.canonical.mounts import mount
from coracle.compose.canonical.ports import ports
from coracle.compose.canonical.references import (
    attachment,
    depends_on,
    device,
    env_file,
    extends,
    label_file,
    networks,
    ulimit,
)
from coracle.compose.canonical.shapes import (
    Setting,
    Shape,
    boolean,
    count,
    duration,
    each,
    fields,
    integer,
    labels,
    local_path,
    mapping,
    microseconds,
    number,
    size,
    strings,
    words,
)
from coracle.compose.places import Path, dotted


def _gpus(value: Any, path: Path, setting: Setting) -> Any:
    return [{"count": -1}] if value == "all" else each(_DEVICE_REQUEST)(value, path, setting)


def _test(value: Any, path: Path, setting: Setting) -> Any:
    """A health check's test: text is for a shell; a list says CMD, CMD-SHELL or NONE itself."""
    if isinstance(value, str):
        return ["CMD-SHELL", value]
    if value and value[0] not in ("CMD", "CMD-SHELL", "NONE"):
        raise setting.places.fault(path, 'healthcheck.test must start either by "CMD", "CMD-SHELL" or "NONE"')
    return value


def _watch(value: Any, path: Path, setting: Setting) -> Any:
    """One rule of `develop.watch` per path."""
    found = []
    for at, rule in enumerate(value or ()):
        for watched in strings(rule.get("path"), path, setting):
            found.append(_WATCH({**rule, "path": watched}, (*path, at), setting))
    return found


def _external(value: Any, path: Path, setting: Setting) -> Any:
    """`external: true`, or the former `external: {name: x}`."""
    if not isinstance(value, dict):
        return value
    external = value.get("external")
    if isinstance(external, dict):
        if "name" in value and external.get("name", value["name"]) != value["name"]:
            raise setting.places.fault(path, f"{dotted(path)}: name and external.name conflict; only use name")
        return {**value, **external, "external": True}
    return value


def _resource(**table: Shape) -> Shape:
    shape = fields({"driver_opts": mapping, "labels": labels, "external": boolean, **table})

    def resource(value: Any, path: Path, setting: Setting) -> Any:
        return shape(_external(value, path, setting), path, setting)

    return each(resource)


_HOOK = fields({"command": words, "environment": mapping, "privileged": boolean})
_WATCH = fields({"path": local_path, "initial_sync": boolean, "exec": _HOOK})
_DEVICE_REQUEST = fields({"count": count, "options": mapping})
_RESOURCES = {"memory": size, "cpus": number, "pids": integer, "devices": each(_DEVICE_REQUEST)}
_UPDATE = fields({"parallelism": integer, "delay": duration, "monitor": duration, "max_failure_ratio": number})
_DEPLOY = fields(
    {
        "replicas": integer,
        "labels": labels,
        "update_config": _UPDATE,
        "rollback_config": _UPDATE,
        "resources": fields({"limits": fields(_RESOURCES), "reservations": fields(_RESOURCES)}),
        "restart_policy": fields({"delay": duration, "window": duration, "max_attempts": integer}),
        "placement": fields({"max_replicas_per_node": integer}),
    }
)
_HEALTHCHECK = fields(
    {
        "test": _test,
        "disable": boolean,
        "retries": integer,
        **dict.fromkeys(("interval", "timeout", "start_period", "start_interval"), duration),
    }
)
_RATES = ("device_read_bps", "device_write_bps", "device_read_iops", "device_write_iops")
_BLKIO = fields(
    {
        "weight": integer,
        "weight_device": each(fields({"weight": integer})),
        **dict.fromkeys(_RATES, each(fields({"rate": size}))),
    }
)
_INTEGERS = ("cpu_count", "cpu_shares", "cpu_quota", "cpu_period")
_BOOLEANS = ("attach", "init", "oom_kill_disable", "privileged", "read_only", "stdin_open", "tty")
_SIZES = ("mem_limit", "mem_reservation", "memswap_limit", "mem_swappiness", "shm_size")
_STRINGS = ("dns", "dns_search", "dns_opt", "tmpfs", "expose", "group_add")

_SERVICE = fields(
    {
        **dict.fromkeys((*_INTEGERS, "oom_score_adj", "pids_limit", "scale"), integer),
        **dict.fromkeys(_BOOLEANS, boolean),
        **dict.fromkeys(_SIZES, size),
        **dict.fromkeys(_STRINGS, strings),
        **dict.fromkeys(("cpu_rt_period", "cpu_rt_runtime"), microseconds),
        "annotations": mapping,
        "blkio_config": _BLKIO,
        "build": build,
        "command": words,
        "configs": each(attachment),
        "cpu_percent": number,
        "cpus": number,
        "credential_spec": fields({"file": local_path}),
        "depends_on": depends_on,
        "deploy": _DEPLOY,
        "develop": fields({"watch": _watch}),
        "devices": each(device),
        "entrypoint": words,
        "env_file": env_file,
        "environment": mapping,
        "extends": extends,
        "extra_hosts": extra_hosts,
        "gpus": _gpus,
        "healthcheck": _HEALTHCHECK,
        "label_file": label_file,
        "labels": labels,
        "logging": fields({"options": mapping}),
        "networks": networks,
        "ports": ports,
        "post_start": each(_HOOK),
        "pre_stop": each(_HOOK),
        "secrets": each(attachment),
        "stop_grace_period": duration,
        "sysctls": labels,
        "ulimits": each(ulimit),
        "volumes": each(mount),
    }
)
_INCLUDE = fields({"path": strings, "env_file": strings})


def _include(value: Any, path: Path, setting: Setting) -> Any:
    listed = [{"path": entry} if isinstance(entry, str) else entry for entry in value or ()]
    return each(_INCLUDE)(listed, path, setting)


_MODEL = fields(
    {
        "include": _include,
        "services": each(_SERVICE),
        "networks": _resource(
            ipam=fields({"options": mapping}),
            **dict.fromkeys(("internal", "attachable", "enable_ipv4", "enable_ipv6"), boolean),
        ),
        "volumes": _resource(),
        "secrets": _resource(file=local_path),
        "configs": _resource(file=local_path),
    }
)


def canonical(model: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """`model`, which the schema allows, with every field in its one shape."""
    found: dict[str, Any] = _MODEL(model, (), setting)
    return found
