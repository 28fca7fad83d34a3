"""Which registries are asked for images: `registries.toml` in the cloud's root, else in /etc/coracle.

[[registry]]
name = "docker.io"                        # as it stands in references; docker.io is meant where none stands there
endpoints = ["https://mirror.example.com"]  # asked in this order; http only on this machine
username = "me"                           # where it wants to know; the file is then for root only
password = "secret"
insecure = true                           # http may be right elsewhere too, and any certificate

Certificates are in `certs.d/<host:port>/` of the same directories, or Docker's own (see image.trust).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from coracle.core.errors import Malformed
from coracle.image.doors import Endpoint
from coracle.image.registry import Mirrors
from coracle.image.trust import Trust

FILE, CERTIFICATES = "registries.toml", "certs.d"
MACHINE_WIDE, DOCKERS = Path("/etc/coracle"), Path("/etc/docker")


def read_mirrors(root: Path) -> Mirrors:
    """The configured registries; none where there is no file.  Raises Malformed (with the path), Invalid (a URL)."""
    trust = Trust(tuple(place / CERTIFICATES for place in (root, MACHINE_WIDE, DOCKERS)))
    path = next((place / FILE for place in (root, MACHINE_WIDE) if (place / FILE).exists()), None)
    if path is None:
        return Mirrors(trust=trust)
    try:
        listed = tomllib.loads(path.read_text()).get("registry", [])
        return Mirrors({entry["name"]: _endpoints(entry) for entry in listed}, trust)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"{path}: {error}") from error


def _endpoints(entry: dict[str, Any]) -> tuple[Endpoint, ...]:
    """Of a registry that is only said to be insecure, its own address by https and http."""
    username, password = entry.get("username", ""), entry.get("password", "")
    insecure, name = entry.get("insecure", False), entry["name"]
    if not isinstance(insecure, bool):
        raise TypeError("insecure must be true or false")
    urls = entry.get("endpoints") or ([f"https://{name}", f"http://{name}"] if insecure else entry["endpoints"])
    return tuple(Endpoint(url, username, password, plain=insecure, verified=not insecure) for url in urls)
