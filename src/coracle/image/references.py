"""Image names as people write them, and the full names they stand for.

    nginx                     docker.io/library/nginx:latest        familiar: nginx:latest
    docker/whalesay:1         docker.io/docker/whalesay:1
    localhost:5000/a/b        localhost:5000/a/b:latest
    nginx@sha256:0123...      docker.io/library/nginx@sha256:0123...

Source: distribution/reference, the grammar that Docker, containerd and Kubernetes share; messages as Docker words them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from coracle.core.errors import Malformed
from coracle.image.digests import check_digest

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
_OFFICIAL = "library/"
_NAME_BYTES = 255

_HOST_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[[a-fA-F0-9:]+\])(?::(?P<port>[0-9]{{1,5}}))?")
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PATH_PART}(?:/{_PATH_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A full name.  `tag` is "" only where a digest is given without one; `digest` is "" or `sha256:<hex>`."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """`docker.io/library/nginx`: without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar_name(self) -> str:
        """`nginx`: as short as Docker shows it."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        return self.repository.removeprefix(_OFFICIAL) if self.repository.count("/") == 1 else self.repository

    @property
    def familiar(self) -> str:
        """`nginx:latest`"""
        return self.familiar_name + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.name + self._suffix

    def with_tag(self, tag: str) -> Reference:
        """The same repository at another tag.  Raises Malformed."""
        return replace(self, tag=check_tag(tag), digest="")


def check_tag(tag: str) -> str:
    """`tag` if it is one.  Raises Malformed."""
    if _TAG.fullmatch(tag) is None:
        raise Malformed(f"invalid tag format: {tag[:140]!r}")
    return tag


def parse_reference(text: str) -> Reference:
    """The full name that `text` stands for; a name with neither tag nor digest means `latest`.

    Raises: Malformed.
    """
    if _IDENTIFIER.fullmatch(text):
        raise Malformed(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    rest, at, digest = text.partition("@")
    registry, path = _split_registry(rest)
    repository, colon, tag = path.partition(":")
    if not repository or (colon and not tag) or (at and not digest):
        raise _bad(text)
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = _OFFICIAL + repository
    if colon and _TAG.fullmatch(tag) is None:
        raise _bad(text)
    if not tag and not digest:
        tag = DEFAULT_TAG
    reference = Reference(registry, repository, tag, _digest(text, digest) if digest else "")
    _check(text, reference)
    return reference


def _split_registry(name: str) -> tuple[str, str]:
    """The first part is a registry if it could be a host name: has a dot, a port, capitals, or is localhost."""
    first, slash, rest = name.partition("/")
    looks_like_host = any(sign in first for sign in ".:") or first == "localhost" or first.lower() != first
    if not slash or not looks_like_host:
        return DEFAULT_REGISTRY, name
    return (DEFAULT_REGISTRY if first == "index.docker.io" else first), rest


def is_registry(text: str) -> bool:
    """Whether it is a host's name or address, with or without a port."""
    found = _REGISTRY.fullmatch(text)
    return found is not None and int(found["port"] or 0) <= 65535 and len(text) < _NAME_BYTES


def _check(text: str, reference: Reference) -> None:
    if not is_registry(reference.registry):
        raise _bad(text)
    if _REPOSITORY.fullmatch(reference.repository) is None:
        if _REPOSITORY.fullmatch(reference.repository.lower()):
            raise Malformed(f"invalid reference format: repository name ({reference.repository}) must be lowercase")
        raise _bad(text)
    if len(reference.name) > _NAME_BYTES:
        raise Malformed(f"invalid reference format: repository name must not be more than {_NAME_BYTES} characters")


def _digest(text: str, digest: str) -> str:
    try:
        return check_digest(digest)
    except Malformed:
        raise _bad(text) from None


def _bad(text: str) -> Malformed:
    return Malformed(f"invalid reference format: {text[:300]!r}")
