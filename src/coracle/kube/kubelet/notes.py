"""What the kubelet knows of a pod that no record says: why a container waits, and what its probes found.

Kept in memory and lost with the daemon: all of it is found out again.  What probes had found is taken from the pod's
status, so that no pod is unready for a while because its kubelet was started anew.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from coracle.core.object import Object
from coracle.kube.kubelet.records import statuses_of
from coracle.kube.kubelet.resizing import Postponed
from coracle.kube.kubelet.volumes.service import Volume


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why something cannot go on, in Kubernetes' words, and when to try again (seconds since 1970)."""

    reason: str
    message: str = ""
    until_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes of one running container last found.  None: not known yet.

    `failed` names what asks for the container's end: "liveness probe", "startup probe", "postStart hook" or "".
    """

    started: bool | None = None
    ready: bool | None = None
    failed: str = ""


@dataclass(slots=True)
class Notes:
    """Of one pod.

    waiting   by container name
    health    by container id
    images    what was pulled for (container, attempt)
    volumes   where each volume is on the host, once they are set up
    sandbox   why the pod as a whole cannot begin; `failures` in a row
    admitted  it has its room on the node
    end_grace_s   of a pod that was evicted: instead of its own
    checked   the sandbox was seen to be whole by this daemon
    said      events that are said once
    postponed why the pod is not resized as it asks
    resizing  it is; `resize_error`: why that has failed
    hooking   ids of containers whose postStart hook goes on
    messages  what ended containers have left to say, by id (see `messages`)
    looks     how often a probe found what: (container, "Readiness", "failed") -> times
    cleared   everything of the pod was removed before it was
    """

    uid: str = ""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    health: dict[str, Health] = field(default_factory=dict)
    images: dict[tuple[str, int], Object] = field(default_factory=dict)
    volumes: dict[str, Volume] | None = None
    sandbox: Waiting | None = None
    failures: int = 0
    admitted: bool = False
    end_grace_s: float | None = None
    checked: bool = False
    said: set[str] = field(default_factory=set)
    postponed: Postponed | None = None
    resizing: bool = False
    resize_error: str = ""
    hooking: set[str] = field(default_factory=set)
    messages: dict[str, str] = field(default_factory=dict)
    looks: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    cleared: bool = False

    @classmethod
    def of(cls, pod: Object) -> Notes:
        """Of a pod that this daemon sees for the first time."""
        running = [one for one in statuses_of(pod) if "running" in (one.get("state") or {}) and one.get("started")]
        known = {
            (one.get("containerID") or "").rpartition("/")[2]: Health(
                started=True, ready=True if one.get("ready") else None
            )
            for one in running
        }
        return cls(pod.meta.uid, health=known)

    def health_of(self, id: str) -> Health:
        return self.health.get(id, Health())

    def hurry(self) -> None:
        """What was missing may be there: try again at once."""
        if self.sandbox is not None:
            self.sandbox = replace(self.sandbox, until_s=0.0)
        for name, waiting in self.waiting.items():
            if waiting.reason == "CreateContainerConfigError":
                self.waiting[name] = replace(waiting, until_s=0.0)

    def keep(self, ids: set[str]) -> None:
        """Forget what was noted of containers other than these."""
        self.health = {id: health for id, health in self.health.items() if id in ids}
        self.said &= ids
        self.messages = {id: message for id, message in self.messages.items() if id in ids}
