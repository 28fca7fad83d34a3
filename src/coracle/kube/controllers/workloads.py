"""The loops that make pods, and what they need of the caches."""

from __future__ import annotations

from collections.abc import Mapping

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.informer import Index, Informer
from coracle.core.loop import Reconciler
from coracle.kube.controllers import cronjobs, replication
from coracle.kube.controllers.daemons import loop as daemons
from coracle.kube.controllers.deployments import loop as deployments
from coracle.kube.controllers.jobs import loop as jobs
from coracle.kube.controllers.means import Means
from coracle.kube.controllers.stateful import loop as stateful
from coracle.kube.kinds.recorder import EventRecorder

# As Events name who speaks.
SPEAKERS = (
    "replication-controller",
    "replicaset-controller",
    "deployment-controller",
    "daemonset-controller",
    "statefulset-controller",
    "job-controller",
    "cronjob-controller",
)


def _merged(*many: Mapping[str, Mapping[str, Index]]) -> dict[str, dict[str, Index]]:
    found: dict[str, dict[str, Index]] = {}
    for indexes in many:
        for type, wanted in indexes.items():
            found.setdefault(type, {}).update(wanted)
    return found


INDEXES = _merged(
    replication.INDEXES, deployments.INDEXES, daemons.INDEXES, stateful.INDEXES, jobs.INDEXES, cronjobs.INDEXES
)


def loops(
    caches: Mapping[str, Informer],
    writers: Mapping[str, Collection],
    recorders: Mapping[str, EventRecorder],
    clock: Clock,
) -> list[Reconciler]:
    """`recorders` by the names in SPEAKERS."""

    def of(speaker: str) -> Means:
        return Means(caches, writers, recorders[speaker], clock)

    return [
        replication.Replication(replication.CONTROLLERS, of("replication-controller")),
        replication.Replication(replication.SETS, of("replicaset-controller")),
        deployments.Deployments(of("deployment-controller")),
        daemons.Daemons(of("daemonset-controller")),
        stateful.StatefulSets(of("statefulset-controller")),
        jobs.Jobs(of("job-controller")),
        cronjobs.CronJobs(of("cronjob-controller")),
    ]
