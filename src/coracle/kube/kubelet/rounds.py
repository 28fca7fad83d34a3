"""Starting a whole pod anew where it stands: the action RestartAllContainers of a container's restart rules.  Pure.

    round 0   a container ends as a rule with that action says: whatever else runs is killed, without hooks or grace
    round 1   the init containers run again from the first one, then all others; the sandbox, its address and the
              volumes stay, and every container counts one restart more

The round is a label of each attempt, so that it survives the daemon.  Init containers alone run again where the sandbox
had to be made again: what they had set up in it is lost.  The back-off of the one that has asked for the
new round delays the new round's attempt at it, as if it had been started again alone.

Source: Kubernetes documentation, "Pod Lifecycle", "Restart All Containers"; KEP-5532; kubelet's
GenerateAllContainersRestartingCondition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.object import Json, Object
from coracle.kube.kubelet import policy
from coracle.kube.kubelet.policy import RESTART_ALL
from coracle.kube.kubelet.records import Attempt, Present, containers_of, init_containers_of

CONDITION = "AllContainersRestarting"


@dataclass(frozen=True, slots=True)
class Round:
    """Where a pod stands.  `present`: what there is of this round; `cause`: the attempt that has asked for it, as long
    as nothing of it was begun; `leftover`: what still runs of the round before."""

    number: int
    present: Present
    cause: Attempt | None = None
    leftover: tuple[Attempt, ...] = ()


def current(pod: Object, present: Present) -> Round:
    """The round that the pod is in, or is to begin."""
    lately = present.lately
    cause = None if pod.meta.deleting or policy.over(pod) else policy.cause(pod, lately)
    if cause is None:
        return Round(lately.round, _since_mended(pod, lately))
    leftover = tuple(attempt for attempt in present.all if attempt.state == "running")
    return Round(lately.round + 1, present.without_attempts(), cause, leftover)


def _since_mended(pod: Object, lately: Present) -> Present:
    """What init containers did for a sandbox that is lost since (a reboot) they have to do again."""
    mine = {container["name"] for container in init_containers_of(pod)}
    old = {
        name: tried[-1] for name, tried in lately.attempts.items() if name in mine and tried[-1].mended < lately.mended
    }
    if not old:
        return lately
    kept = {name: tried for name, tried in lately.attempts.items() if name not in old}
    return Present(lately.sandbox, kept, {**lately.past, **old})


def verdict(pod: Object, phase: str, stands: Round) -> dict[str, Json]:
    """What the pod's conditions say of it, where one of its containers could ask for it."""
    if not any(_could_ask(one) for one in (*init_containers_of(pod), *containers_of(pod))):
        return {}
    if phase in ("Succeeded", "Failed"):
        return {CONDITION: {"status": "False", "reason": "PodCompleted" if phase == "Succeeded" else "PodFailed"}}
    if stands.cause is None:
        return {CONDITION: {"status": "False"}}
    said = "container exited with restart policy rule"
    return {CONDITION: {"status": "True", "reason": "RestartAllContainersStarted", "message": said}}


def _could_ask(container: Mapping[str, Any]) -> bool:
    return any(rule.get("action") == RESTART_ALL for rule in container.get("restartPolicyRules") or ())
