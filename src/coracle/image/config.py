"""An image's configuration: what to run, as whom, where; its layers' content ids; its history.

Whatever comes in is untrusted.  Shapes and sizes are checked here, once; what only the engine can judge (whether the
user exists in the root file system, say) is left to it.

Source: OCI image specification 1.1, "Image Configuration"; Docker's additions Healthcheck, Shell, OnBuild.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from coracle.core.errors import Invalid, Malformed
from coracle.image.digests import check_digest
from coracle.image.manifest import MAX_LAYERS, Platform, parse_document

MAX_ITEMS = 10_000  # of env, labels, history ...: one argument list of the kernel holds fewer useful ones
_PORT = re.compile(r"(\d{1,5})(?:-\d{1,5})?(?:/(tcp|udp|sctp))?")
_USER = re.compile(r"[^\x00-\x20:][^\x00-\x1f:]*(:[^\x00-\x1f:]+)?")
_ID_LIMIT = 1 << 31  # larger numbers wrapped around to root elsewhere (CVE-2024-40635)


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """`test` as Docker writes it: ("CMD", ...), ("CMD-SHELL", text), ("NONE",).  Times in nanoseconds, 0 = default."""

    test: tuple[str, ...] = ()
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """How a container of the image runs unless its creator says otherwise.

    Shape: `env` holds `NAME=value`; `ports` `80/tcp`; `volumes` absolute paths; `workdir` "" or absolute;
           `stop_signal` "" or a name or number as written.
    """

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        doc: dict[str, Any] = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.ports},
            "Env": list(self.env),
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "Volumes": {path: {} for path in self.volumes},
            "WorkingDir": self.workdir,
            "Labels": dict(self.labels),
            "StopSignal": self.stop_signal,
            "Healthcheck": _healthcheck_json(self.healthcheck) if self.healthcheck else None,
            "Shell": list(self.shell),
            "OnBuild": list(self.on_build),
        }
        return {name: value for name, value in doc.items() if value}

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Settings:
        """Raises Malformed (shape), Invalid (content)."""
        settings = cls(
            entrypoint=_command(doc, "Entrypoint"),
            cmd=_command(doc, "Cmd"),
            env=_strings(doc, "Env"),
            user=_string(doc, "User"),
            workdir=_string(doc, "WorkingDir"),
            ports=_names(doc, "ExposedPorts"),
            volumes=_names(doc, "Volumes"),
            stop_signal=_string(doc, "StopSignal"),
            labels=_labels(doc),
            healthcheck=_healthcheck(doc),
            shell=_command(doc, "Shell"),
            on_build=_strings(doc, "OnBuild"),
        )
        check_settings(settings)
        return settings


@dataclass(frozen=True, slots=True)
class History:
    created: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False

    def to_json(self) -> dict[str, Any]:
        doc = {
            "created": self.created,
            "created_by": self.created_by,
            "comment": self.comment,
            "empty_layer": self.empty_layer,
        }
        return {name: value for name, value in doc.items() if value}


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The document that a manifest's `config` points to; its digest is the image id.  `created` is RFC 3339 or ""."""

    platform: Platform
    settings: Settings
    diff_ids: tuple[str, ...]
    history: tuple[History, ...] = ()
    created: str = ""
    author: str = ""

    def encode(self) -> bytes:
        doc: dict[str, Any] = {**self.platform.to_json(), "config": self.settings.to_json()}
        doc["rootfs"] = {"type": "layers", "diff_ids": list(self.diff_ids)}
        doc["history"] = [one.to_json() for one in self.history]
        doc.update({name: text for name, text in (("created", self.created), ("author", self.author)) if text})
        return orjson.dumps(doc, option=orjson.OPT_SORT_KEYS)


def parse_config(raw: bytes) -> ImageConfig:
    """Read an image configuration.  Raises Malformed, Invalid."""
    doc = parse_document(raw, "image configuration")
    rootfs = _object(doc, "rootfs")
    diff_ids = _strings(rootfs, "diff_ids")
    if rootfs.get("type", "layers") != "layers" or len(diff_ids) > MAX_LAYERS:
        raise Invalid(message="image configuration: rootfs must be a list of layers")
    return ImageConfig(
        platform=Platform(_string(doc, "os") or "linux", _string(doc, "architecture"), _string(doc, "variant")),
        settings=Settings.from_json(_object(doc, "config")),
        diff_ids=tuple(check_digest(one) for one in diff_ids),
        history=tuple(_history(one) for one in _list(doc, "history")),
        created=_string(doc, "created"),
        author=_string(doc, "author"),
    )


