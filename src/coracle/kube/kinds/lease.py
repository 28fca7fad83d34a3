"""Lease: who holds something, and when they last said so.  Nodes keep one each in `kube-node-lease`.

Source: Kubernetes coordination.k8s.io/v1 API, Lease; printed columns as `kubectl get leases`.
"""

from __future__ import annotations

from coracle.core.errors import invalid
from coracle.core.kind import Kind, Problems
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import not_negative

API = "coordination.k8s.io/v1"


def validate(lease: Object) -> Problems:
    seconds_s = lease.spec.get("leaseDurationSeconds")
    problems = not_negative("spec.leaseTransitions", lease.spec.get("leaseTransitions"))
    if seconds_s is not None and seconds_s <= 0:
        problems.append(invalid("spec.leaseDurationSeconds", seconds_s, "must be greater than 0"))
    return problems


KIND = Kind(
    name="Lease",
    plural="leases",
    singular="lease",
    api=API,
    schema=schema(API, "Lease"),
    validate=validate,
    columns=(
        printing.NAME,
        printing.text("Holder", lambda lease: lease.spec.get("holderIdentity") or ""),
        printing.AGE,
    ),
    counts_generations=False,
)
