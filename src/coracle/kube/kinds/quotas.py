"""Refuse what would exceed a quota of its namespace.

A `Quota` is a `core.collection.Guard` for one kind.  It counts what is there and what is on its way to disk: between a
guard's consent and the commit nobody else runs, so that what it has let in is, when it is asked next, either in the
store's head or has failed.

Source: Kubernetes admission plugin ResourceQuota.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Literal

from coracle.core.errors import Forbidden
from coracle.core.kind import Kind, Reader
from coracle.core.object import Object
from coracle.core.quantity import ZERO, Quantity, parse
from coracle.kube.kinds import resourcequota, storageclass
from coracle.kube.kinds.quotausage import Usage, concerns, total, unsaid, usage
from coracle.kube.kinds.storagerules import class_of, default_class

QUOTA = resourcequota.KIND.type
Used = Callable[[], Usage]
Verb = Literal["create", "update", "delete"]


class Quota:
    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._coming: dict[str, Object] = {}  # let in, by uid, and perhaps not visible yet

    def __call__(self, verb: Verb, new: Object, old: Object | None, reader: Reader) -> Object:
        if verb == "delete":
            return new
        quotas = [entry.object() for entry in reader.entries(QUOTA, new.meta.namespace)]
        if not quotas:
            return new
        try:
            self._ask(quotas, _classed(new, reader), old, reader)
        except ValueError:
            return new  # a quantity that the kind's own rules refuse next
        if verb == "create":
            self._coming[new.meta.uid] = new
        return new

    def _ask(self, quotas: Iterable[Object], new: Object, old: Object | None, reader: Reader) -> None:
        there = self._there(new.meta.namespace, reader)
        for quota in quotas:
            if not concerns(quota, new):
                continue
            fault = unsaid(quota, new) if self._kind.type == "Pod" and old is None else ""
            if fault:
                raise self._refusal(new, f"failed quota: {quota.meta.name}: {fault}")
            before = usage(self._kind, old) if old is not None and concerns(quota, old) else {}
            fault = exceeded(quota, grown(usage(self._kind, new), before), partial(self._used, quota, there))
            if fault:
                raise self._refusal(new, fault)

    def _used(self, quota: Object, there: Iterable[Object]) -> Usage:
        return total(usage(self._kind, obj) for obj in there if concerns(quota, obj))

    def _there(self, namespace: str, reader: Reader) -> list[Object]:
        entries = list(reader.entries(self._kind.type, namespace))
        visible = {entry.uid for entry in entries}
        for uid, obj in tuple(self._coming.items()):
            head = reader.find(self._kind.type, obj.key)
            if uid in visible or head is None or head.uid != uid:
                del self._coming[uid]
        coming = [obj for obj in self._coming.values() if obj.meta.namespace == namespace]
        return [*(entry.object() for entry in entries), *coming]

    def _refusal(self, obj: Object, said: str) -> Forbidden:
        name = obj.meta.name or obj.meta.generate_name
        return Forbidden(f'{self._kind.resource} "{name}" is forbidden: {said}', kind=self._kind.type, name=name)


def _classed(obj: Object, reader: Reader) -> Object:
    """A claim with the class that it is about to be given."""
    if obj.kind != "PersistentVolumeClaim" or class_of(obj) or obj.spec.get("storageClassName") is not None:
        return obj
    found = default_class(entry.object() for entry in reader.entries(storageclass.KIND.type))
    return obj if found is None else obj.with_spec(storageClassName=found.meta.name)


def grown(new: Usage, old: Mapping[str, Quantity]) -> Usage:
    """By how much more is taken; what shrinks or stays does not matter."""
    more = {name: amount - old.get(name, ZERO) for name, amount in new.items()}
    return {name: amount for name, amount in more.items() if amount > ZERO}


def exceeded(quota: Object, asked: Usage, used: Used) -> str:
    """`exceeded quota: ...`, or "".  `used` is called only where the quota counts any of it."""
    hard = {name: parse(value) for name, value in (quota.spec.get("hard") or {}).items() if name in asked}
    taken = used() if hard else {}
    over = sorted(name for name, most in hard.items() if taken.get(name, ZERO) + asked[name] > most)
    if not over:
        return ""
    parts = (asked, {name: taken.get(name, ZERO) for name in over}, hard)
    shown = [",".join(f"{name}={amounts[name]}" for name in over) for amounts in parts]
    return f"exceeded quota: {quota.meta.name}, requested: {shown[0]}, used: {shown[1]}, limited: {shown[2]}"
