"""What persistent volumes, claims and storage classes have in common: amounts, access modes, classes, annotations.

Source: Kubernetes documentation, "Persistent Volumes", "Storage Classes", "Well-Known Labels, Annotations and Taints".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from coracle.core.errors import Problem, forbidden, invalid, required
from coracle.core.object import Object
from coracle.core.quantity import parse
from coracle.kube.kinds.rules import unsupported

ACCESS_MODES = {"ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOnce": "RWO", "ReadWriteOncePod": "RWOP"}
VOLUME_MODES = ("Block", "Filesystem")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
OLD_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_OLD_DEFAULT_CLASS = "storageclass.beta.kubernetes.io/is-default-class"
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"

# Options of mount(8) that a bind mount can have.
BIND_OPTIONS = frozenset((
    "async", "atime", "defaults", "dev", "diratime", "dirsync", "exec", "noatime", "nodev", "nodiratime", "noexec",
    "norelatime", "nostrictatime", "nosuid", "relatime", "ro", "rw", "strictatime", "suid", "sync",
))  # fmt: skip


def positive(field: str, value: Any) -> list[Problem]:
    """An amount above zero."""
    try:
        amount = parse(value)
    except ValueError as error:
        return [invalid(field, value, str(error))]
    return [] if amount.nano > 0 else [invalid(field, str(amount), "must be greater than zero")]


def access_modes(field: str, modes: Sequence[str], needed: str) -> list[Problem]:
    """At least one, each of them known; `needed` is said where there is none."""
    found = [] if modes else [required(field, needed)]
    found += [unsupported(field, mode, tuple(ACCESS_MODES)) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        found.append(forbidden(field, "may not use ReadWriteOncePod with other access modes"))
    return found


def short_modes(modes: Iterable[str]) -> str:
    """`RWO,RWX`, each once, in the order in which kubectl prints them."""
    order = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
    said = set(modes)
    return ",".join(ACCESS_MODES[mode] for mode in order if mode in said)


def class_of(obj: Object) -> str:
    """The name of the class of a claim or a volume; "" where it has none."""
    return str(obj.meta.annotations.get(OLD_CLASS) or obj.spec.get("storageClassName") or "")


def capacity(obj: Object) -> str:
    """What a claim's status or a volume's spec says of its size; "" where nothing."""
    said = obj.status if obj.kind == "PersistentVolumeClaim" else obj.spec
    return str((said.get("capacity") or {}).get("storage") or "")


def default_class(classes: Iterable[Object]) -> Object | None:
    """The class of claims that name none: the newest that is marked as default."""
    marked = [one for one in classes if is_default(one)]
    return max(marked, key=lambda one: (one.meta.created, [-ord(sign) for sign in one.meta.name]), default=None)


def is_default(cls: Object) -> bool:
    return any(cls.meta.annotations.get(name) == "true" for name in (DEFAULT_CLASS, _OLD_DEFAULT_CLASS))


def phase(obj: Object) -> str:
    """As kubectl prints the state of a volume or a claim."""
    return "Terminating" if obj.meta.deleting else str(obj.status.get("phase") or "")


def claims_of(pod: Object) -> dict[str, str]:
    """The claims that a pod mounts, by the names of its volumes; a claim of the pod's own is called after both."""
    found = {}
    for volume in pod.spec.get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            found[volume["name"]] = str(volume["persistentVolumeClaim"]["claimName"])
        elif volume.get("ephemeral"):
            found[volume["name"]] = f"{pod.meta.name}-{volume['name']}"
    return found
