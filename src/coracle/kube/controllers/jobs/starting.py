"""A Job's pod, before it is made.

Source: Kubernetes documentation, "Job: Completion mode".
"""

from __future__ import annotations

from coracle.core.object import Json, Object
from coracle.kube.controllers.jobs.indexes import FAILURES, IGNORED, INDEX
from coracle.kube.controllers.jobs.plans import Start
from coracle.kube.controllers.jobs.tally import FINALIZER
from coracle.kube.controllers.templates import new_pod

_VARIABLE = "JOB_COMPLETION_INDEX"


def job_pod(job: Object, start: Start) -> Object:
    """Held until it is counted.  One with an index knows it by annotation, label, variable and host name."""
    pod = new_pod(job).with_finalizer(FINALIZER)
    if start.index is None:
        return pod
    name, text = f"{job.meta.name}-{start.index}", str(start.index)
    annotations = {**pod.meta.annotations, INDEX: text}
    if job.spec.get("backoffLimitPerIndex") is not None:
        annotations |= {FAILURES: str(start.failures), **({IGNORED: str(start.ignored)} if start.ignored else {})}
    pod = pod.with_meta(generate_name=f"{name}-", annotations=annotations, labels={**pod.meta.labels, INDEX: text})
    told = {kind: [_told(c) for c in pod.spec[kind]] for kind in ("containers", "initContainers") if pod.spec.get(kind)}
    return pod.with_spec(hostname=name, **told)


def _told(container: Json) -> Json:
    """The container with its index in the environment, unless it says otherwise."""
    present = container.get("env") or []
    if any(variable.get("name") == _VARIABLE for variable in present):
        return container
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    return {**container, "env": [*present, {"name": _VARIABLE, "valueFrom": source}]}
