"""All that a pod's status is made from."""

from __future__ import annotations

from dataclasses import dataclass

from coracle.core.object import Object
from coracle.kube.kubelet import policy
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.policy import Outcome
from coracle.kube.kubelet.records import Present, everyone

LONGEST_MESSAGE, _ALL_MESSAGES = 4096, 12 * 1024


@dataclass(frozen=True, slots=True)
class View:
    """All that a status is made from.  `host_address`: of the node."""

    pod: Object
    present: Present
    notes: Notes
    now_s: float
    host_address: str

    @property
    def refused(self) -> bool:
        """Nothing of it was ever made, nor will be."""
        if self.present.attempts:
            return False
        return policy.over(self.pod) and not self.pod.status.get("containerStatuses")

    @property
    def longest_message(self) -> int:
        """Of a container's end, so that those of the whole pod stay within bounds."""
        return min(LONGEST_MESSAGE, _ALL_MESSAGES // max(1, len(everyone(self.pod))))

    @property
    def outcome(self) -> Outcome | None:
        """How the pod has ended, or is about to end."""
        return policy.outcome(self.pod, self.present, self.now_s)

    @property
    def end(self) -> Outcome | None:
        """How the pod has ended, once nothing of it runs; a pod's phase is not final before."""
        if any(attempt.state == "running" for attempt in self.present.all):
            return self.outcome if policy.over(self.pod) else None
        if self.pod.meta.deleting and self.outcome is None:
            return policy.when_deleted(self.pod, self.present)
        return self.outcome
