"""`Config` of a create request: read, and merged with the image's.

Source: Docker Engine API 1.50, "ContainerConfig"; moby daemon/commit.go (merge), daemon/container.go (checks).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Malformed
from coracle.core.object import Object
from coracle.docker.bodies import Fields
from coracle.docker.portmaps import read_exposed
from coracle.engine import signals
from coracle.image.config import Healthcheck, Settings

_TEXTS = ("Hostname", "Domainname", "User", "Image", "WorkingDir", "MacAddress", "StopSignal")
_FLAGS = (
    "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "ArgsEscaped", "NetworkDisabled",
)  # fmt: skip
_LISTS, _WORDS = ("Env", "OnBuild"), ("Shell", "Cmd", "Entrypoint")
_TIMES = ("Interval", "Timeout", "StartPeriod", "StartInterval")

LEAST_NS = 1_000_000  # of a health check's times
MAX_HOSTNAME = 63


def read_config(body: Fields) -> dict[str, Any]:
    """The request's own settings under Docker's names; what is empty is left out.

    `Entrypoint` is None where the request has none, () where it takes the image's away (`--entrypoint ""`).
    Raises Malformed.
    """
    found: dict[str, Any] = {name: body.text(name) for name in _TEXTS}
    found |= {name: body.flag(name) for name in _FLAGS}
    found |= {name: list(body.texts(name)) for name in _LISTS}
    found |= {name: list(body.words(name)) for name in _WORDS}
    found["ExposedPorts"] = read_exposed(body.map("ExposedPorts"), "ExposedPorts")
    found["Volumes"] = {path: {} for path in body.map("Volumes")}
    found["Labels"] = body.text_map("Labels")
    found["Healthcheck"] = read_healthcheck(body.fields("Healthcheck"))
    found["StopTimeout"] = body.optional_number("StopTimeout")
    kept = {name: value for name, value in found.items() if value or (value == 0 and name == "StopTimeout")}
    kept = {name: value for name, value in kept.items() if value is not False}
    if "Entrypoint" in body:
        words = list(body.words("Entrypoint"))
        kept["Entrypoint"] = [] if words == [""] else words
    _check(kept)
    return kept


def read_healthcheck(fields: Fields) -> dict[str, Any]:
    """Raises Malformed."""
    test = list(fields.texts("Test"))
    if test and test[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise Malformed(f"Unknown healthcheck type {test[0][:40]!r} (expected 'CMD', 'CMD-SHELL' or 'NONE')")
    times = {name: fields.number(name) for name in _TIMES}
    for name, time_ns in times.items():
        if time_ns and time_ns < LEAST_NS:
            raise Malformed(f"{name} in Healthcheck cannot be less than 1ms")
    retries = fields.number("Retries")
    if retries < 0:
        raise Malformed("Retries in Healthcheck cannot be negative")
    return {name: value for name, value in {"Test": test, **times, "Retries": retries}.items() if value}


def merged(config: Mapping[str, Any], image: Settings) -> dict[str, Any]:
    """The request's settings over the image's.  Raises Malformed: nothing to run."""
    below = image.to_json()
    whole = dict(config)
    for name in ("User", "WorkingDir", "StopSignal", "Shell"):
        if name in below:
            whole.setdefault(name, below[name])
    for name in ("ExposedPorts", "Volumes", "Labels"):
        whole[name] = {**below.get(name, {}), **config.get(name, {})}
    whole["Env"] = _env(below.get("Env", []), config.get("Env", []))
    whole |= _command(config, below)
    check = _healthcheck(config.get("Healthcheck", {}), below.get("Healthcheck", {}))
    whole["Healthcheck"] = check
    return {name: value for name, value in whole.items() if value or name == "StopTimeout"}


def settings_of(image: Object) -> Settings:
    """How an image's record says that its containers run."""
    kept: dict[str, Any] = dict(image.spec["config"])
    kept = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    check: dict[str, Any] = dict(kept.pop("healthcheck", None) or {})
    if check:
        kept["healthcheck"] = Healthcheck(**{**check, "test": tuple(check["test"])})
    return Settings(**kept)


def argv(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What runs, from a merged configuration."""
    return (*config.get("Entrypoint", ()), *config.get("Cmd", ()))


def _command(config: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    entrypoint, cmd = config.get("Entrypoint"), config.get("Cmd", [])
    if not entrypoint:
        cmd = cmd or ([] if "Entrypoint" in config else below.get("Cmd", []))
        entrypoint = below.get("Entrypoint", []) if "Entrypoint" not in config else []
    if not entrypoint and not cmd:
        raise Malformed("no command specified")
    return {"Entrypoint": entrypoint, "Cmd": cmd}


def _env(below: list[str], above: list[str]) -> list[str]:
    """The request's own first; a name without a value takes the image's away, and is shown but not set."""
    values = {entry.partition("=")[0]: entry for entry in above}
    return [*values.values(), *(entry for entry in below if entry.partition("=")[0] not in values)]


def _healthcheck(own: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    return {**below, **own}


def _check(config: Mapping[str, Any]) -> None:
    for entry in config.get("Env", ()):
        if not entry.partition("=")[0] or "\0" in entry:
            raise Malformed(f"invalid environment variable: {entry[:100]}")
    for name in ("Cmd", "Entrypoint"):
        if any("\0" in word for word in config.get(name, ())):
            raise Malformed(f"invalid {name}: a word holds a NUL byte")
    for name in ("Hostname", "Domainname"):
        text = config.get(name, "")
        if len(text) > MAX_HOSTNAME or any(sign.isspace() or not sign.isprintable() for sign in text):
            said = f"{text[:100]!r} must be at most {MAX_HOSTNAME} bytes without spaces"
            raise Malformed(f"invalid {name.lower()}: {said}")
    if config.get("WorkingDir") and not config["WorkingDir"].startswith("/"):
        raise Malformed(
            f"the working directory '{config['WorkingDir'][:100]}' is invalid, it needs to be an absolute path"
        )
    if "StopSignal" in config:
        signals.to_number(config["StopSignal"])
