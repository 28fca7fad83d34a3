"""What of the Compose Specification has no effect here, or cannot be had: said with file and line, never left out.

Everything that no rule names is supported.  docs/compose.md shows the same, key by key; a test holds it to the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from coracle.compose.places import Path, dotted
from coracle.compose.project import Project

_CLUSTER = "it is for clusters of several machines"
_WINDOWS = "only Windows has it"
_BUILDER = "images are built by the classic builder, not by BuildKit"
_NO_CARRIER = "nothing is made that could carry them"


@dataclass(frozen=True, slots=True)
class Rule:
    """`path` is written with dots; `*` is any key, `[]` any entry.  `when` narrows it to some values."""

    path: str
    verdict: Literal["warned", "refused"]
    why: str
    when: Callable[[Any], bool] | None = None


RULES = (
    Rule("services.*.cgroup_parent", "warned", "a cloud's containers have a cgroup of their own"),
    Rule("services.*.cpu_count", "warned", _WINDOWS),
    Rule("services.*.cpu_percent", "warned", _WINDOWS),
    Rule("services.*.credential_spec", "refused", _WINDOWS),
    Rule("services.*.isolation", "refused", _WINDOWS, lambda value: value != "default"),
    Rule("services.*.gpus", "refused", "no driver is here that gives GPUs to containers"),
    Rule("services.*.models", "refused", "no runner of models is here"),
    Rule("services.*.provider", "refused", "no external providers are run"),
    Rule("services.*.post_start", "refused", "Compose v2.29 has no hooks"),
    Rule("services.*.pre_stop", "refused", "Compose v2.29 has no hooks"),
    Rule("services.*.storage_opt", "refused", "the size of a container's root file system is not limited"),
    Rule("services.*.use_api_socket", "refused", "mount /var/run/docker.sock instead"),
    Rule("services.*.deploy.mode", "warned", _CLUSTER, lambda value: value != "replicated"),
    Rule("services.*.deploy.endpoint_mode", "warned", _CLUSTER),
    Rule("services.*.deploy.labels", "warned", f"{_NO_CARRIER}; `labels` are for containers"),
    Rule("services.*.deploy.placement", "warned", _CLUSTER),
    Rule("services.*.deploy.rollback_config", "warned", _CLUSTER),
    Rule("services.*.deploy.update_config", "warned", _CLUSTER),
    Rule("services.*.deploy.restart_policy.delay", "warned", _CLUSTER),
    Rule("services.*.deploy.restart_policy.window", "warned", _CLUSTER),
    Rule("services.*.deploy.resources.reservations.cpus", "warned", _CLUSTER),
    Rule("services.*.deploy.resources.reservations.generic_resources", "warned", _CLUSTER),
    Rule("services.*.deploy.resources.reservations.devices", "refused", "no driver is here that reserves devices"),
    Rule("services.*.networks.*.link_local_ips", "warned", "containers have no link-local addresses of their own"),
    Rule("services.*.volumes.[].consistency", "warned", "every mount is consistent on Linux"),
    Rule("services.*.volumes.[].type", "refused", _CLUSTER, lambda value: value == "cluster"),
    Rule("services.*.volumes.[].type", "refused", _WINDOWS, lambda value: value == "npipe"),
    Rule("services.*.build.additional_contexts", "refused", _BUILDER),
    Rule("services.*.build.cache_from", "warned", "steps of earlier builds are used anyway"),
    Rule("services.*.build.cache_to", "warned", _BUILDER),
    Rule("services.*.build.entitlements", "refused", _BUILDER),
    Rule("services.*.build.isolation", "refused", _WINDOWS, lambda value: value != "default"),
    Rule("services.*.build.platforms", "refused", "an image is built for one platform", lambda value: len(value) > 1),
    Rule("services.*.build.privileged", "refused", _BUILDER),
    Rule("services.*.build.provenance", "warned", _BUILDER),
    Rule("services.*.build.sbom", "warned", _BUILDER),
    Rule("services.*.build.secrets", "refused", _BUILDER),
    Rule("services.*.build.ssh", "refused", _BUILDER),
    Rule("models", "refused", "no runner of models is here"),
    Rule("secrets.*.external", "refused", "there is no store of secrets"),
    Rule("secrets.*.driver", "refused", "there is no store of secrets"),
    Rule("secrets.*.driver_opts", "refused", "there is no store of secrets"),
    Rule("secrets.*.template_driver", "refused", "there is no store of secrets"),
    Rule("secrets.*.labels", "warned", _NO_CARRIER),
    Rule("configs.*.external", "refused", "there is no store of configs"),
    Rule("configs.*.template_driver", "refused", "there is no store of configs"),
    Rule("configs.*.labels", "warned", _NO_CARRIER),
)
_LARGEST_ID = 2**31 - 1
_BUILD = "services.*.build."


def check(project: Project) -> list[str]:
    """What has no effect in containers, networks and volumes.  Raises Malformed for what cannot be had."""
    rules = [rule for rule in RULES if not rule.path.startswith(_BUILD)]
    return [*_judged(project, rules), *_attached(project)]


def check_build(project: Project, service: str) -> list[str]:
    """As `check`, of a service's `build`."""
    rules = [rule for rule in RULES if rule.path.startswith(_BUILD)]
    return list(_judged(project, rules, only=service))