def check_settings(settings: Settings) -> None:
    """Refuse what no runtime should be asked to do.  Raises Invalid."""
    for text in (*settings.env, *settings.entrypoint, *settings.cmd, settings.workdir):
        if "\0" in text:
            raise Invalid(message="image configuration: a text holds a NUL byte")
    if any("=" not in entry or entry.startswith("=") for entry in settings.env):
        raise Invalid(message="image configuration: Env entries must be NAME=value")
    if any(_PORT.fullmatch(port) is None for port in settings.ports):
        raise Invalid(message="image configuration: ExposedPorts must be like 80/tcp")
    _check_paths(settings)
    _check_user(settings.user)


def _check_paths(settings: Settings) -> None:
    workdir = posixpath.normpath("/" + settings.workdir.lstrip("/"))  # normpath keeps two leading slashes
    if workdir == "/proc" or workdir.startswith("/proc/"):  # /proc/self/fd/N led to the host (CVE-2024-21626)
        raise Invalid(message=f"image configuration: WorkingDir may not be {settings.workdir}")
    for path in settings.volumes:
        clean = posixpath.normpath(path)
        if not path.startswith("/") or clean in ("/", "//") or ".." in path.split("/") or "\0" in path:
            raise Invalid(message=f"image configuration: {path[:100]!r} cannot be a volume")


def _check_user(user: str) -> None:
    if not user:
        return
    numbers = [int(part) for part in user.split(":") if re.fullmatch(r"-?\d+", part)]
    if _USER.fullmatch(user) is None or user != user.strip() or any(not 0 <= n < _ID_LIMIT for n in numbers):
        raise Invalid(message=f"image configuration: {user[:100]!r} cannot be a user")


def _string(doc: Mapping[str, Any], name: str) -> str:
    value = doc.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"invalid image configuration: {name} must be a text")
    return value


def _list(doc: Mapping[str, Any], name: str) -> list[Any]:
    value = doc.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"invalid image configuration: {name} must be a list")
    if len(value) > MAX_ITEMS:
        raise Invalid(message=f"image configuration: {name} has more than {MAX_ITEMS} entries")
    return value


def _object(doc: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = doc.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"invalid image configuration: {name} must be an object")
    if len(value) > MAX_ITEMS:
        raise Invalid(message=f"image configuration: {name} has more than {MAX_ITEMS} entries")
    return value


def _strings(doc: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = _list(doc, name)
    if not all(isinstance(one, str) for one in values):
        raise Malformed(f"invalid image configuration: {name} must be a list of texts")
    return tuple(values)


def _command(doc: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of words; a lone text is one word, as Docker reads it."""
    return (doc[name],) if isinstance(doc.get(name), str) else _strings(doc, name)


def _names(doc: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(sorted(_object(doc, name)))


def _labels(doc: Mapping[str, Any]) -> dict[str, str]:
    found = _object(doc, "Labels")
    if not all(isinstance(value, str) for value in found.values()):
        raise Malformed("invalid image configuration: Labels must be texts")
    return found


_TIMES = {
    "interval_ns": "Interval",
    "timeout_ns": "Timeout",
    "start_period_ns": "StartPeriod",
    "start_interval_ns": "StartInterval",
    "retries": "Retries",
}


def _healthcheck(doc: Mapping[str, Any]) -> Healthcheck | None:
    found = _object(doc, "Healthcheck")
    if not found:
        return None
    numbers = {name: found.get(json) or 0 for name, json in _TIMES.items()}
    if not all(isinstance(one, int) and 0 <= one < 1 << 63 for one in numbers.values()):
        raise Malformed("invalid image configuration: Healthcheck times must be whole numbers")
    return Healthcheck(_strings(found, "Test"), **numbers)


def _healthcheck_json(check: Healthcheck) -> dict[str, Any]:
    doc: dict[str, Any] = {"Test": list(check.test)}
    return doc | {json: value for name, json in _TIMES.items() if (value := getattr(check, name))}


def _history(doc: Any) -> History:
    if not isinstance(doc, dict):
        raise Malformed("invalid image configuration: history must be a list of objects")
    return History(
        _string(doc, "created"), _string(doc, "created_by"), _string(doc, "comment"), bool(doc.get("empty_layer"))
    )
