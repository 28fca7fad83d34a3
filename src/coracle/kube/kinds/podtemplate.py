"""PodTemplate: a template kept by its name, for whoever makes pods from it.

Source: Kubernetes v1 API, PodTemplate; printed columns as `kubectl get podtemplates`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.core.kind import Kind, Problems
from coracle.core.object import Json, Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.podspec import defaults
from coracle.kube.kinds.podspec.rules import template_problems

_TEMPLATE = schema("v1", "PodTemplate").child("template")


def as_today(template: Mapping[str, Any] | None) -> Json:
    """A template as it would be kept and filled in today, whichever version has stored it: to tell which are equal."""
    return defaults.template(_TEMPLATE.clean(template or {}))


def default(kept: Object) -> Object:
    return kept.with_body(template=defaults.template(kept.body.get("template")))


def validate(kept: Object) -> Problems:
    return template_problems(kept.body["template"], "template")


def _labels(kept: Object) -> str:
    return printing.labels(((kept.body.get("template") or {}).get("metadata") or {}).get("labels"))


KIND = Kind(
    name="PodTemplate",
    plural="podtemplates",
    singular="podtemplate",
    schema=schema("v1", "PodTemplate"),
    default=default,
    validate=validate,
    columns=(
        printing.NAME,
        printing.text("Containers", lambda kept: printing.containers(kept.body.get("template"))[0]),
        printing.text("Images", lambda kept: printing.containers(kept.body.get("template"))[1]),
        printing.text("Pod Labels", _labels),
    ),
)
