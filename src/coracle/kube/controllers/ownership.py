"""Whose pods are whose: a controller adopts orphans that match its selector and releases pods that no longer do.

Source: Kubernetes documentation, "Owners and Dependents"; design of the controller reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from coracle.core.collection import Collection
from coracle.core.errors import NotFound
from coracle.core.object import Object
from coracle.kube.kinds import pod as pods


@dataclass(frozen=True, slots=True)
class Claims:
    """The pods that are the controller's and stay so, those to take and those to let go."""

    keep: tuple[Object, ...] = ()
    adopt: tuple[Object, ...] = ()
    release: tuple[Object, ...] = ()


def sort_out(
    owner: Object, owned: Iterable[Object], orphans: Iterable[Object], fits: Callable[[Object], bool]
) -> Claims:
    """`owned` have the owner as their controller, `orphans` have none; an owner on its way out takes no more."""
    mine = [pod for pod in owned if (ref := pod.meta.controller) is not None and ref.uid == owner.meta.uid]
    keep = tuple(pod for pod in mine if fits(pod))
    release = tuple(pod for pod in mine if not fits(pod) and not pod.meta.deleting)
    if owner.meta.deleting:
        return Claims(keep, (), release)
    return Claims(keep, tuple(pod for pod in orphans if fits(pod) and pods.active(pod)), release)


async def settle(owner: Object, claims: Claims, writer: Collection) -> list[Object]:
    """Write what `claims` decides.  Returns the pods that are the owner's now."""
    taken = []
    for pod in claims.adopt:
        try:
            taken.append(await writer.change(pod.key, lambda pod: _adopted(pod, owner)))
        except NotFound:
            continue
    for pod in claims.release:
        try:
            await writer.change(pod.key, lambda pod: _released(pod, owner))
        except NotFound:
            continue
    adopted = [pod for pod in taken if (ref := pod.meta.controller) is not None and ref.uid == owner.meta.uid]
    return [*claims.keep, *adopted]


def _adopted(pod: Object, owner: Object) -> Object:
    """Unless somebody else was quicker, or the pod is another one by now."""
    if pod.meta.controller is not None or pod.meta.deleting:
        return pod
    return pod.with_meta(owners=(*pod.meta.owners, owner.as_owner()))


def _released(pod: Object, owner: Object) -> Object:
    return pod.with_meta(owners=tuple(ref for ref in pod.meta.owners if ref.uid != owner.meta.uid))
