"""The rules for volumes that are elsewhere: network file systems, disks of clouds, drivers.

Nobody here mounts them: objects that name them are kept, and a pod with one is told so.

Source: Kubernetes v1 API, VolumeSource and PersistentVolumeSource; the messages of their validation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coracle.core.errors import Problem, invalid, required
from coracle.core.names import name_faults
from coracle.core.object import Json
from coracle.kube.kinds.blanks import blank
from coracle.kube.kinds.csirules import driver_name
from coracle.kube.kinds.rules import named

# What each must have.
_NEEDED: Mapping[str, Sequence[str]] = {
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "azureFile": ("secretName", "shareName"),
    "cephfs": ("monitors",),
    "cinder": ("volumeID",),
    "flexVolume": ("driver",),
    "gcePersistentDisk": ("pdName",),
    "gitRepo": ("repository",),
    "glusterfs": ("endpoints", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "nfs": ("server", "path"),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "quobyte": ("registry", "volume"),
    "rbd": ("monitors", "image"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "storageos": ("volumeName",),
    "vsphereVolume": ("volumePath",),
}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "scaleIO": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
}
_INITIATORS = {
    "iqn": r"iqn\.\d{4}-\d{2}\.([a-z0-9-_.]+)(:[^,;*&$|\s]+)$",
    "eui": r"eui\.[a-fA-F0-9]{16}$",
    "naa": r"naa\.[a-fA-F0-9]{32}$",
}
_SECRETS = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef")
NAMES = (*_NEEDED, "csi", "fc", "flocker")


def default(source: str, given: Json) -> Json:
    """What a source of that name says, and what follows where it says nothing."""
    return blank(given, **_DEFAULTS[source]) if source in _DEFAULTS else given


def problems(at: str, source: str, given: Mapping[str, Any], *, persistent: bool = False) -> list[Problem]:
    """`source` is one of NAMES; `persistent`: of a PersistentVolume, not in a pod."""
    found = [required(f"{at}.{name}") for name in _NEEDED.get(source, ()) if not given.get(name)]
    if source == "csi":
        return _persistent_csi(at, given) if persistent else _csi(at, given)
    more = _MORE.get(source)
    return found + (more(at, given) if more is not None else [])


def _csi(at: str, given: Mapping[str, Any]) -> list[Problem]:
    found = driver_name(f"{at}.driver", given.get("driver") or "")
    ref = given.get("nodePublishSecretRef")
    return found + (named("subdomain", f"{at}.nodePublishSecretRef.name", ref.get("name")) if ref is not None else [])


def _persistent_csi(at: str, given: Mapping[str, Any]) -> list[Problem]:
    found = driver_name(f"{at}.driver", given.get("driver") or "")
    found += [] if given.get("volumeHandle") else [required(f"{at}.volumeHandle")]
    for name in _SECRETS:
        ref = given.get(name)
        if ref is not None:
            found += named("subdomain", f"{at}.{name}.name", ref.get("name"))
            found += named("label", f"{at}.{name}.namespace", ref.get("namespace"))
    return found


def _nfs(at: str, given: Mapping[str, Any]) -> list[Problem]:
    path = given.get("path") or ""
    return [] if path.startswith("/") else [invalid(f"{at}.path", path, "must be an absolute path")]


def _iscsi(at: str, given: Mapping[str, Any]) -> list[Problem]:
    found = _lun(at, given.get("lun") or 0)
    for name in ("iqn", "initiatorName"):
        said = given.get(name)
        pattern = _INITIATORS.get(str(said)[:3])
        if said and pattern is None:
            found.append(invalid(f"{at}.{name.lower()}", said, "must be valid format starting with iqn, eui, or naa"))
        elif said and pattern is not None and not re.match(pattern, said):
            found.append(invalid(f"{at}.{name.lower()}", said, "must be valid format"))
    if (given.get("chapAuthDiscovery") or given.get("chapAuthSession")) and given.get("secretRef") is None:
        found.append(required(f"{at}.secretRef"))
    return found


def _fc(at: str, given: Mapping[str, Any]) -> list[Problem]:
    names, ids = given.get("targetWWNs"), given.get("wwids")
    if not names and not ids:
        return [required(f"{at}.targetWWNs", "must specify either targetWWNs or wwids, but not both")]
    found: list[Problem] = []
    if names and ids:
        found.append(invalid(f"{at}.targetWWNs", names, "targetWWNs and wwids can not be specified simultaneously"))
    if names and given.get("lun") is None:
        return [*found, required(f"{at}.lun", "lun is required if targetWWNs is specified")]
    return found + (_lun(at, given["lun"]) if names else [])


def _lun(at: str, number: int) -> list[Problem]:
    return [] if 0 <= number <= 255 else [invalid(f"{at}.lun", number, "must be between 0 and 255, inclusive")]


def _partition(at: str, given: Mapping[str, Any]) -> list[Problem]:
    number = given.get("partition") or 0
    said = "must be an integer between 0 and 255"
    return [] if 0 <= number <= 255 else [invalid(f"{at}.partition", number, said)]


def _flocker(at: str, given: Mapping[str, Any]) -> list[Problem]:
    name, uuid = given.get("datasetName") or "", given.get("datasetUUID")
    found: list[Problem] = []
    if not name and not uuid:
        found.append(required(at, "one of datasetName and datasetUUID is required"))
    if name and uuid:
        found.append(invalid(at, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    return found + ([invalid(f"{at}.datasetName", name, "must not contain '/'")] if "/" in name else [])


def _flex(at: str, given: Mapping[str, Any]) -> list[Problem]:
    said = "kubernetes.io and k8s.io namespaces are reserved"
    ours = (".kubernetes.io", ".k8s.io")
    options = given.get("options") or {}
    return [
        invalid(f"{at}.options[{key}]", key, said) for key in options if f".{key.split('/')[0].lower()}".endswith(ours)
    ]


def _git(at: str, given: Mapping[str, Any]) -> list[Problem]:
    directory = given.get("directory") or ""
    absolute = [invalid(f"{at}.directory", directory, "must be a relative path")] if directory.startswith("/") else []
    up = [invalid(f"{at}.directory", directory, "must not contain '..'")] if ".." in directory.split("/") else []
    return absolute + up


def _storageos(at: str, given: Mapping[str, Any]) -> list[Problem]:
    return [
        invalid(f"{at}.{name}", given[name], fault)
        for name in ("volumeName", "volumeNamespace")
        if given.get(name)
        for fault in name_faults("label", given[name])
    ]


_MORE: Mapping[str, Callable[[str, Mapping[str, Any]], list[Problem]]] = {
    "awsElasticBlockStore": _partition,
    "fc": _fc,
    "flexVolume": _flex,
    "flocker": _flocker,
    "gcePersistentDisk": _partition,
    "gitRepo": _git,
    "iscsi": _iscsi,
    "nfs": _nfs,
    "storageos": _storageos,
}
