"""A service -> the body of POST /containers/create."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from coracle.compose.create import attaching
from coracle.compose.create.attaching import Other, Others, joined_services
from coracle.compose.create.bodies import digest, without_empty
from coracle.compose.create.files import attached
from coracle.compose.create.labels import Origin, labels
from coracle.compose.create.mounts import mounts
from coracle.compose.create.resources import resources
from coracle.compose.project import service_hash
from coracle.compose.units import nanoseconds

__all__ = ["OneOff", "Origin", "Other", "Others", "container_body", "container_name", "joined_services", "wanted_hash"]

_CONFIG = {
    "hostname": "Hostname",
    "domainname": "Domainname",
    "user": "User",
    "working_dir": "WorkingDir",
    "tty": "Tty",
    "stdin_open": "OpenStdin",
    "stop_signal": "StopSignal",
}
_HOST = {
    "annotations": "Annotations",
    "cap_add": "CapAdd",
    "cap_drop": "CapDrop",
    "dns": "Dns",
    "dns_search": "DnsSearch",
    "dns_opt": "DnsOptions",
    "group_add": "GroupAdd",
    "oom_score_adj": "OomScoreAdj",
    "privileged": "Privileged",
    "read_only": "ReadonlyRootfs",
    "runtime": "Runtime",
    "sysctls": "Sysctls",
    "userns_mode": "UsernsMode",
}
_MODES = {"ipc": "IpcMode", "pid": "PidMode", "uts": "UTSMode", "cgroup": "CgroupnsMode"}
_CHECK_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}
_POLICIES = {"none": "no", "any": "always"}
_SECOND_NS = 10**9


@dataclass(frozen=True, slots=True)
class OneOff:
    """A container of `run`, and what only such a one may be told.

    Its service is the file's with what `run` changes in it (command, environment, ports); nothing restarts it, and it
    waits for nobody.
    """

    name: str
    slug: str
    auto_remove: bool = False
    attach_stdin: bool = False
    use_aliases: bool = False


def container_name(model: Mapping[str, Any], service: str, number: int) -> str:
    return str(model["services"][service].get("container_name") or f"{model['name']}-{service}-{number}")


def wanted_hash(model: Mapping[str, Any], service: str, image_id: str) -> str:
    """A digest of all that a container of the service depends on: where it has another one, it is out of date."""
    given = model["services"][service]
    named = {"networks": given.get("networks") or {}, "volumes": _named_volumes(given)}
    used = {kind: {key: (model.get(kind) or {}).get(key) for key in keys} for kind, keys in named.items()}
    files = [[one.target, one.definition] for one in attached(model, given)]
    return digest([service_hash(given), image_id, used, files])


def container_body(
    model: Mapping[str, Any],
    service_name: str,
    number: int,
    origin: Origin,
    *,
    one_off: OneOff | None = None,
    others: Others | None = None,
    inherited: Iterable[Mapping[str, Any]] = (),
    image_volumes: Collection[str] = (),
) -> dict[str, Any]:
    """What is asked for a container; its name, and the service's `platform`, go into the query.

    others         containers of the services it is linked to or shares something with; KeyError and IndexError
                   where one of `joined_services` has none
    inherited      `Mounts` of the container that it replaces
    image_volumes  keys of the image's Config.Volumes
    """
    service, known = model["services"][service_name], others or {}
    linked = attaching.links(model["name"], service, number, known)
    aliases = one_off is None or one_off.use_aliases
    names = [one_off.name if one_off else container_name(model, service_name, number)]
    names += [service_name] if aliases else []
    marks = labels(model, service_name, number, origin, slug=one_off.slug if one_off else "")
    body = {**_config(service), "Image": origin.image, "Labels": marks, **_attaching(service, one_off)}
    host = {
        **_host(service, known),
        **resources(service),
        **mounts(model, service, inherited, image_volumes),
        "NetworkMode": attaching.network_mode(model, service, known),
        "Links": linked,
        "RestartPolicy": {} if one_off else restart_policy(service),
        "AutoRemove": bool(one_off and one_off.auto_remove),
    }
    body["HostConfig"] = without_empty(host) | _init(service) | _paths(service)
    if not service.get("network_mode"):
        body["NetworkingConfig"] = {
            "EndpointsConfig": attaching.endpoints(model, service, names, linked, aliases=aliases)
        }
    return body


def _config(service: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {theirs: service.get(ours) for ours, theirs in _CONFIG.items()}
    environment = service.get("environment") or {}
    found |= {
        "Env": [name if value is None else f"{name}={value}" for name, value in environment.items()],
        "ExposedPorts": attaching.exposed(service),
        "Healthcheck": _healthcheck(service.get("healthcheck") or {}),
        "NetworkDisabled": service.get("network_mode") == "disabled",
        "MacAddress": service.get("mac_address") if service.get("network_mode") else None,
    }
    found = without_empty(found)
    for ours, theirs in (("command", "Cmd"), ("entrypoint", "Entrypoint")):
        if service.get(ours) is not None:
            found[theirs] = service[ours]
    if service.get("stop_grace_period"):
        found["StopTimeout"] = nanoseconds(service["stop_grace_period"]) // _SECOND_NS
    return found


def _attaching(service: Mapping[str, Any], one_off: OneOff | None) -> dict[str, Any]:
    found = {"AttachStdout": True, "AttachStderr": True}
    if one_off and one_off.attach_stdin:
        return {**found, "AttachStdin": True, **({"StdinOnce": True} if service.get("stdin_open") else {})}
    return found


def _healthcheck(check: Mapping[str, Any]) -> dict[str, Any]:
    if check.get("disable"):
        return {"Test": ["NONE"]}
    times = {theirs: nanoseconds(check.get(ours) or "0") for ours, theirs in _CHECK_TIMES.items()}
    return without_empty({"Test": check.get("test"), "Retries": check.get("retries"), **times})


def _host(service: Mapping[str, Any], others: Others) -> dict[str, Any]:
    found = {theirs: service.get(ours) for ours, theirs in _HOST.items()}
    found |= {theirs: attaching.mode(service.get(ours), others) for ours, theirs in _MODES.items()}
    logging = service.get("logging") or {}
    tmpfs = (text.partition(":") for text in service.get("tmpfs") or ())
    return found | {
        "ExtraHosts": [text.replace("=", ":", 1) for text in service.get("extra_hosts") or ()],
        "LogConfig": without_empty({"Type": logging.get("driver"), "Config": logging.get("options")}),
        "PortBindings": attaching.bindings(service),
        "SecurityOpt": [text for text in service.get("security_opt") or () if text != _UNCONFINED],
        "ShmSize": int(service.get("shm_size") or 0),
        "Tmpfs": {path: options for path, _, options in tmpfs},
        "VolumesFrom": attaching.volumes_from(service, others),
    }


_UNCONFINED = "systempaths=unconfined"


def _paths(service: Mapping[str, Any]) -> dict[str, Any]:
    """Paths of the kernel that are hidden or not to be written: none of them, if that is asked for."""
    unconfined = _UNCONFINED in (service.get("security_opt") or ())
    return {"MaskedPaths": [], "ReadonlyPaths": []} if unconfined else {}


def _init(service: Mapping[str, Any]) -> dict[str, Any]:
    return {} if service.get("init") is None else {"Init": service["init"]}


def restart_policy(service: Mapping[str, Any]) -> dict[str, Any]:
    """RestartPolicy; what `deploy` says comes first."""
    deployed = (service.get("deploy") or {}).get("restart_policy")
    name, _, most = str(service.get("restart") or "").partition(":")
    if deployed:
        name, most = deployed.get("condition") or "", deployed.get("max_attempts") or ""
    tries = int(most) if str(most).isdecimal() else 0
    return without_empty({"Name": _POLICIES.get(name, name), "MaximumRetryCount": tries})


def _named_volumes(service: Mapping[str, Any]) -> list[str]:
    return [
        mount["source"] for mount in service.get("volumes") or () if mount["type"] == "volume" and mount.get("source")
    ]
