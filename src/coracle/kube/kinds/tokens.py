"""Signed statements of who somebody is: JSON Web Tokens, as Kubernetes writes them for ServiceAccounts.

Source: RFC 7515, RFC 7519; Kubernetes documentation, "Managing Service Accounts", "Schema for service account private
claims".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Protocol

import orjson

LONGEST_BYTES = 16 * 1024  # of a token that we look at
Claims = Mapping[str, Any]


class BadToken(Exception):
    """It is none of ours, or says nothing that we can use."""


class Signer(Protocol):
    """Holds the cloud's key for tokens.  `node` has it."""

    algorithm: str

    def sign(self, data: bytes) -> bytes: ...

    def verifies(self, data: bytes, signature: bytes) -> bool: ...

    def key(self) -> Mapping[str, str]:
        """The public half as a JSON Web Key (RFC 7517), with its `kid`."""
        ...


def encode(claims: Claims, signer: Signer) -> str:
    head = {"alg": signer.algorithm, "kid": signer.key()["kid"]}
    body = f"{_pack(orjson.dumps(head))}.{_pack(orjson.dumps(claims))}"
    return f"{body}.{_pack(signer.sign(body.encode()))}"


def decode(token: str, signer: Signer) -> Claims:
    """What a token says whose signature is ours; not whether it still holds.  Raises BadToken."""
    if len(token) > LONGEST_BYTES:
        raise BadToken("token is too long")
    body, _, signature = token.rpartition(".")
    try:
        head, claims = (orjson.loads(_unpack(part)) for part in body.split("."))
        proof = _unpack(signature)
    except (binascii.Error, ValueError) as error:
        raise BadToken("token is malformed") from error
    if not isinstance(head, dict) or not isinstance(claims, dict) or head.get("alg") != signer.algorithm:
        raise BadToken("token is malformed")
    if not signer.verifies(body.encode(), proof):
        raise BadToken("invalid signature")
    return claims


def _pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpack(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
