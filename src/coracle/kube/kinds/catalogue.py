"""All kinds of the cluster, in one tuple.  Nothing registers itself: a kind that is not listed here is not served."""

from __future__ import annotations

from coracle.core.kind import Kind
from coracle.kube.kinds import (
    configmap,
    controllerrevision,
    cronjob,
    csidriver,
    csinode,
    csistoragecapacity,
    daemonset,
    deployment,
    endpoints,
    endpointslice,
    event,
    horizontalpodautoscaler,
    job,
    lease,
    limitrange,
    namespace,
    node,
    persistentvolume,
    persistentvolumeclaim,
    pod,
    poddisruptionbudget,
    podtemplate,
    priorityclass,
    replicaset,
    replicationcontroller,
    resourcequota,
    runtimeclass,
    secret,
    service,
    serviceaccount,
    statefulset,
    storageclass,
    volumeattachment,
    volumeattributesclass,
)

SERVICE_ADDRESSES = "100.64.0.0/16"
NODE_PORTS = (30000, 32767)


def kinds(service_addresses: str = SERVICE_ADDRESSES, node_ports: tuple[int, int] = NODE_PORTS) -> tuple[Kind, ...]:
    """The kinds of a cluster that takes cluster IPs and node ports from these ranges, in the order of discovery."""
    return (
        configmap.KIND,
        endpoints.KIND,
        event.KIND,
        limitrange.KIND,
        namespace.KIND,
        node.KIND,
        persistentvolume.KIND,
        persistentvolumeclaim.KIND,
        pod.KIND,
        podtemplate.KIND,
        replicationcontroller.KIND,
        resourcequota.KIND,
        secret.KIND,
        serviceaccount.KIND,
        service.kind(service_addresses, node_ports),
        controllerrevision.KIND,
        daemonset.KIND,
        deployment.KIND,
        replicaset.KIND,
        statefulset.KIND,
        horizontalpodautoscaler.KIND,
        cronjob.KIND,
        job.KIND,
        lease.KIND,
        endpointslice.KIND,
        runtimeclass.KIND,
        poddisruptionbudget.KIND,
        priorityclass.KIND,
        csidriver.KIND,
        csinode.KIND,
        csistoragecapacity.KIND,
        storageclass.KIND,
        volumeattachment.KIND,
        volumeattributesclass.KIND,
    )
