"""A pod from a workload's template.

Source: Kubernetes v1 API, PodTemplateSpec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.object import Meta, Object
from coracle.kube.kinds import pod as pods


def new_pod(owner: Object, template: Mapping[str, Any] | None = None, *, name: str = "", **changes: Any) -> Object:
    """A pod of `owner`, by its own template where no other is given.

    It is called `name`; without one, after its owner and five random characters.  `changes` are fields of its metadata.
    """
    given: Mapping[str, Any] = owner.spec["template"] if template is None else template
    meta = given.get("metadata") or {}
    made = Meta(
        name=name,
        generate_name="" if name else f"{owner.meta.name}-",
        namespace=owner.meta.namespace,
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        finalizers=tuple(meta.get("finalizers") or ()),
        owners=(owner.as_owner(),),
    )
    return Object(pods.KIND.name, made, {"spec": given["spec"]}).with_meta(**changes)
