"""The fields of pods and of what makes them, by their Protobuf numbers: tables for `wire.protobuf.read`.

"text", "number" and "flag" are fields that Go writes even where nobody set them.

Source: generated.proto of core/v1, apps/v1, batch/v1 and meta/v1.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from coracle.wire.protobuf import As, Map

Table = dict[int, tuple[str, Any]]


def _time(found: dict[str, Any]) -> str | None:
    seconds = found.get("seconds")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None


def inlined(found: dict[str, Any]) -> dict[str, Any]:
    """JSON has the fields of an embedded message among the others."""
    return {**found.pop("*", {}), **found}


TIME = As({1: ("seconds", "int")}, _time)
INT_OR_STRING = As(
    {1: ("type", "int"), 2: ("int", "int"), 3: ("text", "string")},
    lambda found: found.get("text", "") if found.get("type") else found.get("int", 0),
)
QUANTITY = As({1: ("text", "string")}, lambda found: found.get("text", "0"))
NAME = {1: ("name", "string")}
_OWNER = {
    1: ("kind", "string"), 3: ("name", "string"), 4: ("uid", "string"), 5: ("apiVersion", "string"),
    6: ("controller", "bool"), 7: ("blockOwnerDeletion", "bool"),
}  # fmt: skip
META = {
    1: ("name", "text"), 2: ("generateName", "text"), 3: ("namespace", "text"), 5: ("uid", "text"),
    6: ("resourceVersion", "text"), 7: ("generation", "number"), 8: ("creationTimestamp", TIME),
    9: ("deletionTimestamp", TIME), 10: ("deletionGracePeriodSeconds", "int"), 11: ("labels", Map("string")),
    12: ("annotations", Map("string")), 13: ("ownerReferences", [_OWNER]), 14: ("finalizers", ["string"]),
}  # fmt: skip
_PAIR = {1: ("name", "string"), 2: ("value", "text")}
_NEED = {1: ("key", "string"), 2: ("operator", "string"), 3: ("values", ["string"])}
SELECTOR = {1: ("matchLabels", Map("string")), 2: ("matchExpressions", [_NEED])}

# -- environment ---------------------------------------------------------------------------------------------------

_FIELD = {1: ("apiVersion", "text"), 2: ("fieldPath", "string")}
_RESOURCE = {1: ("containerName", "text"), 2: ("resource", "string"), 3: ("divisor", QUANTITY)}
_KEY = As({1: ("*", NAME), 2: ("key", "string"), 3: ("optional", "bool")}, inlined)
_FILE_KEY = {1: ("volumeName", "string"), 2: ("path", "string"), 3: ("key", "string"), 4: ("optional", "bool")}
_VARIABLE = {
    1: ("name", "string"), 2: ("value", "text"),
    3: ("valueFrom", {
        1: ("fieldRef", _FIELD), 2: ("resourceFieldRef", _RESOURCE), 3: ("configMapKeyRef", _KEY),
        4: ("secretKeyRef", _KEY), 5: ("fileKeyRef", _FILE_KEY),
    }),
}  # fmt: skip
_WHOLE = As({1: ("*", NAME), 2: ("optional", "bool")}, inlined)
_FROM = {1: ("prefix", "text"), 2: ("configMapRef", _WHOLE), 3: ("secretRef", _WHOLE)}

# -- probes and hooks ----------------------------------------------------------------------------------------------

_EXEC = {1: ("command", ["string"])}
_HTTP = {
    1: ("path", "text"), 2: ("port", INT_OR_STRING), 3: ("host", "text"), 4: ("scheme", "text"),
    5: ("httpHeaders", [_PAIR]),
}  # fmt: skip
_TCP = {1: ("port", INT_OR_STRING), 2: ("host", "text")}
_GRPC = {1: ("port", "int"), 2: ("service", "string")}
_PROBE = As({
    1: ("*", {1: ("exec", _EXEC), 2: ("httpGet", _HTTP), 3: ("tcpSocket", _TCP), 4: ("grpc", _GRPC)}),
    2: ("initialDelaySeconds", "number"), 3: ("timeoutSeconds", "number"), 4: ("periodSeconds", "number"),
    5: ("successThreshold", "number"), 6: ("failureThreshold", "number"), 7: ("terminationGracePeriodSeconds", "int"),
}, inlined)  # fmt: skip
_HOOK = {1: ("exec", _EXEC), 2: ("httpGet", _HTTP), 3: ("tcpSocket", _TCP), 4: ("sleep", {1: ("seconds", "int")})}
_LIFECYCLE = {1: ("postStart", _HOOK), 2: ("preStop", _HOOK), 3: ("stopSignal", "string")}

# -- security ------------------------------------------------------------------------------------------------------

_SELINUX = {1: ("user", "text"), 2: ("role", "text"), 3: ("type", "text"), 4: ("level", "text")}
_PROFILE = {1: ("type", "string"), 2: ("localhostProfile", "string")}
_SECURITY = {
    1: ("capabilities", {1: ("add", ["string"]), 2: ("drop", ["string"])}), 2: ("privileged", "bool"),
    3: ("seLinuxOptions", _SELINUX), 4: ("runAsUser", "int"), 5: ("runAsNonRoot", "bool"),
    6: ("readOnlyRootFilesystem", "bool"), 7: ("allowPrivilegeEscalation", "bool"), 8: ("runAsGroup", "int"),
    9: ("procMount", "string"), 11: ("seccompProfile", _PROFILE), 12: ("appArmorProfile", _PROFILE),
}  # fmt: skip
_POD_SECURITY = {
    1: ("seLinuxOptions", _SELINUX), 2: ("runAsUser", "int"), 3: ("runAsNonRoot", "bool"),
    4: ("supplementalGroups", ["int"]), 5: ("fsGroup", "int"), 6: ("runAsGroup", "int"), 7: ("sysctls", [_PAIR]),
    9: ("fsGroupChangePolicy", "string"), 10: ("seccompProfile", _PROFILE), 11: ("appArmorProfile", _PROFILE),
    12: ("supplementalGroupsPolicy", "string"), 13: ("seLinuxChangePolicy", "string"),
}  # fmt: skip

# -- volumes -------------------------------------------------------------------------------------------------------

_ITEM = {1: ("key", "string"), 2: ("path", "string"), 3: ("mode", "int")}
_DOWNWARD = {
    1: ("path", "string"), 2: ("fieldRef", _FIELD), 3: ("resourceFieldRef", _RESOURCE), 4: ("mode", "int"),
}  # fmt: skip
_PROJECTED_NAME = As({1: ("*", NAME), 2: ("items", [_ITEM]), 4: ("optional", "bool")}, inlined)
_PROJECTION = {
    1: ("secret", _PROJECTED_NAME), 2: ("downwardAPI", {1: ("items", [_DOWNWARD])}), 3: ("configMap", _PROJECTED_NAME),
    4: ("serviceAccountToken", {1: ("audience", "text"), 2: ("expirationSeconds", "int"), 3: ("path", "string")}),
}  # fmt: skip
_CLAIM = {
    1: ("accessModes", ["string"]),
    2: ("resources", {1: ("limits", Map(QUANTITY)), 2: ("requests", Map(QUANTITY))}),
    3: ("volumeName", "text"), 4: ("selector", SELECTOR), 5: ("storageClassName", "string"),
    6: ("volumeMode", "string"),
}  # fmt: skip
_SOURCE = {
    1: ("hostPath", {1: ("path", "string"), 2: ("type", "string")}),
    2: ("emptyDir", {1: ("medium", "text"), 2: ("sizeLimit", QUANTITY)}),
    6: ("secret", {
        1: ("secretName", "text"), 2: ("items", [_ITEM]), 3: ("defaultMode", "int"), 4: ("optional", "bool"),
    }),
    7: ("nfs", {1: ("server", "string"), 2: ("path", "string"), 3: ("readOnly", "flag")}),
    10: ("persistentVolumeClaim", {1: ("claimName", "string"), 2: ("readOnly", "flag")}),
    16: ("downwardAPI", {1: ("items", [_DOWNWARD]), 2: ("defaultMode", "int")}),
    19: ("configMap", As({
        1: ("*", NAME), 2: ("items", [_ITEM]), 3: ("defaultMode", "int"), 4: ("optional", "bool"),
    }, inlined)),
    26: ("projected", {1: ("sources", [_PROJECTION]), 2: ("defaultMode", "int")}),
    29: ("ephemeral", {1: ("volumeClaimTemplate", {1: ("metadata", META), 2: ("spec", _CLAIM)})}),
    30: ("image", {1: ("reference", "text"), 2: ("pullPolicy", "text")}),
}  # fmt: skip
_VOLUME = As({1: ("name", "string"), 2: ("*", _SOURCE)}, inlined)
_MOUNT = {
    1: ("name", "string"), 2: ("readOnly", "flag"), 3: ("mountPath", "string"), 4: ("subPath", "text"),
    5: ("mountPropagation", "string"), 6: ("subPathExpr", "text"), 7: ("recursiveReadOnly", "string"),
}  # fmt: skip

# -- containers ----------------------------------------------------------------------------------------------------

_PORT = {
    1: ("name", "text"), 2: ("hostPort", "number"), 3: ("containerPort", "int"), 4: ("protocol", "text"),
    5: ("hostIP", "text"),
}  # fmt: skip
_RESOURCES = {
    1: ("limits", Map(QUANTITY)), 2: ("requests", Map(QUANTITY)),
    3: ("claims", [{1: ("name", "string"), 2: ("request", "text")}]),
}  # fmt: skip
_RULE = {
    1: ("action", "string"), 2: ("exitCodes", {1: ("operator", "string"), 2: ("values", ["int"])}),
}  # fmt: skip
_CONTAINER = {
    1: ("name", "string"), 2: ("image", "text"), 3: ("command", ["string"]), 4: ("args", ["string"]),
    5: ("workingDir", "text"), 6: ("ports", [_PORT]), 7: ("env", [_VARIABLE]), 8: ("resources", _RESOURCES),
    9: ("volumeMounts", [_MOUNT]), 10: ("livenessProbe", _PROBE), 11: ("readinessProbe", _PROBE),
    12: ("lifecycle", _LIFECYCLE), 13: ("terminationMessagePath", "text"), 14: ("imagePullPolicy", "text"),
    15: ("securityContext", _SECURITY), 16: ("stdin", "flag"), 17: ("stdinOnce", "flag"), 18: ("tty", "flag"),
    19: ("envFrom", [_FROM]), 20: ("terminationMessagePolicy", "text"),
    21: ("volumeDevices", [{1: ("name", "string"), 2: ("devicePath", "string")}]), 22: ("startupProbe", _PROBE),
    23: ("resizePolicy", [{1: ("resourceName", "string"), 2: ("restartPolicy", "string")}]),
    24: ("restartPolicy", "string"), 25: ("restartPolicyRules", [_RULE]),
}  # fmt: skip

# -- where a pod runs ----------------------------------------------------------------------------------------------

_TERM = {1: ("matchExpressions", [_NEED]), 2: ("matchFields", [_NEED])}
_NEAR = {
    1: ("labelSelector", SELECTOR), 2: ("namespaces", ["string"]), 3: ("topologyKey", "string"),
    4: ("namespaceSelector", SELECTOR), 5: ("matchLabelKeys", ["string"]), 6: ("mismatchLabelKeys", ["string"]),
}  # fmt: skip
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NEIGHBOURS = {1: (_REQUIRED, [_NEAR]), 2: (_PREFERRED, [{1: ("weight", "int"), 2: ("podAffinityTerm", _NEAR)}])}
_AFFINITY = {
    1: ("nodeAffinity", {
        1: (_REQUIRED, {1: ("nodeSelectorTerms", [_TERM])}),
        2: (_PREFERRED, [{1: ("weight", "int"), 2: ("preference", _TERM)}]),
    }),
    2: ("podAffinity", _NEIGHBOURS), 3: ("podAntiAffinity", _NEIGHBOURS),
}  # fmt: skip
_TOLERATION = {
    1: ("key", "text"), 2: ("operator", "text"), 3: ("value", "text"), 4: ("effect", "text"),
    5: ("tolerationSeconds", "int"),
}  # fmt: skip
_SPREAD = {
    1: ("maxSkew", "int"), 2: ("topologyKey", "string"), 3: ("whenUnsatisfiable", "string"),
    4: ("labelSelector", SELECTOR), 5: ("minDomains", "int"), 6: ("nodeAffinityPolicy", "string"),
    7: ("nodeTaintsPolicy", "string"), 8: ("matchLabelKeys", ["string"]),
}  # fmt: skip
_DNS = {1: ("nameservers", ["string"]), 2: ("searches", ["string"]), 3: ("options", [_PAIR])}

POD_SPEC = {
    1: ("volumes", [_VOLUME]), 2: ("containers", [_CONTAINER]), 3: ("restartPolicy", "text"),
    4: ("terminationGracePeriodSeconds", "int"), 5: ("activeDeadlineSeconds", "int"), 6: ("dnsPolicy", "text"),
    7: ("nodeSelector", Map("string")), 8: ("serviceAccountName", "text"), 9: ("serviceAccount", "text"),
    10: ("nodeName", "text"), 11: ("hostNetwork", "flag"), 12: ("hostPID", "flag"), 13: ("hostIPC", "flag"),
    14: ("securityContext", _POD_SECURITY), 15: ("imagePullSecrets", [NAME]), 16: ("hostname", "text"),
    17: ("subdomain", "text"), 18: ("affinity", _AFFINITY), 19: ("schedulerName", "text"),
    20: ("initContainers", [_CONTAINER]), 21: ("automountServiceAccountToken", "bool"),
    22: ("tolerations", [_TOLERATION]), 23: ("hostAliases", [{1: ("ip", "string"), 2: ("hostnames", ["string"])}]),
    24: ("priorityClassName", "text"), 25: ("priority", "int"), 26: ("dnsConfig", _DNS),
    27: ("shareProcessNamespace", "bool"), 28: ("readinessGates", [{1: ("conditionType", "string")}]),
    29: ("runtimeClassName", "string"), 30: ("enableServiceLinks", "bool"), 31: ("preemptionPolicy", "string"),
    32: ("overhead", Map(QUANTITY)), 33: ("topologySpreadConstraints", [_SPREAD]),
    35: ("setHostnameAsFQDN", "bool"), 36: ("os", NAME), 37: ("hostUsers", "bool"), 38: ("schedulingGates", [NAME]),
    40: ("resources", _RESOURCES), 41: ("hostnameOverride", "string"),
}  # fmt: skip
TEMPLATE = {1: ("metadata", META), 2: ("spec", POD_SPEC)}

# -- what makes pods -----------------------------------------------------------------------------------------------

_ROLLING = {1: ("maxUnavailable", INT_OR_STRING), 2: ("maxSurge", INT_OR_STRING)}
DEPLOYMENT = {
    1: ("metadata", META),
    2: ("spec", {
        1: ("replicas", "int"), 2: ("selector", SELECTOR), 3: ("template", TEMPLATE),
        4: ("strategy", {1: ("type", "text"), 2: ("rollingUpdate", _ROLLING)}), 5: ("minReadySeconds", "number"),
        6: ("revisionHistoryLimit", "int"), 7: ("paused", "flag"), 9: ("progressDeadlineSeconds", "int"),
    }),
}  # fmt: skip
_EXIT_CODES = {1: ("containerName", "string"), 2: ("operator", "string"), 3: ("values", ["int"])}
_FAILURE_RULE = {
    1: ("action", "string"), 2: ("onExitCodes", _EXIT_CODES),
    3: ("onPodConditions", [{1: ("type", "string"), 2: ("status", "string")}]),
}  # fmt: skip
_JOB_SPEC = {
    1: ("parallelism", "int"), 2: ("completions", "int"), 3: ("activeDeadlineSeconds", "int"),
    4: ("selector", SELECTOR), 5: ("manualSelector", "bool"), 6: ("template", TEMPLATE), 7: ("backoffLimit", "int"),
    8: ("ttlSecondsAfterFinished", "int"), 9: ("completionMode", "string"), 10: ("suspend", "bool"),
    11: ("podFailurePolicy", {1: ("rules", [_FAILURE_RULE])}), 12: ("backoffLimitPerIndex", "int"),
    13: ("maxFailedIndexes", "int"), 14: ("podReplacementPolicy", "string"), 15: ("managedBy", "string"),
    16: ("successPolicy", {1: ("rules", [{1: ("succeededIndexes", "string"), 2: ("succeededCount", "int")}])}),
}  # fmt: skip
JOB = {1: ("metadata", META), 2: ("spec", _JOB_SPEC)}
CRON_JOB = {
    1: ("metadata", META),
    2: ("spec", {
        1: ("schedule", "string"), 2: ("startingDeadlineSeconds", "int"), 3: ("concurrencyPolicy", "text"),
        4: ("suspend", "bool"), 5: ("jobTemplate", {1: ("metadata", META), 2: ("spec", _JOB_SPEC)}),
        6: ("successfulJobsHistoryLimit", "int"), 7: ("failedJobsHistoryLimit", "int"), 8: ("timeZone", "string"),
    }),
}  # fmt: skip
