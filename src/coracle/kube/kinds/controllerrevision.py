"""ControllerRevision: what a StatefulSet or a DaemonSet was, to be able to go back to it.  Made once, never changed.

Source: Kubernetes apps/v1 API, ControllerRevision; printed columns as `kubectl get controllerrevisions`.
"""

from __future__ import annotations

from coracle.core.errors import invalid, required
from coracle.core.kind import Kind, Problems
from coracle.core.object import Object, type_of
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import not_negative


def default(revision: Object) -> Object:
    return revision.with_body(revision=revision.body.get("revision") or 0)


def validate(revision: Object) -> Problems:
    problems = [] if revision.body.get("data") is not None else [required("data", "data is mandatory")]
    return problems + not_negative("revision", revision.body["revision"])


def validate_change(new: Object, old: Object, _part: str) -> Problems:
    if new.body.get("data") == old.body.get("data"):
        return []
    return [invalid("data", new.body.get("data"), "field is immutable")]


def _controller(revision: Object) -> str:
    ref = revision.meta.controller
    if ref is None:
        return printing.NONE
    name, _, group = type_of(ref.api, ref.kind).lower().partition(".")
    return f"{name}.{group}/{ref.name}" if group else f"{name}/{ref.name}"


KIND = Kind(
    name="ControllerRevision",
    plural="controllerrevisions",
    api="apps/v1",
    singular="controllerrevision",
    schema=schema("apps/v1", "ControllerRevision"),
    default=default,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("Controller", _controller, "Controller of the object."),
        printing.number("Revision", lambda revision: revision.body.get("revision", 0), "Which of them it is."),
        printing.AGE,
    ),
    counts_generations=False,
)
