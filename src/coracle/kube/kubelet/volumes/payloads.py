"""The files of volumes that are made of configuration: config maps, secrets, the downward API, and all of them.  Pure.

Source: Kubernetes documentation, "Volumes", "Projected Volumes", "Downward API"; the kubelet's words where something
is missing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.errors import NotFound, Unsupported
from coracle.core.object import Key, Object
from coracle.kube.kubelet.environment import Surroundings, field, resource
from coracle.kube.kubelet.records import containers_of, init_containers_of
from coracle.kube.kubelet.security import common_user

SORTS = ("configMap", "secret", "downwardAPI", "projected")
_KINDS = {"configMap": "ConfigMap", "secret": "Secret"}
_MISSING_KEY = {
    "ConfigMap": "configmap references non-existent config key: {}",
    "Secret": "references non-existent secret key: {}",
}


@dataclass(frozen=True, slots=True)
class File:
    """Content and permissions of one file, and whose it is where not root's."""

    data: bytes
    mode: int
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class _For:
    """Whom files are for, and the permissions of those that say none."""

    pod: Object
    mode: int
    around: Surroundings

    def file(self, data: bytes, own_mode: int | None) -> File:
        return File(data, self.mode if own_mode is None else own_mode)

    def token(self, given: Mapping[str, Any]) -> File:
        """A service account's token: for the pod's user alone, or its fsGroup, where it has such; else for everybody.

        Source: Kubernetes documentation, "Projected Volumes", "SecurityContext interactions".
        """
        data, uid = self.around.tokens.token(self.pod, given).encode(), common_user(self.pod)
        if uid is None and (self.pod.spec.get("securityContext") or {}).get("fsGroup") is None:
            return self.file(data, None)
        return File(data, 0o600, uid)


Payload = Mapping[str, File]  # by path, relative to the volume


def payload(pod: Object, volume: Mapping[str, Any], around: Surroundings) -> Payload:
    """The files of a volume of one of SORTS.  Raises NotFound (what it refers to), ConfigError, Unsupported."""
    sort = next(sort for sort in SORTS if volume.get(sort) is not None)
    given = volume[sort]
    mode = given.get("defaultMode")
    whom = _For(pod, 0o644 if mode is None else mode, around)
    if sort != "projected":
        return _of(sort, given, whom)
    files: dict[str, File] = {}
    for source in given.get("sources") or ():
        part = next(name for name, value in source.items() if value is not None)
        files |= _of(part, source[part], whom)
    return files


def _of(sort: str, given: Mapping[str, Any], whom: _For) -> dict[str, File]:
    if sort in _KINDS:
        name = str(given.get("name") or given.get("secretName") or "")
        return _entries(_KINDS[sort], name, given, whom)
    if sort == "downwardAPI":
        return {item["path"]: _about_pod(item, whom) for item in given.get("items") or ()}
    if sort == "serviceAccountToken":
        return {given["path"]: whom.token(given)}
    words = {"clusterTrustBundle": "cluster trust bundles"}
    raise Unsupported(f"{words.get(sort, sort)} are not supported yet", status=501)


def _entries(kind: str, name: str, given: Mapping[str, Any], whom: _For) -> dict[str, File]:
    entry = whom.around.reader.find(kind, Key(whom.pod.meta.namespace, name))
    if entry is None:
        if given.get("optional"):
            return {}
        raise NotFound(f'{kind.lower()} "{name}" not found', kind=kind, name=name)
    data = contents(entry.object())
    if not given.get("items"):
        return {key: whom.file(value, None) for key, value in data.items()}
    files = {}
    for item in given["items"]:
        if item["key"] in data:
            files[item["path"]] = whom.file(data[item["key"]], item.get("mode"))
        elif not given.get("optional"):
            raise NotFound(_MISSING_KEY[kind].format(item["key"]), kind=kind, name=name)
    return files


def contents(source: Object) -> dict[str, bytes]:
    """The values of a config map or a secret, by key."""
    data = source.body.get("data") or {}
    if source.kind == "Secret":
        return {key: base64.b64decode(value) for key, value in data.items()}
    binary = source.body.get("binaryData") or {}
    plain = {key: value.encode("utf-8", "surrogateescape") for key, value in data.items()}
    return plain | {key: base64.b64decode(value) for key, value in binary.items()}


def _about_pod(item: Mapping[str, Any], whom: _For) -> File:
    pod, around = whom.pod, whom.around
    if item.get("fieldRef"):
        text = _field(pod, item["fieldRef"]["fieldPath"], around)
    else:
        ref = item["resourceFieldRef"]
        everyone = [*containers_of(pod), *init_containers_of(pod)]
        owner = next((one for one in everyone if one["name"] == ref.get("containerName")), {"name": ""})
        text = resource(pod, owner, ref, around)
    return whom.file(text.encode("utf-8", "surrogateescape"), item.get("mode"))


def _field(pod: Object, path: str, around: Surroundings) -> str:
    if path in ("metadata.labels", "metadata.annotations"):
        words = getattr(pod.meta, path.removeprefix("metadata."))
        return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(words.items()))
    return field(pod, path, around)


def _quoted(text: str) -> str:
    """As Go's %q writes it, for all but the rarest signs."""
    return json.dumps(text, ensure_ascii=False)


def sources(pod: Object) -> Iterable[str]:
    """`ConfigMap/ns/name`, `Secret/ns/name`: whatever the pod's volumes or variables are made of."""
    for volume in pod.spec.get("volumes") or ():
        projections = (volume.get("projected") or {}).get("sources") or ()
        for part in (volume, *projections):
            for sort, kind in _KINDS.items():
                given = part.get(sort)
                if given:
                    yield f"{kind}/{pod.meta.namespace}/{given.get('name') or given.get('secretName')}"
    for container in (*containers_of(pod), *init_containers_of(pod)):
        yield from _variables(pod.meta.namespace, container)


def _variables(namespace: str, container: Mapping[str, Any]) -> Iterable[str]:
    for variable in container.get("env") or ():
        given = variable.get("valueFrom") or {}
        for name, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if given.get(name):
                yield f"{kind}/{namespace}/{given[name].get('name')}"
    for source in container.get("envFrom") or ():
        for name, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if source.get(name):
                yield f"{kind}/{namespace}/{source[name].get('name')}"


def is_secret(volume: Mapping[str, Any]) -> bool:
    """Whether its files are not to lie on a disk."""
    sources = (volume.get("projected") or {}).get("sources") or ()
    return any(part.get(sort) is not None for part in (volume, *sources) for sort in ("secret", "serviceAccountToken"))


def speaks_of_pod(pod: Object) -> bool:
    """Whether any of its volumes changes with its labels or annotations."""
    for volume in pod.spec.get("volumes") or ():
        projections = (volume.get("projected") or {}).get("sources") or ()
        if any(part.get("downwardAPI") for part in (volume, *projections)):
            return True
    return False
