"""A Signer for tests: quick, and its secret is no secret."""

from __future__ import annotations

import hmac
from collections.abc import Mapping


class PlainSigner:
    algorithm = "HS256"

    def sign(self, data: bytes) -> bytes:
        return hmac.digest(b"no secret", data, "sha256")

    def verifies(self, data: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(self.sign(data), signature)

    def key(self) -> Mapping[str, str]:
        return {"kid": "plain", "kty": "oct"}
