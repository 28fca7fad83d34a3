"""Rules that span kinds: what may be made in which namespace, and what of the cluster's own stays.

Each is a `core.collection.Guard`; the node gives `for_kind(kind)` to that kind's Collection.

Source: Kubernetes admission plugin NamespaceLifecycle; the registry of PriorityClasses.
"""

from __future__ import annotations

from typing import Literal

from coracle.core.collection import Guard, Late
from coracle.core.errors import Forbidden, NotFound
from coracle.core.kind import Kind, Reader
from coracle.core.object import Key, Object
from coracle.kube.kinds import (
    event,
    limits,
    namespace,
    persistentvolumeclaim,
    pod,
    podaccounts,
    podadmission,
    priorityclass,
)
from coracle.kube.kinds.podsecurity.admission import enforced
from coracle.kube.kinds.quotas import Quota

RESERVED = ("default", "kube-system", "kube-public")
_NAMESPACE = namespace.KIND.type
Verb = Literal["create", "update", "delete"]


def for_kind(kind: Kind) -> tuple[Guard | Late, ...]:
    if not kind.namespaced:
        return _OF_CLUSTER.get(kind.type, ())
    counted = () if kind.type == event.KIND.type else (Late(Quota(kind)),)
    return (_InNamespace(kind), *_BY_TYPE.get(kind.type, ()), *counted)


_BY_TYPE: dict[str, tuple[Guard, ...]] = {
    pod.KIND.type: (limits.limited, podaccounts.admit, podadmission.prioritised, podadmission.with_runtime, enforced),
    persistentvolumeclaim.KIND.type: (limits.limited,),
}


class _InNamespace:
    """Things are made only in a namespace that exists and is not going."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def __call__(self, verb: Verb, new: Object, old: Object | None, reader: Reader) -> Object:
        if verb != "create":
            return new
        room = new.meta.namespace
        entry = reader.find(_NAMESPACE, Key("", room))
        if entry is None:
            raise NotFound(f'namespaces "{room}" not found', kind=_NAMESPACE, name=room)
        if entry.object().meta.deleting:
            said = f"unable to create new content in namespace {room} because it is being terminated"
            about = f'{self._kind.resource} "{new.meta.name}" is forbidden'
            raise Forbidden(f"{about}: {said}", kind=self._kind.type, name=new.meta.name)
        return new


def reserved_stays(verb: Verb, new: Object, old: Object | None, reader: Reader) -> Object:
    """The namespaces that the cluster itself needs cannot be deleted."""
    if verb == "delete" and new.meta.name in RESERVED:
        said = f'namespaces "{new.meta.name}" is forbidden: this namespace may not be deleted'
        raise Forbidden(said, kind=_NAMESPACE, name=new.meta.name)
    return new


def system_class_stays(verb: Verb, new: Object, old: Object | None, reader: Reader) -> Object:
    """The classes of what the cluster cannot do without cannot be deleted."""
    if verb == "delete" and new.meta.name in priorityclass.SYSTEM:
        said = "this is a system priority class and cannot be deleted"
        raise Forbidden(said, kind=priorityclass.KIND.type, name=new.meta.name)
    return new


_OF_CLUSTER: dict[str, tuple[Guard, ...]] = {
    _NAMESPACE: (reserved_stays,),
    priorityclass.KIND.type: (system_class_stays,),
}
