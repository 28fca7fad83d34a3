"""Who a StatefulSet's pod is: its ordinal, and what its name, labels, host name and volumes follow from.

Source: Kubernetes documentation, "StatefulSets: Pod Identity", "Start ordinal".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from coracle.core.object import Json, Meta, Object, Owner
from coracle.kube.controllers.history import HASH
from coracle.kube.controllers.templates import new_pod
from coracle.kube.kinds import persistentvolumeclaim
from coracle.kube.kinds.statefulset import DELETE, with_claims

NAME, INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


def ordinals(stateful: Object) -> range:
    """Those that the set is to have."""
    start = int((stateful.spec.get("ordinals") or {}).get("start") or 0)
    return range(start, start + stateful.spec["replicas"])


def ordinal(stateful: Object, pod: Object) -> int | None:
    """None where the pod is not called as the set's pods are."""
    found = re.fullmatch(rf"{re.escape(stateful.meta.name)}-(0|[1-9][0-9]*)", pod.meta.name)
    return int(found[1]) if found else None


def stateful_pod(stateful: Object, template: Mapping[str, Any], revision: str, number: int) -> Object:
    """The pod with that ordinal, of that revision."""
    name = f"{stateful.meta.name}-{number}"
    pod = new_pod(stateful, template, name=name)
    pod = pod.with_meta(labels={**pod.meta.labels, **own_labels(name, number), HASH: revision})
    claims = stateful.spec.get("volumeClaimTemplates") or ()
    volumes = with_claims(pod.spec.get("volumes"), claims, lambda claim: claim_name(stateful, claim, number))
    said: Json = {"hostname": name, "subdomain": stateful.spec.get("serviceName") or "", "volumes": volumes}
    return pod.with_spec(**{field: value for field, value in said.items() if value})


def own_labels(name: str, number: int) -> dict[str, str]:
    return {NAME: name, INDEX: str(number)}


# -- claims --------------------------------------------------------------------------------------------------------


def claim_name(stateful: Object, claim: Mapping[str, Any], number: int) -> str:
    return f"{claim['metadata']['name']}-{stateful.meta.name}-{number}"


def new_claim(stateful: Object, claim: Mapping[str, Any], number: int) -> Object:
    """The claim of the pod with that ordinal, from its template."""
    meta, chosen = claim["metadata"], stateful.spec["selector"].get("matchLabels") or {}
    made = Meta(
        name=claim_name(stateful, claim, number),
        namespace=stateful.meta.namespace,
        labels={**(meta.get("labels") or {}), **chosen},
        annotations=meta.get("annotations") or {},
    )
    return Object(persistentvolumeclaim.KIND.name, made, {"spec": claim["spec"]})


def is_claim_of(stateful: Object, name: str) -> bool:
    """Whether a claim is called as one of the set's."""
    templates = [claim["metadata"]["name"] for claim in stateful.spec.get("volumeClaimTemplates") or ()]
    return any(re.fullmatch(f"{re.escape(one)}-{re.escape(stateful.meta.name)}-[0-9]+", name) for one in templates)


def kept_by(claim: Object, stateful: Object, pod: Object | None, *, condemned: bool) -> Object:
    """The claim with the owners that the set's retention policy gives it; `condemned`: its pod is being scaled away.

    A claim that goes with the set is owned by the set, one that goes with its pod is owned by the pod; one that
    somebody else controls is owned by neither.
    """
    policy = stateful.spec["persistentVolumeClaimRetentionPolicy"]
    taken = is_taken(claim, stateful, pod)
    with_pod = condemned and policy["whenScaled"] == DELETE and pod is not None and not taken
    with_set = policy["whenDeleted"] == DELETE and not with_pod and not taken
    owners = list(_strangers(claim, stateful, pod))
    if with_pod and pod is not None:
        owners.append(pod.as_owner())
    if with_set:
        owners.append(stateful.as_owner())
    return claim.with_meta(owners=tuple(owners)) if tuple(owners) != claim.meta.owners else claim


def is_taken(claim: Object, stateful: Object, pod: Object | None) -> bool:
    """Whether somebody else controls a claim that is to go with the set or its pod."""
    goes = DELETE in stateful.spec["persistentVolumeClaimRetentionPolicy"].values()
    return goes and any(owner.controller for owner in _strangers(claim, stateful, pod))


def _strangers(claim: Object, stateful: Object, pod: Object | None) -> Iterable[Owner]:
    ours = {stateful.meta.uid, pod.meta.uid if pod is not None else ""}
    return (owner for owner in claim.meta.owners if owner.uid not in ours)


def is_stale(claim: Object, pod: Object | None) -> bool:
    """Whether the claim goes away with a pod that is not `pod`: another one may not begin to use it."""
    uid = pod.meta.uid if pod is not None else ""
    return bool(claim.meta.deleting) or any(
        owner.kind == "Pod" and owner.uid != uid for owner in claim.meta.owners if owner.api == "v1"
    )
