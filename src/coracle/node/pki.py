"""The cloud's own certificate authority, the API's certificate, and the administrator's.

Made at the first `up`, renewed when less than thirty days are left; `cryptography` is imported only then.

Source: Kubernetes documentation, "PKI certificates and requirements".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from coracle.node.files import write_whole

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_AUTHORITY_DAYS, _LEAF_DAYS, _RENEW_DAYS = 3650, 365, 30


@dataclass(frozen=True, slots=True)
class Pki:
    """Paths of PEM files, keys readable by root only."""

    directory: Path

    @property
    def authority(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def server(self) -> tuple[Path, Path]:
        return self.directory / "apiserver.crt", self.directory / "apiserver.key"

    @property
    def admin(self) -> tuple[Path, Path]:
        return self.directory / "admin.crt", self.directory / "admin.key"


def ensure_pki(directory: Path, names: Sequence[str], addresses: Sequence[IPv4Address], now_s: float) -> Pki:
    """The certificates in `directory`, made or renewed where needed; the server's is good for names and addresses."""
    pki = Pki(directory)
    wanted = sorted([*names, *map(str, addresses)])
    facts_path = directory / "facts.json"
    try:
        facts = json.loads(facts_path.read_text())
        if facts["names"] == wanted and facts["until_s"] > now_s + _RENEW_DAYS * 86400:
            return pki
        facts_path.unlink()  # from here on keys and certificates may not fit each other
    except (FileNotFoundError, ValueError):
        directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    _make(pki, names, addresses, now_s)
    facts = {"names": wanted, "until_s": now_s + _LEAF_DAYS * 86400}
    write_whole(facts_path, json.dumps(facts).encode())
    return pki


def _make(pki: Pki, names: Sequence[str], addresses: Sequence[IPv4Address], now_s: float) -> None:
    from cryptography import x509

    authority, key = _authority(pki, now_s)
    shown: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    shown += [x509.IPAddress(ip_address(str(address))) for address in addresses]
    _leaf(pki.server, ("kube-apiserver", ""), shown, (authority, key), now_s)
    _leaf(pki.admin, ("coracle-admin", "system:masters"), [], (authority, key), now_s)


def _authority(pki: Pki, now_s: float) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key_path = pki.directory / "ca.key"
    if key_path.exists():
        kept = serialization.load_pem_private_key(key_path.read_bytes(), None)
        assert isinstance(kept, ec.EllipticCurvePrivateKey)  # noqa: S101 - we made it
        return x509.load_pem_x509_certificate(pki.authority.read_bytes()), kept
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("coracle-ca", "")
    builder = _builder(name, name, key, now_s, _AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    write_whole(pki.authority, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    write_whole(key_path, _pem(key))  # last: where it is, the certificate is
    return certificate, key


def _leaf(
    paths: tuple[Path, Path],
    subject: tuple[str, str],
    shown: Sequence[x509.GeneralName],
    by: tuple[x509.Certificate, EllipticCurvePrivateKey],
    now_s: float,
) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority, signer = by
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(*subject), authority.subject, key, now_s, _LEAF_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if shown else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(identifier, critical=False)
    if shown:
        builder = builder.add_extension(x509.SubjectAlternativeName(shown), critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    write_whole(paths[1], _pem(key))
    write_whole(paths[0], certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, now_s: float, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.fromtimestamp(now_s, UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    # an hour back: clocks of guests and hosts differ a little
    return builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=days))


def _name(common: str, organisation: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)] if organisation else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
