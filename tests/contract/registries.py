"""Debian's docker-registry, as many as a test wants: plain or with TLS and passwords; loopback only."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import socket
import subprocess
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from suites.ports import free_port

USER, PASSWORD = "me", "secret"
_HTPASSWD = "me:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"  # bcrypt of "secret"


@contextlib.contextmanager
def running_registry(root, *, guarded=False):
    """The address of a registry; guarded: it speaks TLS, signed by `root`/ca.crt, and wants a password."""
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(root / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "log": {"level": "error"},
    }
    if guarded:
        write_certificates(root)
        (root / "htpasswd").write_text(_HTPASSWD)
        config["http"]["tls"] = {"certificate": str(root / "server.crt"), "key": str(root / "server.key")}
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(root / "htpasswd")}}
    (root / "config.yml").write_text(json.dumps(config))
    with (root / "log").open("wb") as log:
        server = subprocess.Popen(["docker-registry", "serve", str(root / "config.yml")], stdout=log, stderr=log)
    try:
        _wait(port)
        yield f"127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def _wait(port):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("docker-registry does not answer")


def write_certificates(root):
    """ca.crt, and server.crt with server.key that it signed for 127.0.0.1."""
    authority, authority_key = _certificate("test authority", None)
    server, server_key = _certificate("127.0.0.1", (authority, authority_key))
    (root / "ca.crt").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (root / "server.crt").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    (root / "server.key").write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def _certificate(name, signer):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer, signing_key = (signer[0].subject, signer[1]) if signer else (subject, key)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
    )
    if signer:
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signing_key, hashes.SHA256()), key
