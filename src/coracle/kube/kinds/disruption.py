"""Say in a pod why somebody makes it go: the condition DisruptionTarget, which Jobs and people read.

Source: Kubernetes documentation, "Disruptions: Pod disruption conditions".
"""

from __future__ import annotations

from coracle.core.object import Json, Object
from coracle.kube.kinds.conditions import with_condition
from coracle.kube.kinds.pod import ended

TARGET = "DisruptionTarget"


def target(reason: str, message: str) -> Json:
    return {"type": TARGET, "status": "True", "lastProbeTime": None, "reason": reason, "message": message}


def doomed(pod: Object, uid: str, said: Json, now: str) -> Object:
    """The pod saying why it goes; as it is where it is another one by now (`uid`), has ended or is going."""
    if (uid and pod.meta.uid != uid) or ended(pod) or pod.meta.deleting:
        return pod
    new = {**said, "observedGeneration": pod.meta.generation}
    return pod.with_status(conditions=with_condition(pod.status.get("conditions"), new, now))
