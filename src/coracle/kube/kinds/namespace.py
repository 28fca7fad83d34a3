"""Namespace: a room for names.  Goes in two steps: it is emptied first.

Source: Kubernetes v1 API, Namespace; printed columns as `kubectl get namespaces`.
"""

from __future__ import annotations

from coracle.core.errors import forbidden, invalid
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.names import qualified_faults
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.podsecurity.standards import label_problems

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"


def default(namespace: Object) -> Object:
    """The label by which selectors find it, and a phase, which is another from the moment of its deletion."""
    labels = {**namespace.meta.labels, NAME_LABEL: namespace.meta.name}
    status = {"phase": "Active", **namespace.status, **({"phase": "Terminating"} if namespace.meta.deleting else {})}
    return namespace.with_meta(labels=labels).with_body(spec=absent(namespace.body.get("spec")), status=status)


def assign(namespace: Object, old: Object | None, _reader: Reader) -> Object:
    """A new namespace is held by the finalizer of the loop that empties it, and stays so unless someone says otherwise.

    Saying so is for the `finalize` subresource; `validate_change` holds the others to it.
    """
    if old is None:
        return namespace.with_spec(finalizers=[FINALIZER]).with_body(status={"phase": "Active"})
    if "finalizers" in namespace.spec or "finalizers" not in old.spec:
        return namespace
    return namespace.with_spec(finalizers=old.spec["finalizers"])


def validate(namespace: Object) -> Problems:
    """Its own finalizers are named like those of every object."""
    problems: Problems = [] if namespace.meta.revision else label_problems(namespace.meta.labels)
    for name in namespace.spec.get("finalizers") or ():
        problems += [invalid("spec.finalizers", name, fault) for fault in qualified_faults(name)]
        if "/" not in name and name != FINALIZER:
            said = "name is neither a standard finalizer name nor is it fully qualified"
            problems.append(invalid("spec.finalizers", name, said))
    return problems


def validate_change(new: Object, old: Object, part: str) -> Problems:
    """Letting go is for the loop that has emptied it: through `finalize`, where everything else stays."""
    if part == "main" and new.spec.get("finalizers") != old.spec.get("finalizers"):
        return [forbidden("spec.finalizers", "may only be changed through the finalize subresource")]
    wrong = label_problems(new.meta.labels) if part == "main" else []
    return wrong if wrong != label_problems(old.meta.labels) else []


def held(namespace: Object) -> bool:
    return bool(namespace.meta.finalizers or namespace.spec.get("finalizers"))


def phase(namespace: Object) -> str:
    return "Terminating" if namespace.meta.deleting else str(namespace.status.get("phase", "Active"))


KIND = Kind(
    name="Namespace",
    plural="namespaces",
    singular="namespace",
    short=("ns",),
    namespaced=False,
    schema=schema("v1", "Namespace"),
    default=default,
    assign=assign,
    validate=validate,
    validate_change=validate_change,
    held=held,
    fields={"status.phase": phase},
    columns=(printing.NAME, printing.text("Status", phase, "The status of the namespace"), printing.AGE),
    subresources=frozenset(("status", "finalize")),
    name_rule="label",
    counts_generations=False,
    loop="coracle.kube.controllers.namespaces:Namespaces",
)
