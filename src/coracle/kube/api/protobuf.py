"""Bodies in `application/vnd.kubernetes.protobuf`, which kubectl's typed commands send without asking first.

`kubectl create namespace|configmap|secret|serviceaccount|service|ingress|deployment|job|cronjob`, `kubectl auth` and
evictions are sent so; everything else of kubectl is JSON.  Answers are always JSON, which these clients accept.

Source: Kubernetes API concepts, "Kubernetes Protobuf encoding"; generated.proto of core/v1 and meta/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Malformed, Unsupported
from coracle.kube.api import networkproto, podproto, policyproto
from coracle.kube.api.podproto import META, NAME, QUANTITY
from coracle.wire.protobuf import Map, fields, read

_MAGIC = b"k8s\x00"

_OPTIONS = {
    1: ("gracePeriodSeconds", "int"),
    2: ("preconditions", {1: ("uid", "string"), 2: ("resourceVersion", "string")}),
    4: ("propagationPolicy", "string"),
    5: ("dryRun", ["string"]),
}
_ACCESS = {
    1: ("resourceAttributes", {
        1: ("namespace", "string"), 2: ("verb", "string"), 3: ("group", "string"), 4: ("version", "string"),
        5: ("resource", "string"), 6: ("subresource", "string"), 7: ("name", "string"),
    }),
    2: ("nonResourceAttributes", {1: ("path", "string"), 2: ("verb", "string")}),
    3: ("user", "string"), 4: ("groups", ["string"]), 6: ("uid", "string"),
}  # fmt: skip
_ACCESS_REVIEW = {1: ("metadata", META), 2: ("spec", _ACCESS)}
_BOUND = {1: ("kind", "string"), 2: ("apiVersion", "string"), 3: ("name", "string"), 4: ("uid", "string")}
_TOKEN = {1: ("audiences", ["string"]), 3: ("boundObjectRef", _BOUND), 4: ("expirationSeconds", "int")}
_TARGET = {
    1: ("type", "string"), 2: ("value", QUANTITY), 3: ("averageValue", QUANTITY), 4: ("averageUtilization", "int"),
}  # fmt: skip
_RULES = {
    1: ("selectPolicy", "string"),
    2: ("policies", [{1: ("type", "string"), 2: ("value", "int"), 3: ("periodSeconds", "int")}]),
    3: ("stabilizationWindowSeconds", "int"), 4: ("tolerance", QUANTITY),
}  # fmt: skip
_RESOURCE_METRIC = {1: ("name", "string"), 2: ("target", _TARGET)}
_SCALED = {1: ("kind", "string"), 2: ("name", "string"), 3: ("apiVersion", "string")}
_AUTOSCALER_V1 = {
    1: ("scaleTargetRef", _SCALED), 2: ("minReplicas", "int"), 3: ("maxReplicas", "int"),
    4: ("targetCPUUtilizationPercentage", "int"),
}  # fmt: skip
_AUTOSCALER = {
    1: ("scaleTargetRef", _SCALED),
    2: ("minReplicas", "int"), 3: ("maxReplicas", "int"),
    4: ("metrics", [{
        1: ("type", "string"), 4: ("resource", _RESOURCE_METRIC),
        7: ("containerResource", {**_RESOURCE_METRIC, 3: ("container", "string")}),
    }]),
    5: ("behavior", {1: ("scaleUp", _RULES), 2: ("scaleDown", _RULES)}),
}  # fmt: skip
_AUTHENTICATION = "authentication.k8s.io/v1"
_AUTHORIZATION = "authorization.k8s.io/v1"
_TABLES: Mapping[tuple[str, str], Mapping[int, tuple[str, Any]]] = {
    ("v1", "Namespace"): {1: ("metadata", META), 2: ("spec", {1: ("finalizers", ["string"])})},
    ("v1", "ConfigMap"): {
        1: ("metadata", META), 2: ("data", Map("string")), 3: ("binaryData", Map("bytes")), 4: ("immutable", "bool"),
    },
    ("v1", "Secret"): {
        1: ("metadata", META), 2: ("data", Map("bytes")), 3: ("type", "string"), 4: ("stringData", Map("string")),
        5: ("immutable", "bool"),
    },
    ("v1", "ServiceAccount"): {
        1: ("metadata", META), 2: ("secrets", [{3: ("name", "string")}]), 3: ("imagePullSecrets", [NAME]),
        4: ("automountServiceAccountToken", "bool"),
    },
    ("v1", "DeleteOptions"): _OPTIONS,
    ("meta.k8s.io/v1", "DeleteOptions"): _OPTIONS,
    (_AUTHENTICATION, "SelfSubjectReview"): {1: ("metadata", META)},
    (_AUTHENTICATION, "TokenRequest"): {1: ("metadata", META), 2: ("spec", _TOKEN)},
    (_AUTHENTICATION, "TokenReview"): {
        1: ("metadata", META), 2: ("spec", {1: ("token", "string"), 2: ("audiences", ["string"])}),
    },
    (_AUTHORIZATION, "SelfSubjectAccessReview"): _ACCESS_REVIEW,
    (_AUTHORIZATION, "SubjectAccessReview"): _ACCESS_REVIEW,
    (_AUTHORIZATION, "LocalSubjectAccessReview"): _ACCESS_REVIEW,
    (_AUTHORIZATION, "SelfSubjectRulesReview"): {1: ("metadata", META), 2: ("spec", {1: ("namespace", "string")})},
    ("v1", "Pod"): {1: ("metadata", META), 2: ("spec", podproto.POD_SPEC)},
    ("apps/v1", "Deployment"): podproto.DEPLOYMENT,
    ("batch/v1", "Job"): podproto.JOB,
    ("batch/v1", "CronJob"): podproto.CRON_JOB,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): {1: ("metadata", META), 2: ("spec", _AUTOSCALER)},
    ("autoscaling/v1", "HorizontalPodAutoscaler"): {1: ("metadata", META), 2: ("spec", _AUTOSCALER_V1)},
    ("policy/v1", "Eviction"): {1: ("metadata", META), 2: ("deleteOptions", _OPTIONS)},
    **policyproto.TABLES,
    **networkproto.TABLES,
}  # fmt: skip
_TYPE = {1: ("apiVersion", "string"), 2: ("kind", "string")}


def parse_protobuf(raw: bytes) -> dict[str, Any]:
    """The document in an enveloped body, with its type.

    Raises Malformed, and Unsupported (415) for a kind that clients do not send so.
    """
    if not raw.startswith(_MAGIC):
        raise Malformed("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        type, inner = _open(raw[len(_MAGIC) :])
        table = _TABLES.get((type.get("apiVersion", ""), type.get("kind", "")))
        if table is None:
            said = f"{type.get('kind')} cannot be read from protobuf here; send application/json"
            raise Unsupported(said, status=415)
        return {**type, **{name: value for name, value in read(inner, table).items() if value not in ("", None)}}
    except (ValueError, UnicodeDecodeError) as error:
        raise Malformed(f"couldn't get version/kind; protobuf parse error: {error}") from error


def _open(envelope: bytes) -> tuple[dict[str, Any], bytes]:
    """runtime.Unknown: the type, and the encoded object."""
    parts = {number: value for number, value in fields(envelope) if isinstance(value, bytes)}
    return read(parts.get(1, b""), _TYPE), parts.get(2, b"")
