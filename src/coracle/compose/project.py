"""From what the files say to a whole project: defaults, names, variables of files, and only what is used."""

from __future__ import annotations

import hashlib
import json
import os.path
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coracle.compose import environment as dotenv
from coracle.compose.places import Places
from coracle.core.errors import NotFound

KINDS = ("networks", "volumes", "secrets", "configs")


@dataclass(frozen=True)
class Project:
    """A checked model.  `model` is in canonical form: name, services, networks, volumes, secrets, configs, x-*."""

    name: str
    directory: str
    files: tuple[str, ...]
    model: dict[str, Any]
    environment: Mapping[str, str]
    profiles: tuple[str, ...]
    """All profiles that the files know."""
    places: Places = field(default_factory=Places, repr=False)
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Services that the files have and the model has not: of other profiles, or not asked for."""

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        services: dict[str, dict[str, Any]] = self.model["services"]
        return services

    def image_of(self, name: str) -> str:
        """The image that a service runs, or that its build is tagged with."""
        return str(self.services[name].get("image") or f"{self.name}-{name}")


def service_hash(service: Mapping[str, Any]) -> str:
    """A digest of what a container of this service depends on: when it changes, the container is made anew."""
    left_out = ("build", "pull_policy", "scale", "depends_on", "profiles", "develop")
    kept = {key: value for key, value in service.items() if key not in left_out}
    deploy = {key: value for key, value in (kept.pop("deploy", None) or {}).items() if key != "replicas"}
    text = json.dumps({**kept, "deploy": deploy} if deploy else kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def with_variables(model: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Variables without a value take it from `environment`; build arguments that find none are left out."""
    services = {}
    for name, given in (model.get("services") or {}).items():
        service = dict(given)
        if service.get("environment"):
            service["environment"] = _resolved(service["environment"], environment)
        if (service.get("build") or {}).get("args"):
            args = _resolved(service["build"]["args"], environment)
            kept = {key: value for key, value in args.items() if value is not None}
            service["build"] = {key: value for key, value in service["build"].items() if key != "args"}
            service["build"] |= {"args": kept} if kept else {}
        services[name] = service
    return {**model, "services": services} if services else model


def with_contexts(model: dict[str, Any], directory: str) -> dict[str, Any]:
    """Builds that name no context have the project's directory."""
    services = dict(model.get("services") or {})
    for name, service in services.items():
        if service.get("build") is not None and not service["build"].get("context"):
            services[name] = {**service, "build": {"context": directory, **service["build"]}}
    return {**model, "services": services} if services else model


def _resolved(given: dict[str, str | None], environment: Mapping[str, str]) -> dict[str, str | None]:
    return {key: environment.get(key) if value is None else value for key, value in given.items()}


def completed(service: dict[str, Any]) -> dict[str, Any]:
    """A service with its defaults and the dependencies that other fields imply."""
    service = dict(service)
    if not service.get("networks") and not service.get("network_mode") and not service.get("provider"):
        service["networks"] = {"default": None}
    if service.get("pull_policy") == "if_not_present":
        service["pull_policy"] = "missing"
    build = service.get("build")
    if build is not None and not build.get("dockerfile") and not build.get("dockerfile_inline"):
        service["build"] = {**build, "dockerfile": "Dockerfile"}
    if service.get("secrets"):
        service["secrets"] = [_mounted(entry) for entry in service["secrets"]]
    implied = _implied(service)
    if implied or service.get("depends_on"):
        service["depends_on"] = implied | (service.get("depends_on") or {})
    return service


def without_disabled(service: dict[str, Any], disabled: set[str]) -> dict[str, Any]:
    """A service that waits for none of the `disabled` services, where it does not require them."""
    given = service.get("depends_on") or {}
    kept = {name: how for name, how in given.items() if name not in disabled or how.get("required", True)}
    return service if len(kept) == len(given) else {**service, "depends_on": kept}


def _mounted(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "target": entry.get("target") or f"/run/secrets/{entry['source']}"}


