"""Who a client says it is to a registry: X-Registry-Auth.

    base64url of {"username", "password", "auth", "serveraddress", "identitytoken", "registrytoken"}

Source: Docker Engine API 1.50, "Authentication"; moby api/types/registry.AuthConfig.
"""

from __future__ import annotations

import base64
import binascii

import orjson

from coracle.core.errors import CloudError
from coracle.docker.bodies import Fields
from coracle.image.terms import NOBODY, Login
from coracle.web.messages import Request

HEADER = "x-registry-auth"


def header_login(request: Request) -> Login:
    """Nobody where the header is missing; or cannot be read, as dockerd has it."""
    return decode_login(request.headers.get(HEADER, ""))


def decode_login(text: str) -> Login:
    if not text:
        return NOBODY
    try:
        raw = base64.b64decode(text.translate(_STANDARD) + "=" * (-len(text) % 4))
        return login_of(Fields(orjson.loads(raw)))
    except (binascii.Error, ValueError, CloudError):
        return NOBODY


_STANDARD = str.maketrans("-_", "+/")


def login_of(fields: Fields) -> Login:
    """An AuthConfig.  `auth` is base64 of `user:password`.  Raises Malformed."""
    username, password = fields.text("username"), fields.text("password")
    if not username and fields.text("auth"):
        try:
            both = base64.b64decode(fields.text("auth")).decode()
        except (binascii.Error, UnicodeDecodeError):
            both = ""
        username, _, password = both.partition(":")
    return Login(username, password, fields.text("identitytoken"), fields.text("registrytoken"))
