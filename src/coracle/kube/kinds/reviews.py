"""What a question about access must say to be answered.

Source: Kubernetes authorization.k8s.io/v1 API, *AccessReview; the messages of its validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.errors import Problem, invalid

LOCAL, OWN = "LocalSubjectAccessReview", "SelfSubjectAccessReview"
_ONE = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


def problems(name: str, doc: Mapping[str, Any], namespace: str) -> list[Problem]:
    """Of a review of kind `name` (SubjectAccessReview, LOCAL, OWN), asked in `namespace` ("": in none)."""
    spec, meta = doc.get("spec") or {}, doc.get("metadata") or {}
    of_resource, of_path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    found: list[Problem] = []
    if of_resource is not None and of_path is not None:
        said = "cannot be specified in combination with resourceAttributes"
        found.append(invalid("spec.nonResourceAttributes", of_path, said))
    if of_resource is None and of_path is None:
        found.append(invalid("spec.resourceAttributes", None, _ONE))
    if name != OWN and not spec.get("user") and not spec.get("groups"):
        found.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    named = set(meta) - {"managedFields", "creationTimestamp", *(["namespace"] if name == LOCAL else ())}
    if any(meta[field] for field in named):
        said = "must be empty except for namespace" if name == LOCAL else "must be empty"
        found.append(invalid("metadata", meta, said))
    return found + (_local(of_resource, of_path, namespace) if name == LOCAL else [])


def _local(of_resource: Mapping[str, Any] | None, of_path: Mapping[str, Any] | None, namespace: str) -> list[Problem]:
    found: list[Problem] = []
    asked = (of_resource or {}).get("namespace") or ""
    if of_resource is not None and asked != namespace:
        found.append(invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace"))
    if of_path is not None:
        found.append(invalid("spec.nonResourceAttributes", of_path, "disallowed on this kind of request"))
    return found
