"""A Deployment's versions: a ReplicaSet for each template it had, numbered in the order in which they were wanted.

Source: Kubernetes documentation, "Deployment: Rolling Back", "Clean up Policy"; its annotations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coracle.core.object import Json, Meta, Object
from coracle.kube.controllers.hashes import template_hash
from coracle.kube.kinds import podtemplate, replicaset, workloads

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
_ITS_OWN = (
    REVISION, HISTORY, DESIRED, MAX, "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
)  # fmt: skip
_LONGEST_HISTORY = 2000  # characters
UNLIMITED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Family:
    """A Deployment and its ReplicaSets: the one of the present template, if there is one, and the others by age."""

    deployment: Object
    new: Object | None
    old: tuple[Object, ...]

    @property
    def all(self) -> tuple[Object, ...]:
        return (*self.old, self.new) if self.new is not None else self.old

    def with_sets(self, changed: Mapping[str, Object]) -> Family:
        """With these in place of those of the same name."""
        new = changed.get(self.new.meta.name, self.new) if self.new is not None else None
        return Family(self.deployment, new, tuple(changed.get(rs.meta.name, rs) for rs in self.old))


def family(deployment: Object, sets: Iterable[Object]) -> Family:
    by_age = sorted(sets, key=lambda rs: (rs.meta.created, rs.meta.name))
    wanted = _bare(deployment.spec["template"])
    new = next((rs for rs in by_age if _bare(rs.spec.get("template")) == wanted), None)
    return Family(deployment, new, tuple(rs for rs in by_age if rs is not new))


def _bare(template: Mapping[str, Any] | None) -> Json:
    """The template without the label that says its hash, filled in as it would be today."""
    doc = podtemplate.as_today(template)
    meta = doc["metadata"]
    labels = {name: value for name, value in (meta.get("labels") or {}).items() if name != HASH}
    return {**doc, "metadata": {**meta, "labels": labels}}


def revision(obj: Object) -> int:
    """0 where it says none."""
    try:
        return int(obj.meta.annotations.get(REVISION, "0"))
    except ValueError:
        return 0


def next_revision(found: Family) -> int:
    return 1 + max((revision(rs) for rs in found.old), default=0)


def new_set(found: Family, replicas: int) -> Object:
    """The ReplicaSet of the present template."""
    deployment = found.deployment
    template, selector = deployment.spec["template"], deployment.spec["selector"]
    hash = template_hash(template, deployment.status.get("collisionCount") or 0)
    labels = {**workloads.template_labels(deployment), HASH: hash}
    chosen = {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH: hash}}
    spec: Json = {
        "replicas": replicas,
        "selector": chosen,
        "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}},
    }
    if deployment.spec.get("minReadySeconds"):
        spec["minReadySeconds"] = deployment.spec["minReadySeconds"]
    meta = Meta(
        name=f"{deployment.meta.name}-{hash}",
        namespace=deployment.meta.namespace,
        labels=labels,
        owners=(deployment.as_owner(),),
    )
    kind = replicaset.KIND
    return marked(Object(kind.name, meta, {"spec": spec}, kind.api), found)


def marked(rs: Object, found: Family) -> Object:
    """The ReplicaSet of the present template with the annotations and the waiting time it should have."""
    deployment, number = found.deployment, next_revision(found)
    said = {**rs.meta.annotations}
    said |= {name: value for name, value in deployment.meta.annotations.items() if name not in _ITS_OWN}
    before = revision(rs)
    if before < number:
        said[REVISION] = str(number)
        if before:
            said[HISTORY] = _longer_history(said.get(HISTORY, ""), before)
    wait_s = deployment.spec.get("minReadySeconds") or 0
    if (rs.spec.get("minReadySeconds") or 0) != wait_s:
        rs = rs.with_spec(minReadySeconds=wait_s)
    return rs.with_meta(annotations=said) if said != rs.meta.annotations else rs


def _longer_history(history: str, number: int) -> str:
    numbers = [*filter(None, history.split(",")), str(number)]
    while len(",".join(numbers)) > _LONGEST_HISTORY:
        numbers.pop(0)
    return ",".join(numbers)


def sized(rs: Object, replicas: int, deployment: Object, most: int) -> Object:
    """`rs` with that many replicas; `most` is how many pods the whole Deployment may have at once."""
    said = {**rs.meta.annotations, DESIRED: str(deployment.spec["replicas"]), MAX: str(most)}
    return rs.with_spec(replicas=replicas).with_meta(annotations=said)


def outdated(found: Family) -> Sequence[Object]:
    """The old ReplicaSets that nothing uses, beyond those that are kept to roll back to."""
    limit = found.deployment.spec["revisionHistoryLimit"]
    candidates = [rs for rs in found.old if not rs.meta.deleting]
    if limit == UNLIMITED or len(candidates) <= limit:
        return ()
    surplus = sorted(candidates, key=revision)[: len(candidates) - limit]
    return [rs for rs in surplus if not _in_use(rs)]


def _in_use(rs: Object) -> bool:
    behind = rs.meta.generation > rs.status.get("observedGeneration", 0)
    return bool(rs.spec["replicas"] or rs.status.get("replicas") or behind)
