"""What a registry asks for before it answers, and whom we tell what: pure.

    WWW-Authenticate: Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:x:pull"

Source: distribution "Token Authentication"; RFC 9110, section 11.6.1.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from coracle.core.errors import Forbidden, Invalid

_SCHEME = re.compile(r"\s*([A-Za-z]+)(?:\s+(.*))?", re.DOTALL)
_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """`scheme` lower case: bearer or basic; the rest "" where not said."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenge(header: str) -> Challenge:
    """Read WWW-Authenticate.  Raises Forbidden where it asks for what we cannot give."""
    found = _SCHEME.fullmatch(header[:8192])
    scheme = found[1].lower() if found else ""
    if found is None or scheme not in ("bearer", "basic"):
        raise Forbidden(f"registry asks for unsupported authentication {header[:100]!r}")
    words = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(found[2] or "")}
    return Challenge(scheme, words.get("realm", ""), words.get("service", ""), words.get("scope", ""))


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by name or number (names are not looked up)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str, *, plain: bool = False) -> str:
    """`url` if it may be asked: https, or http on this machine (`plain`: anywhere).  Raises Invalid."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise Invalid(message=f"invalid registry address {url[:200]!r}") from None
    may_be_plain = plain or is_loopback(host)
    if parts.username or not host or not (parts.scheme == "https" or (parts.scheme == "http" and may_be_plain)):
        raise Invalid(message=f"registry address {url[:200]!r} must be https, or http on this machine, without a user")
    return url


def check_redirect(origin: str, target: str) -> str:
    """`target` if `origin` may send us there: not from the outside to this machine.  Raises Invalid."""
    if _is_server(target) and is_same_server(origin, target) and not urlsplit(target).username:
        return target
    check_url(target)
    if is_loopback(_host(target)) and not is_loopback(_host(origin)):
        raise Invalid(message=f"registry {_host(origin)} leads to {target[:200]}")
    return target


def is_same_server(one: str, other: str) -> bool:
    """Whether two addresses are one scheme, host and port: what a token for one may be sent to."""
    return _server(urlsplit(one)) == _server(urlsplit(other))


def may_know_password(registry: str, realm: str) -> bool:
    """Whether `realm` may be told the password for `registry`: the same host, or one of the same domain."""
    asked, asking = _host(registry), _host(realm)
    if asked == asking:
        return is_same_server(registry, realm) or urlsplit(realm).scheme == "https"
    if urlsplit(realm).scheme != "https" or any(part.isdigit() for part in (asked + asking).split(".")):
        return False
    return asked.split(".")[-2:] == asking.split(".")[-2:] and asked.count(".") >= 1


def _is_server(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:
        return False


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _server(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
