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
_SYSTEM = re.compile(
    "aix|android|darwin|dragonfly|freebsd|hurd|illumos|ios|js|linux|nacl|netbsd|openbsd|plan9|solaris|wasip1|windows|zos"
)
_ARCHITECTURE = re.compile(
    "386|amd64(p32)?|arm(64)?(be)?|loong64|mips(64)?(p32)?(le)?|ppc(64(le)?)?|riscv(64)?|s390x?|sparc(64)?|wasm"
)


def asked_platform(request: Request) -> Platform | None:
    """None where the request leaves it open.  Raises Malformed."""
    text = request.query.get("platform")
    if not text:
        return None
    return _from_json(text) if text.startswith("{") else parse(text)


def parse(text: str) -> Platform:
    """`linux/arm64/v8`, `arm64`, `linux`.  Raises Malformed."""
    parts = text.lower().split("/")
    for part in parts:
        if not _PART.fullmatch(part):
            must = f'platform specifier component must match "^{_PART.pattern}$"'
            raise Malformed(f'"{part[:100]}" is an invalid component of "{text[:100]}": {must}: invalid argument')
    if len(parts) > 3:
        raise Malformed(f'"{text[:100]}": cannot parse platform specifier: invalid argument')
    if len(parts) == 1:
        parts = _whole(parts[0])
    architecture, variant = _ALIASES.get(parts[1], (parts[1], ""))
    variant = parts[2] if len(parts) > 2 else variant
    return Platform(parts[0], architecture, "" if (architecture, variant) == ("arm64", "v8") else variant)


def _whole(part: str) -> list[str]:
    """A system alone, or an architecture alone.  Raises Malformed: a word alone must be known as one of them."""
    if _SYSTEM.fullmatch(part):
        return [part, Platform().architecture]
    if _ARCHITECTURE.fullmatch(part) or part in _ALIASES:
        return ["linux", part]
    raise Malformed(f'"{part[:100]}": unknown operating system or architecture: invalid argument')


def _from_json(text: str) -> Platform:
    try:
        fields = Fields(orjson.loads(text), "platform")
    except orjson.JSONDecodeError as error:
        raise Malformed(f"invalid platform: {error}") from None
    os, architecture = fields.text("os"), fields.text("architecture")
    if not os or not architecture:
        raise Malformed("invalid platform: both OS and Architecture must be provided")
    return parse("/".join(part for part in (os, architecture, fields.text("variant")) if part))
