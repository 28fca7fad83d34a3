"""Device nodes in a container, and which it may use, in the words of config.json.  Pure.

Source: OCI Runtime Specification 1.0.2, config-linux.md, "Devices" and "Allowed Device list".
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import Any

from coracle.core.errors import Invalid, Problem
from coracle.core.errors import invalid as invalid_value
from coracle.runtime.api import Bundle, Device
from coracle.runtime.machine import Host

Json = dict[str, Any]

_RULE = re.compile(r"([abc]) (\d{1,6}|\*):(\d{1,7}|\*) ([rwm]{1,3})")
_ACCESS = re.compile(r"[rwm]{1,3}")


def problems_of(bundle: Bundle) -> list[Problem]:
    """What cannot be meant."""
    found: list[Problem] = []
    for number, device in enumerate(bundle.devices):
        found += _problems(f"devices[{number}]", device)
    for number, rule in enumerate(bundle.device_rules):
        if not _RULE.fullmatch(rule):
            found.append(invalid_value(f"device_rules[{number}]", rule, "is not like 'c 10:200 rwm'"))
    return found


def nodes(bundle: Bundle, host: Host) -> list[Json]:
    """The nodes to make.  Raises Invalid (there is no such device)."""
    return [_device(device, host) for device in _all(bundle, host)]


def rules(bundle: Bundle, host: Host) -> list[Json]:
    """Nothing but what is named; the runtime itself adds null, zero, full, random, urandom, tty and the terminals."""
    if bundle.privileged:
        return [{"allow": True, "access": "rwm"}]
    allowed: list[Json] = [{"allow": False, "access": "rwm"}]
    for device in _all(bundle, host):
        node = host.node(device.source)
        numbers = {"type": node.kind, "major": node.major, "minor": node.minor}
        allowed.append({"allow": True, "access": device.access, **numbers})
    return [*allowed, *(_rule(rule) for rule in bundle.device_rules)]


def _rule(rule: str) -> Json:
    found = _RULE.fullmatch(rule)
    if found is None:
        raise Invalid(message=f"invalid device cgroup rule {rule[:60]!r}")
    numbers = {name: int(text) for name, text in (("major", found[2]), ("minor", found[3])) if text != "*"}
    return {"allow": True, "type": found[1], **numbers, "access": found[4]}


def _all(bundle: Bundle, host: Host) -> list[Device]:
    asked = [one for device in bundle.devices for one in _within(device, host)]
    if not bundle.privileged:
        return asked
    paths = {device.path for device in asked}
    return [*asked, *(Device(path=path, source=path) for path in sorted(host.devices) if path not in paths)]


def _within(device: Device, host: Host) -> list[Device]:
    """The device; of a directory, all that are below."""
    if device.source in host.devices:
        return [device]
    top = device.source.rstrip("/") + "/"
    below = [path for path in sorted(host.devices) if path.startswith(top)]
    if not below:
        host.node(device.source)
    return [replace(device, path=posixpath.join(device.path, path.removeprefix(top)), source=path) for path in below]


def _device(device: Device, host: Host) -> Json:
    node = host.node(device.source)
    return {
        "path": device.path, "type": node.kind, "major": node.major, "minor": node.minor, "fileMode": node.mode,
        "uid": node.uid, "gid": node.gid,
    }  # fmt: skip


def _problems(field: str, device: Device) -> list[Problem]:
    if not device.path.startswith("/") or ".." in device.path.split("/") or "\0" in device.path:
        return [invalid_value(f"{field}.path", device.path, "must be an absolute path without '..'")]
    if not _ACCESS.fullmatch(device.access):
        return [invalid_value(f"{field}.access", device.access, "must be made of r, w and m")]
    return []
