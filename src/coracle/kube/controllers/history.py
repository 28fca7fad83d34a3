"""What a DaemonSet or StatefulSet was: a ControllerRevision for each template it had, numbered as they were wanted.

Source: Kubernetes documentation, "Perform a Rollback on a DaemonSet", "StatefulSets: Revision history".
"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from coracle.core.collection import Collection, Deletion
from coracle.core.errors import AlreadyExists
from coracle.core.object import Meta, Object
from coracle.kube.controllers.hashes import template_hash
from coracle.kube.kinds import controllerrevision, workloads
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.podtemplate import as_today

HASH = "controller-revision-hash"
_PATCH = "$patch"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The revision of the present template: one there is (`found`) or a new one, and the number it is to have."""

    found: Object | None
    number: int


def number(revision: Object) -> int:
    return int(revision.body.get("revision") or 0)


def by_number(revisions: Iterable[Object]) -> list[Object]:
    """The oldest first."""
    return sorted(revisions, key=lambda one: (number(one), one.meta.created, one.meta.name))


def wanted(owner: Object, revisions: Sequence[Object]) -> Wanted:
    """Going back to an earlier template makes its revision the newest."""
    present = as_today(owner.spec["template"])
    equal = [one for one in by_number(revisions) if as_today(template_of(one)) == present]
    highest = max((number(one) for one in revisions), default=0)
    if not equal:
        return Wanted(None, highest + 1)
    return Wanted(equal[-1], highest if number(equal[-1]) == highest else highest + 1)


def template_of(revision: Object) -> Mapping[str, Any]:
    """The template that a revision keeps; an empty one where somebody made it of something else."""
    kept = revision.body.get("data")
    for name in ("spec", "template"):
        kept = kept.get(name) if isinstance(kept, Mapping) else None
    if not isinstance(kept, Mapping):
        return {}
    template = {name: value for name, value in kept.items() if name != _PATCH}
    return {} if schema("v1", "PodTemplate").child("template").check(template) else template


def new_revision(owner: Object, number: int, label: str = HASH) -> Object:
    """Its data is a patch that brings the owner's template back, which is what `kubectl rollout undo` sends.

    `label` is where its hash stands.
    """
    patch = {"spec": {"template": {**owner.spec["template"], _PATCH: "replace"}}}
    hash = template_hash(owner.spec["template"], owner.status.get("collisionCount") or 0)
    kind = controllerrevision.KIND
    meta = Meta(
        name=f"{owner.meta.name}-{hash}",
        namespace=owner.meta.namespace,
        labels={**workloads.template_labels(owner), label: hash},
        annotations=owner.meta.annotations,
        owners=(owner.as_owner(),),
    )
    # Keys in order, as clients write the patch that they compare with this one.
    data = orjson.loads(orjson.dumps(patch, option=orjson.OPT_SORT_KEYS))
    return Object(kind.name, meta, {"data": data, "revision": number}, kind.api)


async def settled(owner: Object, revisions: Sequence[Object], writer: Collection, label: str = HASH) -> Object | None:
    """The revision of the present template, made or numbered as it should be; None where its name was taken.

    One that somebody else made without a hash has its name for one.
    """
    todo = wanted(owner, revisions)
    if todo.found is None:
        try:
            return await writer.create(new_revision(owner, todo.number, label))
        except AlreadyExists:
            return None
    return await writer.change(todo.found.key, lambda one: _marked(one, todo.number, label))


def _marked(revision: Object, number: int, label: str) -> Object:
    labels = {label: revision.meta.name, **revision.meta.labels}
    return revision.with_meta(labels=labels).with_body(revision=number)


def outdated(revisions: Sequence[Object], live: Names[str], limit: int) -> Sequence[Object]:
    """The oldest of those that no pod is of (`live` has the names of the others), beyond those that are kept.

    A negative limit keeps them all.
    """
    if limit < 0:
        return ()
    unused = [one for one in by_number(revisions) if one.meta.name not in live]
    return unused[: max(0, len(unused) - limit)]


async def tidy(revisions: Sequence[Object], live: Names[str], limit: int, writer: Collection) -> None:
    for one in outdated(revisions, live, limit):
        await writer.delete(one.key, Deletion(uid=one.meta.uid), missing_ok=True)


async def count_collision(owner: Object, writer: Collection) -> None:
    """Another name next time."""

    def counted(present: Object) -> Object:
        return present.with_status(collisionCount=(present.status.get("collisionCount") or 0) + 1)

    await writer.change(owner.key, counted, part="status")
