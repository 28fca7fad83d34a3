"""Where a pod can run at all.  Each filter gives the reasons why a node is not for it, in Kubernetes' words.

Source: Kubernetes documentation, "Scheduler Configuration: Scheduling plugins", "Taints and Tolerations".
"""

from __future__ import annotations

from collections.abc import Sequence

from coracle.kube.kinds.taints import tolerated
from coracle.kube.scheduler.affinity import Neighbours, selects
from coracle.kube.scheduler.state import ANYWHERE, HostPort, NodeState, PodFacts
from coracle.kube.scheduler.storage import IN_USE

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


def reasons(pod: PodFacts, node: NodeState, around: Neighbours) -> list[str]:
    """Why `pod` cannot run on `node`: those of the first filter that refuses it; empty when it can."""
    return (
        _unschedulable(pod, node)
        or _tainted(pod, node)
        or _unselected(pod, node)
        or _ports_taken(pod, node)
        or _insufficient(pod, node)
        or _claims_taken(pod, node)
        or [said for said in (around.repels(node),) if said]
    )


def _unschedulable(pod: PodFacts, node: NodeState) -> list[str]:
    taint = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    refused = node.unschedulable and not tolerated(taint, pod.spec.get("tolerations") or ())
    return ["node(s) were unschedulable"] if refused else []


def _tainted(pod: PodFacts, node: NodeState) -> list[str]:
    for taint in node.taints:
        hard = taint["effect"] in ("NoSchedule", "NoExecute")
        if hard and not tolerated(taint, pod.spec.get("tolerations") or ()):
            return ["node(s) had untolerated taint(s)"]
    return []


def _unselected(pod: PodFacts, node: NodeState) -> list[str]:
    return [] if selects(pod, node) else ["node(s) didn't match Pod's node affinity/selector"]


def _ports_taken(pod: PodFacts, node: NodeState) -> list[str]:
    if not pod.ports:
        return []
    taken = [port for other in node.pods.values() for port in other.ports]
    clash = any(_clash(one, other) for one in pod.ports for other in taken)
    return ["node(s) didn't have free ports for the requested pod ports"] if clash else []


def _clash(one: HostPort, other: HostPort) -> bool:
    same_address = one[1] == other[1] or one[1] in ANYWHERE or other[1] in ANYWHERE
    return one[0] == other[0] and one[2] == other[2] and same_address


def _insufficient(pod: PodFacts, node: NodeState) -> list[str]:
    found = ["Too many pods"] if len(node.pods) + 1 > node.most_pods else []
    for name, amount in pod.wants.items():
        if amount > node.gives.get(name, 0) - node.taken.get(name, 0):
            found.append(f"Insufficient {name}")
    return found


def _claims_taken(pod: PodFacts, node: NodeState) -> list[str]:
    return [IN_USE] if pod.alone and any(pod.alone & other.claims for other in node.pods.values()) else []


_FREEABLE = (
    IN_USE,
    "Insufficient ",
    "Too many pods",
    "node(s) didn't have free ports",
    "node(s) didn't match pod anti-affinity",
    "node(s) didn't satisfy existing pods anti-affinity",
    "node(s) didn't match pod topology spread constraints",
)
_SETTLED = "(missing required label)"


def freeable(pod: PodFacts, node: NodeState, said: Sequence[str]) -> bool:
    """Whether removing pods from the node could help `pod`, which it refuses with what is `said`."""
    if any(amount > node.gives.get(name, 0) for name, amount in pod.wants.items()):
        return False
    return all(reason.startswith(_FREEABLE) and not reason.endswith(_SETTLED) for reason in said)
