"""Configs and secrets: as ConfigMap and Secret, and mounted as single files.

A file that is mounted alone is not changed under a running container; the digest of all of them stands on the pods, so
that a change makes new pods, as it makes new containers in Compose.
"""

from __future__ import annotations

import base64
import hashlib
import posixpath
from typing import Any

from coracle.compose.kubernetes.fields import Fields, compact
from coracle.compose.kubernetes.setting import Setting
from coracle.compose.kubernetes.volumes import Volumes
from coracle.core.errors import Malformed

LIMIT_BYTES = 1 << 20
_APPLIED_BYTES = 180 << 10  # apply notes the whole object in an annotation, and annotations may have 256 KiB
DIGEST = "io.coracle.compose/files"
_MODE = 0o444
_HOMES = {"configs": "/", "secrets": "/run/secrets"}


def mounts(service: Fields, volumes: Volumes, setting: Setting) -> list[dict[str, Any]]:
    """The container's mounts of its configs and secrets."""
    found = []
    for kind, home in _HOMES.items():
        for entry in service.parts(kind):
            source, mode = entry.take("source"), entry.take("mode", _MODE)
            target = posixpath.normpath(posixpath.join(home, entry.take("target") or source))
            thing = (setting.project.model.get(kind) or {})[source]
            if path := _directory(thing, setting):
                entry.warn("source", f"{path} is of the pod's machine: right only where the pod runs here")
                volume = {"hostPath": {"path": path, "type": "Directory"}}
                found.append({"name": volumes.name_of(volume, source), "mountPath": target, "readOnly": True})
                continue
            item = {"key": source, "path": source, "mode": mode}
            name = volumes.name_of(_volume(kind, setting.label_of(source, thing), item), source)
            found.append({"name": name, "mountPath": target, "subPath": source, "readOnly": True})
    return found


def digest(services: list[Fields], setting: Setting) -> dict[str, str]:
    """The annotation that changes with what the services' configs and secrets hold."""
    seen = hashlib.sha256()
    used = [(kind, entry["source"]) for one in services for kind in _HOMES for entry in one.given.get(kind) or ()]
    for kind, source in used:
        content = _content(kind, source, setting)
        seen.update(f"{kind}/{source}:{len(content or b'')}:".encode() + (content or b""))
    return {DIGEST: seen.hexdigest()[:16]} if used else {}


def objects(setting: Setting) -> list[dict[str, Any]]:
    """ConfigMaps and Secrets.  Raises Malformed (too large, a variable that is not set), NotFound (a file)."""
    found = []
    for kind in _HOMES:
        for source, given in (setting.project.model.get(kind) or {}).items():
            thing = Fields(given, (kind, source), setting.notes)
            for key in ("file", "content", "environment", "name"):
                thing.take(key)
            labels, name = thing.take("labels", {}), setting.label_of(source, given)
            content = _content(kind, source, setting)
            if thing.take("external"):
                what = "Secret" if kind == "secrets" else "ConfigMap"
                thing.warn("external", f"a {what} {name} with the key {source} must be there")
            elif content is not None:
                if len(content) > _APPLIED_BYTES:
                    thing.warn("", "is large: `kubectl apply` needs --server-side, or use `kubectl create`")
                found.append(_object(kind, name, labels, {source: content}))
            thing.finish()
    return found


def _object(kind: str, name: str, labels: dict[str, str], content: dict[str, bytes]) -> dict[str, Any]:
    text, binary = {}, {}
    for key, data in content.items():
        try:
            text[key] = data.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(data).decode()
    head: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret" if kind == "secrets" else "ConfigMap"}
    head["metadata"] = compact(name=name, annotations=labels)
    if kind == "secrets":
        coded = {key: base64.b64encode(data).decode() for key, data in content.items()}
        return {**head, "type": "Opaque", "data": coded}
    return {**head, **compact(binaryData=binary), **({"data": text} if text else {})}


def _volume(kind: str, name: str, item: dict[str, Any]) -> dict[str, Any]:
    return (
        {"secret": {"secretName": name, "items": [item]}}
        if kind == "secrets"
        else {"configMap": {"name": name, "items": [item]}}
    )


def _directory(thing: dict[str, Any], setting: Setting) -> str:
    path = str(thing.get("file") or "")
    return path if path and setting.machine.sort_of(path) == "directory" else ""


def _content(kind: str, source: str, setting: Setting) -> bytes | None:
    """What the file holds; None where it is not the project's to say."""
    thing = (setting.project.model.get(kind) or {}).get(source) or {}
    word, places = kind.removesuffix("s"), setting.project.places
    if thing.get("external") or _directory(thing, setting):
        return None
    if thing.get("content") is not None:
        content = str(thing["content"]).encode()
    elif variable := thing.get("environment"):
        value = setting.project.environment.get(variable)
        if value is None:
            said = f'environment variable "{variable}" required by {word} "{source}" is not set'
            raise places.fault((kind, source), said)
        content = value.encode()
    elif thing.get("file"):
        content = setting.machine.read(thing["file"])
    else:
        return None
    if len(content) > LIMIT_BYTES:
        raise _too_large(kind, source, setting)
    return content


def _too_large(kind: str, source: str, setting: Setting) -> Malformed:
    what = "Secret" if kind == "secrets" else "ConfigMap"
    said = f"{kind}.{source}: a {what} holds {LIMIT_BYTES >> 20} MiB at most"
    return setting.project.places.fault((kind, source), said)
