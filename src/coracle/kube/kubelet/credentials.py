"""Who a pod is to the registries that its images come from: its imagePullSecrets.

    kubernetes.io/dockerconfigjson   {"auths": {"registry.lan:5000": {"username", "password", "auth"}}}
    kubernetes.io/dockercfg          {"registry.lan:5000": {...}}

A key is a host, with a port and a path if need be; `*` stands for what is between two dots of the host.  Every login
whose key fits is tried, those of longer keys first.

Source: Kubernetes documentation, "Images", "Pull an Image from a Private Registry"; its credentialprovider/keyring.go.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from coracle.core.kind import Reader
from coracle.core.object import Key, Object
from coracle.image.references import DEFAULT_REGISTRY, Reference
from coracle.image.terms import Login
from coracle.kube.kinds import secret as secrets

_SECRET = secrets.KIND.type
_HUB = "index.docker.io"  # how Docker's own registry is called where one logs in


def pull_secrets(pod: Object, reader: Reader) -> tuple[list[Object], list[str]]:
    """The Secrets that the pod names for pulls, and the names of those that are not there."""
    found, missing = [], []
    for named in pod.spec.get("imagePullSecrets") or ():
        entry = reader.find(_SECRET, Key(pod.meta.namespace, named.get("name") or ""))
        if entry is None:
            missing.append(str(named.get("name") or ""))
        else:
            found.append(entry.object())
    return found, missing


def logins(found: Iterable[Object], image: Reference) -> tuple[Login, ...]:
    """What to say to the registry of `image`, in the order in which to try it; () where nothing fits."""
    pairs = [pair for secret in found for pair in _entries(secret)]
    fitting = sorted((key for key, _ in pairs if fits(key, image)), reverse=True)
    return tuple(dict.fromkeys(login for key in dict.fromkeys(fitting) for other, login in pairs if other == key))


def fits(key: str, image: Reference) -> bool:
    """Whether a login under `key` is for the registry, or the part of it, that has the image."""
    host, _, path = _place(key).partition("/")
    if host == _HUB:
        host = DEFAULT_REGISTRY
    name, _, port = host.partition(":")
    theirs, _, their_port = image.registry.partition(":")
    parts, their_parts = name.split("."), theirs.split(".")
    same = len(parts) == len(their_parts) and all(map(fnmatch.fnmatchcase, their_parts, parts))
    return same and port == their_port and image.repository.startswith(path)


def _place(key: str) -> str:
    """`https://index.docker.io/v1/` is index.docker.io."""
    host, _, path = key.partition("://")[2 if "://" in key else 0].partition("/")
    for version in ("v1", "v2"):
        if path == version or path.startswith(f"{version}/"):
            path = path[len(version) + 1 :]
    return f"{host}/{path}".rstrip("/")


def _entries(secret: Object) -> Iterator[tuple[str, Login]]:
    """(key, login) of each registry; nothing where the Secret is of another type, or cannot be read."""
    for name in (".dockerconfigjson", ".dockercfg"):
        try:
            doc = orjson.loads(base64.b64decode((secret.body.get("data") or {}).get(name) or ""))
        except (binascii.Error, ValueError):
            continue
        known = doc.get("auths") if isinstance(doc, dict) and name == ".dockerconfigjson" else doc
        for key, auth in (known or {}).items() if isinstance(known, dict) else ():
            if isinstance(auth, dict):
                yield str(key), _login(auth)


def _login(auth: Mapping[str, Any]) -> Login:
    name, password = str(auth.get("username") or ""), str(auth.get("password") or "")
    if auth.get("auth"):
        try:
            name, _, password = base64.b64decode(str(auth["auth"])).decode().strip("\0").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return Login(name, password)
    return Login(name, password)
