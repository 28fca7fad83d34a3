"""Which certificates a registry is believed by, and which we show it: `certs.d` directories, as Docker has them.

    certs.d/registry.example.com:5000/ca.crt        who may have signed the registry's certificate (any *.crt)
    certs.d/registry.example.com:5000/client.cert   ours, with client.key beside it (any *.cert with its *.key)

Blocks (reads files): call from a thread.
Source: Docker documentation, "Verify repository client with certificates".
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coracle.core.errors import Invalid


@dataclass(frozen=True, slots=True)
class Trust:
    """`folders` are certs.d directories; the first that has something for a host is asked."""

    folders: tuple[Path, ...] = ()

    def of(self, host: str) -> Path | None:
        """The directory for `host` ("registry.example.com:5000")."""
        found = (folder / host for folder in self.folders if "/" not in host and host not in ("", ".", ".."))
        return next((place for place in found if place.is_dir()), None)

    def context(self, host: str, *, verified: bool = True) -> ssl.SSLContext:
        """How to speak TLS with `host`.  Raises Invalid: a file there is no certificate."""
        context = ssl.create_default_context()
        place = self.of(host)
        try:
            for file in _listed(place, "*.crt"):
                context.load_verify_locations(file)
            for file in _listed(place, "*.cert"):
                context.load_cert_chain(file, file.with_suffix(".key"))
        except (ssl.SSLError, OSError) as error:
            raise Invalid(message=f"certificates for {host} in {place} cannot be used: {error}") from None
        if not verified:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


def _listed(place: Path | None, pattern: str) -> Sequence[Path]:
    return sorted(place.glob(pattern)) if place is not None else ()
