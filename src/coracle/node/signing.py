"""The key that signs ServiceAccounts' tokens: ECDSA on P-256, made at the first `up` and kept beside the certificates.

`cryptography` is imported when the first token is made.

Source: RFC 7518 section 3.4 (ES256).
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from coracle.node.files import write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_HALF_BYTES = 32


class KeySigner:
    """The `kube.kinds.tokens.Signer` of this cloud; `path` is its private key's, made where there is none."""

    algorithm = "ES256"

    def __init__(self, path: Path) -> None:
        self._path = path

    def sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        r, s = utils.decode_dss_signature(self._private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(_HALF_BYTES, "big") + s.to_bytes(_HALF_BYTES, "big")

    def verifies(self, data: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        if len(signature) != 2 * _HALF_BYTES:
            return False
        r, s = (int.from_bytes(half, "big") for half in (signature[:_HALF_BYTES], signature[_HALF_BYTES:]))
        try:
            encoded = utils.encode_dss_signature(r, s)
            self._private.public_key().verify(encoded, data, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def key(self) -> Mapping[str, str]:
        return self._public

    @functools.cached_property
    def _public(self) -> dict[str, str]:
        from cryptography.hazmat.primitives import serialization

        public = self._private.public_key()
        numbers = public.public_numbers()
        info = serialization.PublicFormat.SubjectPublicKeyInfo
        der = public.public_bytes(serialization.Encoding.DER, info)
        return {
            "use": "sig",
            "kty": "EC",
            "kid": _pack(hashlib.sha256(der).digest()),
            "crv": "P-256",
            "alg": self.algorithm,
            "x": _pack(numbers.x.to_bytes(_HALF_BYTES, "big")),
            "y": _pack(numbers.y.to_bytes(_HALF_BYTES, "big")),
        }

    @functools.cached_property
    def _private(self) -> EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            kept = serialization.load_pem_private_key(self._path.read_bytes(), None)
        except FileNotFoundError:
            kept = ec.generate_private_key(ec.SECP256R1())
            plain = serialization.NoEncryption()
            pem = kept.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
            write_whole(self._path, pem)
        assert isinstance(kept, ec.EllipticCurvePrivateKey)  # noqa: S101 - we made it
        return kept


def _pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
