"""Fields whose zero says nothing: `hostNetwork: false`, `env: []` are as good as not written, and not kept.

Kubernetes' own types leave such fields out of what they write (Go's `omitempty`), so that a template with and without
them is the same, and a Deployment to which they are added does not roll out anew.  A list or map that may be missing
is such a field.  Of numbers, words and truths only some are: where zero is a value of its own (`replicas: 0`,
`privileged: false`, `storageClassName: ""`) it is kept.  The OpenAPI documents do not tell which, so they stand here.

Source: the Go types of k8s.io/api (which of their fields are no pointers).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_CONTAINER = "image imagePullPolicy stdin stdinOnce terminationMessagePath terminationMessagePolicy tty workingDir"
_OMITTED: dict[str, str] = {
    "core.v1.PodSpec": "dnsPolicy hostIPC hostNetwork hostPID hostname nodeName priorityClassName restartPolicy"
    " schedulerName serviceAccount serviceAccountName subdomain",
    "core.v1.Container": _CONTAINER,
    "core.v1.EphemeralContainer": f"{_CONTAINER} targetContainerName",
    "core.v1.ContainerPort": "hostIP hostPort name protocol",
    "core.v1.EnvVar": "value",
    "core.v1.EnvFromSource": "prefix",
    "core.v1.ObjectFieldSelector": "apiVersion",
    "core.v1.ResourceFieldSelector": "containerName",
    "core.v1.Probe": "failureThreshold initialDelaySeconds periodSeconds successThreshold timeoutSeconds",
    "core.v1.HTTPGetAction": "host path scheme",
    "core.v1.TCPSocketAction": "host",
    "core.v1.VolumeMount": "readOnly subPath subPathExpr",
    "core.v1.EmptyDirVolumeSource": "medium",
    "core.v1.NFSVolumeSource": "readOnly",
    "core.v1.PersistentVolumeClaimVolumeSource": "readOnly",
    "core.v1.ServiceAccountTokenProjection": "audience",
    "core.v1.SELinuxOptions": "level role type user",
    "core.v1.Toleration": "effect key operator value",
    "core.v1.Taint": "value",
    "core.v1.NodeSpec": "podCIDR providerID unschedulable",
    "core.v1.ServiceSpec": "clusterIP externalName externalTrafficPolicy healthCheckNodePort loadBalancerIP"
    " publishNotReadyAddresses sessionAffinity type",
    "core.v1.ServicePort": "name nodePort protocol",
    "core.v1.PersistentVolumeClaimSpec": "volumeName",
    "core.v1.PersistentVolumeSpec": "persistentVolumeReclaimPolicy storageClassName",
    "core.v1.ReplicationControllerSpec": "minReadySeconds",
    "core.v1.Secret": "type",
    "apps.v1.DaemonSetSpec": "minReadySeconds",
    "apps.v1.DaemonSetUpdateStrategy": "type",
    "apps.v1.DeploymentSpec": "minReadySeconds paused",
    "apps.v1.DeploymentStrategy": "type",
    "apps.v1.ReplicaSetSpec": "minReadySeconds",
    "apps.v1.StatefulSetSpec": "minReadySeconds podManagementPolicy",
    "apps.v1.StatefulSetUpdateStrategy": "type",
    "batch.v1.CronJobSpec": "concurrencyPolicy",
    "networking.v1.HTTPIngressPath": "path",
    "networking.v1.IngressRule": "host",
    "networking.v1.IngressTLS": "secretName",
    "networking.v1.ServiceBackendPort": "name number",
    "scheduling.v1.PriorityClass": "description globalDefault",
}

# Lists that are written even where they are empty.
_WRITTEN: dict[str, str] = {
    "autoscaling.v2.HorizontalPodAutoscalerStatus": "currentMetrics",
    "core.v1.NamespaceSpec": "finalizers",  # none: whoever empties it has done so
    "core.v1.ProjectedVolumeSource": "sources",
    "discovery.v1.EndpointSlice": "endpoints ports",
    "rbac.v1.ClusterRole": "rules",
    "rbac.v1.Role": "rules",
}


def omitted(name: str, properties: Mapping[str, str | list[Any]], required: Iterable[str]) -> frozenset[str]:
    """The fields of a type that are left out where they are zero.  `properties` as in definitions.jsonl."""
    own = name.removeprefix("io.k8s.api.")
    lists = {field for field, text in properties.items() if _is_many(text)}
    return frozenset(lists.difference(required, _WRITTEN.get(own, "").split()).union(_OMITTED.get(own, "").split()))


def _is_many(text: str | list[Any]) -> bool:
    return (text if isinstance(text, str) else text[0]).startswith(("[]", "{}"))
