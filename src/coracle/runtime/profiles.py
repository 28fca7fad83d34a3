"""Seccomp profiles of users', in the OCI runtime's words or in Docker's, made into what the runtime is told.

Docker's have more: rules that hold only with some capabilities, on some architectures, from some kernel on
(`includes`, `excludes`), and architectures as a table (`archMap`).  What is left after asking for one container is an
OCI profile.  Everything is checked: the runtimes of Debian 12 do not say which of a thousand lines they dislike.

Pure.  Source: Docker documentation, "Seccomp security profiles for Docker"; OCI Runtime Specification, "Seccomp".
"""

from __future__ import annotations

import platform
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from coracle.core.errors import Invalid

_ACTIONS = frozenset(
    f"SCMP_ACT_{name}"
    for name in ("KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG", "NOTIFY")
)
_OPERATORS = frozenset(f"SCMP_CMP_{name}" for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))
_CALL = re.compile(r"[a-z_][a-z0-9_]{0,63}")
_ARCHITECTURE = re.compile(r"SCMP_ARCH_[A-Z0-9_]{1,20}")
_MOST_RULES = 10_000
# uname's machine -> (libseccomp's name, Go's)
_ARCHITECTURES = {"x86_64": ("SCMP_ARCH_X86_64", "amd64"), "aarch64": ("SCMP_ARCH_AARCH64", "arm64")}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a profile is to hold: `machine` as uname says, `kernel` (major, minor)."""

    machine: str
    kernel: tuple[int, int]

    @property
    def architecture(self) -> tuple[str, str]:
        return _ARCHITECTURES.get(self.machine, ("", self.machine))


def this_place() -> Place:
    """The machine that this runs on."""
    return Place(platform.machine(), _kernel(platform.release()) or (0, 0))


def check(text: str) -> None:
    """Whether a profile can be read at all.  Raises Invalid."""
    read(text, frozenset(), Place("x86_64", (6, 0)))


def read(text: str | bytes, capabilities: Collection[str], place: Place) -> dict[str, Any]:
    """`linux.seccomp` of config.json, for a container with these capabilities.  Raises Invalid."""
    try:
        profile = orjson.loads(text)
    except ValueError as error:
        raise _refused(str(error)) from error
    if not isinstance(profile, dict):
        raise _refused("it is not an object")
    found: dict[str, Any] = {"defaultAction": _action(profile.get("defaultAction"), "defaultAction")}
    found |= _errno(profile, "defaultErrnoRet")
    architectures = _architectures(profile, place)
    if architectures:
        found["architectures"] = architectures
    if profile.get("flags"):
        found["flags"] = _texts(profile["flags"], "flags")
    rules = _objects(profile.get("syscalls"), "syscalls")
    holding = (rule for rule in enumerate(rules) if _holds(rule[1], f"syscalls[{rule[0]}]", capabilities, place))
    found["syscalls"] = [_rule(rule, f"syscalls[{number}]") for number, rule in holding]
    return found


def _architectures(profile: Mapping[str, Any], place: Place) -> list[str]:
    plain, table = profile.get("architectures"), profile.get("archMap")
    if plain and table:
        raise _refused("both 'architectures' and 'archMap' are given: use one of them")
    if plain:
        return [_architecture(name) for name in _texts(plain, "architectures")]
    for entry in _objects(table, "archMap"):
        if entry.get("architecture") == place.architecture[0]:
            below = _texts(entry.get("subArchitectures") or [], "archMap.subArchitectures")
            return [_architecture(name) for name in (place.architecture[0], *below)]
    return []


def _architecture(name: str) -> str:
    if not _ARCHITECTURE.fullmatch(name):
        raise _refused(f"no such architecture: {name[:40]!r}")
    return name


def _holds(rule: Mapping[str, Any], field: str, capabilities: Collection[str], place: Place) -> bool:
    """Docker's `includes` and `excludes`: all of the former, none of the latter."""
    wanted, unwanted = (_conditions(rule.get(name), f"{field}.{name}") for name in ("includes", "excludes"))
    architecture = place.architecture[1]
    if architecture in unwanted.architectures or set(unwanted.capabilities) & set(capabilities):
        return False
    if unwanted.kernel is not None and place.kernel >= unwanted.kernel:
        return False
    if wanted.architectures and architecture not in wanted.architectures:
        return False
    if wanted.kernel is not None and place.kernel < wanted.kernel:
        return False
    return set(wanted.capabilities) <= set(capabilities)


@dataclass(frozen=True, slots=True)
class _Conditions:
    architectures: Sequence[str] = ()
    capabilities: Sequence[str] = ()
    kernel: tuple[int, int] | None = None


def _conditions(given: Any, field: str) -> _Conditions:
    if given is None:
        return _Conditions()
    if not isinstance(given, dict):
        raise _refused(f"{field} is not an object")
    kernel = None
    if given.get("minKernel"):
        kernel = _kernel(str(given["minKernel"]))
        if kernel is None:
            raise _refused(f"{field}.minKernel: {str(given['minKernel'])[:40]!r} is no kernel version")
    architectures, capabilities = (_texts(given.get(name) or [], f"{field}.{name}") for name in ("arches", "caps"))
    return _Conditions(architectures, capabilities, kernel)


def _kernel(text: str) -> tuple[int, int] | None:
    found = re.match(r"(\d{1,5})\.(\d{1,5})", text)
    return (int(found[1]), int(found[2])) if found else None


def _rule(rule: Mapping[str, Any], field: str) -> dict[str, Any]:
    names = _texts(rule.get("names") or [], f"{field}.names")
    if rule.get("name"):
        if names:
            raise _refused(f"{field}: both 'name' and 'names' are given: use one of them")
        names = _texts([rule["name"]], f"{field}.name")
    for name in names:
        if not _CALL.fullmatch(name):
            raise _refused(f"{field}: no such system call: {name[:40]!r}")
    found: dict[str, Any] = {"names": names, "action": _action(rule.get("action"), f"{field}.action")}
    found |= _errno(rule, "errnoRet")
    arguments = [_argument(one, f"{field}.args[{n}]") for n, one in enumerate(_objects(rule.get("args"), field))]
    return {**found, "args": arguments} if arguments else found


def _argument(given: Mapping[str, Any], field: str) -> dict[str, Any]:
    operator = given.get("op")
    if operator not in _OPERATORS:
        raise _refused(f"{field}.op: no such comparison: {str(operator)[:40]!r}")
    numbers = {name: _number(given.get(name, 0), f"{field}.{name}") for name in ("index", "value", "valueTwo")}
    if numbers["index"] > 5:
        raise _refused(f"{field}.index: a system call has six arguments")
    return {**numbers, "op": operator}


def _action(given: Any, field: str) -> str:
    if given not in _ACTIONS:
        raise _refused(f"{field}: no such action: {str(given)[:40]!r}")
    return str(given)


def _errno(given: Mapping[str, Any], name: str) -> dict[str, int]:
    return {name: _number(given[name], name)} if given.get(name) is not None else {}


def _number(given: Any, field: str) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given < 1 << 64:
        raise _refused(f"{field}: {str(given)[:40]!r} is no number")
    return given


def _texts(given: Any, field: str) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise _refused(f"{field} is not a list of texts")
    return given


def _objects(given: Any, field: str) -> Sequence[Mapping[str, Any]]:
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > _MOST_RULES or not all(isinstance(one, dict) for one in given):
        raise _refused(f"{field} is not a list of objects")
    return given


def _refused(why: str) -> Invalid:
    return Invalid(message=f"decoding seccomp profile failed: {why}")