def _implied(service: dict[str, Any]) -> dict[str, Any]:
    restarted = {"condition": "service_started", "restart": True, "required": True}
    found: dict[str, Any] = {}
    for link in service.get("links") or ():
        found[link.partition(":")[0]] = restarted
    for field_name in ("network_mode", "ipc", "pid", "uts", "cgroup"):
        mode = service.get(field_name) or ""
        if mode.startswith("service:"):
            found[mode.removeprefix("service:")] = restarted
    for source in service.get("volumes_from") or ():
        if not source.startswith("container:"):
            found.setdefault(source.partition(":")[0], {**restarted, "restart": False})
    return {name: {key: value for key, value in how.items() if value is not False} for name, how in found.items()}


def with_files(
    service: dict[str, Any], name: str, environment: Mapping[str, str], read: Callable[[str], str], places: Places
) -> dict[str, Any]:
    """A service with its `env_file` and `label_file` read into `environment` and `labels`, which come first."""
    service = dict(service)
    found: dict[str, str | None] = {}
    for at, entry in enumerate(service.pop("env_file", None) or ()):
        try:
            text = read(entry["path"])
        except NotFound:
            if not entry.get("required", True):
                continue
            place = places.of(("services", name, "env_file", at))
            path = entry["path"]
            raise NotFound(f"{place}: env file {path} not found: stat {path}: no such file or directory") from None
        if entry.get("format") == "raw":
            found |= _raw(text)
        else:
            found |= dotenv.parse(text, entry["path"], environment)
    if found:
        service["environment"] = found | (service.get("environment") or {})
    labels: dict[str, str] = {}
    for path in service.pop("label_file", None) or ():
        labels |= dotenv.parse(read(path), path, environment)
    if labels:
        service["labels"] = labels | (service.get("labels") or {})
    return service


def _raw(text: str) -> dict[str, str | None]:
    """Lines of `NAME=value`, as they stand."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return {key.strip(): value for key, equals, value in (line.partition("=") for line in lines) if equals}


def with_resources(model: dict[str, Any], name: str, directory: str, *, unused: bool = False) -> dict[str, Any]:
    """A model with the networks, volumes, secrets and configs that its services use, each with its own name.

    Also with those that none uses, where `unused`.
    """
    used = _used(model["services"])
    found = dict(model)
    for kind in KINDS:
        known = {**({"default": None} if kind == "networks" else {}), **(model.get(kind) or {})}
        kept = used[kind] | (set(known) - {"default"} if unused else set())
        things = {key: _named(thing, key, name) for key, thing in known.items() if key in kept}
        if kind == "volumes":
            things = {key: _bound(thing, directory) for key, thing in things.items()}
        found.pop(kind, None)
        if things:
            found[kind] = dict(sorted(things.items()))
    return found


def _named(thing: dict[str, Any] | None, key: str, project: str) -> dict[str, Any]:
    given = thing or {}
    return {"name": key if given.get("external") else f"{project}_{key}", **given}


def _bound(volume: dict[str, Any], directory: str) -> dict[str, Any]:
    """A volume that is a directory of this machine names it by its whole path."""
    options = volume.get("driver_opts") or {}
    if volume.get("driver", "local") != "local" or options.get("o") != "bind" or not options.get("device"):
        return volume
    device = os.path.normpath(os.path.join(directory, options["device"]))
    return {**volume, "driver_opts": {**options, "device": device}}


def _used(services: dict[str, Any]) -> dict[str, set[str]]:
    used: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for service in services.values():
        used["networks"] |= set(service.get("networks") or ())
        for mount in service.get("volumes") or ():
            if isinstance(mount, dict) and mount.get("type") == "volume" and mount.get("source"):
                used["volumes"].add(mount["source"])
        for kind in ("secrets", "configs"):
            attached = [*(service.get(kind) or ()), *((service.get("build") or {}).get(kind) or ())]
            used[kind] |= {entry["source"] for entry in attached if isinstance(entry, dict)}
    return used