def _judged(project: Project, rules: list[Rule], only: str = "") -> Iterator[str]:
    for rule in rules:
        parts = rule.path.split(".")
        parts = [parts[0], only, *parts[2:]] if only else parts
        for path, value in _matching(project.model, parts, ()):
            if value in (None, False, "", [], {}) or (rule.when and not rule.when(value)):
                continue
            if rule.verdict == "refused":
                raise project.places.fault(path, f"{dotted(path)} is not supported: {_shown(rule, value)}{rule.why}")
            yield f"{project.places.of(path)}: {dotted(path)} has no effect: {_shown(rule, value)}{rule.why}"


def _shown(rule: Rule, value: Any) -> str:
    """The value, where the rule is about some of them."""
    return f"{value}: " if rule.when and isinstance(value, str) else ""


def _matching(value: Any, parts: list[str], path: Path) -> Iterator[tuple[Path, Any]]:
    """The values that the pattern `parts` leads to, each with its path."""
    if not parts:
        yield path, value
        return
    part, rest = parts[0], parts[1:]
    if part == "[]" and isinstance(value, list):
        for at, item in enumerate(value):
            yield from _matching(item, rest, (*path, at))
    elif isinstance(value, dict):
        for key in value if part == "*" else [part] if part in value else []:
            yield from _matching(value[key], rest, (*path, key))


def _attached(project: Project) -> Iterator[str]:
    """Secrets and configs as services use them.  Files of the host have their own owner and mode; others are copied."""
    for name, service in project.services.items():
        for kind in ("secrets", "configs"):
            for at, use in enumerate(service.get(kind) or ()):
                path: Path = ("services", name, kind, at)
                if not project.model[kind][use["source"]].get("file"):
                    _check_copied(project, service, path, use)
                elif given := [field for field in ("uid", "gid", "mode") if use.get(field) is not None]:
                    said = f"{dotted(path)}: {', '.join(given)} have no effect: a file of the host is mounted as it is"
                    yield f"{project.places.of(path)}: {said}"


def _check_copied(project: Project, service: Mapping[str, Any], path: Path, use: Mapping[str, Any]) -> None:
    """Raises Malformed."""
    if service.get("read_only"):
        said = "nothing can be copied into a read-only service: only secrets and configs with `file` can be used"
        raise project.places.fault(path, f"{dotted(path)}: {said}")
    for field in ("uid", "gid"):
        text = str(use.get(field) or "0")
        if not (text.isascii() and text.isdecimal() and int(text) <= _LARGEST_ID):
            raise project.places.fault((*path, field), f"{dotted((*path, field))}: {text} is not a number of a user")
