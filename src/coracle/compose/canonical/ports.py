"""Published ports: `8080:80`, `127.0.0.1:5000-5010:5000-5010/udp`, `80`, and the long form."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from coracle.compose.canonical.shapes import Setting, as_text, integer
from coracle.compose.places import Path

_PROTOCOLS = ("tcp", "udp", "sctp")


def ports(value: Any, path: Path, setting: Setting) -> list[dict[str, Any]]:
    """A list in which every entry is one port of the container."""
    found: list[dict[str, Any]] = []
    for at, entry in enumerate(value or ()):
        here = (*path, at)
        if isinstance(entry, dict):
            found.append(_long(entry, here, setting))
        elif setting.raw and isinstance(entry, str) and "$" in entry:
            found.append(entry)  # type: ignore[arg-type]  # cannot be read before interpolation
        else:
            try:
                found += parse(as_text(entry))
            except ValueError as error:
                raise setting.places.fault(here, str(error)) from error
    return found


def _long(entry: dict[str, Any], path: Path, setting: Setting) -> dict[str, Any]:
    long = {"mode": "ingress", "protocol": "tcp", **entry}
    if "target" not in long:
        raise setting.places.fault(path, "services ports: missing target port")
    long["target"] = integer(long["target"], (*path, "target"), setting)
    if long.get("published") is not None:
        long["published"] = as_text(long["published"])
    return long


def parse(text: str) -> list[dict[str, Any]]:
    """The ports that a short form means.  Raises ValueError in Compose's words."""
    rest, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in _PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    host_ip, published, target = _split(rest)
    if not target:
        raise ValueError(f"no port specified: {text}<empty>")
    first, last = _range(target, "containerPort")
    common: dict[str, Any] = {"mode": "ingress", **({"host_ip": _address(host_ip)} if host_ip else {})}
    if not published:
        return [{**common, "target": port, "protocol": protocol} for port in range(first, last + 1)]
    low, high = _range(published, "hostPort")
    if high - low == last - first:
        return [
            {**common, "target": first + step, "published": str(low + step), "protocol": protocol}
            for step in range(high - low + 1)
        ]
    if first != last:
        raise ValueError(f"invalid ranges specified for container and host Ports: {target} and {published}")
    return [{**common, "target": first, "published": f"{low}-{high}", "protocol": protocol}]


def _split(text: str) -> tuple[str, str, str]:
    """(address, host port, container port) of `[[address:]host:]container`."""
    before, colon, target = text.rpartition(":")
    if not colon:
        return "", "", text
    host_ip, colon, published = before.rpartition(":")
    return host_ip, published, target


def _range(text: str, what: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    low = int(found[1]) if found else -1
    high = int(found[2] or low) if found else -1
    if not 0 <= low <= high <= 65535:
        raise ValueError(f"invalid {what}: {text}")
    return low, high


def _address(text: str) -> str:
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(inner)
    except ValueError:
        raise ValueError(f"invalid ip address: {text}") from None
    return inner
