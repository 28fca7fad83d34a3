"""What is accepted of whatever makes pods, and is hardly meant so: told to the client, which goes on.  Pure.

Source: Kubernetes API, "Warnings"; the messages of its kinds' warnings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coracle.core.names import name_faults
from coracle.core.object import Object
from coracle.kube.kinds.jobrules import INDEXED
from coracle.kube.kinds.networkwarnings import of_network
from coracle.kube.kinds.podspec.warnings import fractions, of_pods
from coracle.kube.kinds.storagewarnings import of_storage

_IN_HOSTNAMES = "which can result in surprising behavior; a DNS label is recommended"
_OF_A_POD = f"metadata.name: this is used in the Pod's hostname, {_IN_HOSTNAMES}"
_OF_MANY_PODS = f"metadata.name: this is used in Pod names and hostnames, {_IN_HOSTNAMES}"
_NAMED = {
    "Pod": _OF_A_POD,
    **dict.fromkeys(
        ("ReplicationController", "Deployment.apps", "ReplicaSet.apps", "Job.batch", "CronJob.batch"), _OF_MANY_PODS
    ),
}
_MANY_INDEXES, _MANY_PODS = 100_000, 10_000
_HARD_TO_TRACK = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes "
    "might not be able to track completedIndexes when a big number of indexes fail"
)
_KEEPS_ALL = "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"


def warnings(new: Object, old: Object | None = None) -> list[str]:
    """Of what was made, or changed from `old`; nothing of pods that are there, nor of what stays as it was wanted."""
    if old is not None and (new.type == "Pod" or old.meta.generation == new.meta.generation):
        return []
    at, template = template_of(new)
    pods = of_pods(template, at) if template else []
    return [*(_name(new) if old is None else ()), *_of_kind(new), *pods]


def template_of(obj: Object) -> tuple[str, Mapping[str, Any]]:
    """Where the metadata and spec of the pods are, and what they say; empty where the object makes no pods."""
    if obj.type == "Pod":
        return "", {"metadata": {"annotations": obj.meta.annotations}, "spec": obj.spec}
    if obj.type == "PodTemplate":
        return "template.", obj.body.get("template") or {}
    at, owner = "spec.template.", obj.spec
    if owner.get("jobTemplate"):
        at, owner = "spec.jobTemplate.spec.template.", owner["jobTemplate"].get("spec") or {}
    template = owner.get("template")
    return at, template if isinstance(template, Mapping) else {}


def _name(obj: Object) -> Iterator[str]:
    faults = name_faults("label", obj.meta.name) if obj.type in _NAMED else []
    if faults:
        yield f"{_NAMED[obj.type]}: [{' '.join(faults)}]"


def _of_kind(obj: Object) -> Iterator[str]:
    if obj.type == "Job.batch":
        yield from _of_job("spec", obj.spec)
    elif obj.type == "CronJob.batch":
        yield from _of_job("spec.jobTemplate.spec", (obj.spec.get("jobTemplate") or {}).get("spec") or {})
    elif obj.type == "StatefulSet.apps":
        yield from _of_stateful(obj.spec)
    else:
        yield from of_storage(obj)
        yield from of_network(obj)


def _of_job(at: str, spec: Mapping[str, Any]) -> Iterator[str]:
    many = (spec.get("completions") or 0) > _MANY_INDEXES and (spec.get("parallelism") or 0) > _MANY_PODS
    if many and spec.get("completionMode") == INDEXED:
        yield f"{at}: {_HARD_TO_TRACK}"


def _of_stateful(spec: Mapping[str, Any]) -> Iterator[str]:
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        asked = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
        yield from fractions(f"spec.volumeClaimTemplates[{index}].resources.requests", asked, ("storage",))
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        yield _KEEPS_ALL
