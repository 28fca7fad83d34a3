"""The platform that a request asks for: as text, or as the JSON that newer clients send.

    platform=linux/arm64/v8        platform={"os":"linux","architecture":"arm64","variant":"v8"}

Source: Docker Engine API 1.32 (text), 1.48 and 1.49 (JSON); containerd platforms.Parse (`arm64` alone, aliases).
"""

from __future__ import annotations

import re

import orjson

from coracle.core.errors import Malformed
from coracle.docker.bodies import Fields
from coracle.image.manifest import Platform
from coracle.web.messages import Request

_PART = re.compile(r"[A-Za-z0-9_.-]+")
_ALIASES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
}
_SYSTEMS = ("linux", "windows", "darwin", "freebsd")


def asked_platform(request: Request) -> Platform | None:
    """None where the request leaves it open.  Raises Malformed."""
    text = request.query.get("platform")
    if not text:
        return None
    return _from_json(text) if text.startswith("{") else parse(text)


def parse(text: str) -> Platform:
    """`linux/arm64/v8`, `arm64`, `linux`.  Raises Malformed."""
    parts = text.lower().split("/")
    if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
        raise Malformed(f'"{text[:100]}" is an invalid component: platform specifier component must be of letters')
    if len(parts) == 1:
        parts = [parts[0], Platform().architecture] if parts[0] in _SYSTEMS else ["linux", parts[0]]
    architecture, variant = _ALIASES.get(parts[1], (parts[1], ""))
    variant = parts[2] if len(parts) > 2 else variant
    return Platform(parts[0], architecture, "" if (architecture, variant) == ("arm64", "v8") else variant)


def _from_json(text: str) -> Platform:
    try:
        fields = Fields(orjson.loads(text), "platform")
    except orjson.JSONDecodeError as error:
        raise Malformed(f"invalid platform: {error}") from None
    os, architecture = fields.text("os"), fields.text("architecture")
    if not os or not architecture:
        raise Malformed("invalid platform: both OS and Architecture must be provided")
    return parse("/".join(part for part in (os, architecture, fields.text("variant")) if part))
