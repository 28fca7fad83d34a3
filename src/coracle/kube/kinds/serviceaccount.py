"""ServiceAccount: who a pod is.

Source: Kubernetes v1 API, ServiceAccount; printed columns as `kubectl get serviceaccounts`.
"""

from __future__ import annotations

from coracle.core.kind import Kind
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema

KIND = Kind(
    name="ServiceAccount",
    plural="serviceaccounts",
    singular="serviceaccount",
    short=("sa",),
    schema=schema("v1", "ServiceAccount"),
    columns=(
        printing.NAME,
        printing.number("Secrets", lambda account: len(account.body.get("secrets") or ())),
        printing.AGE,
    ),
    subresources=frozenset(("token",)),
    counts_generations=False,
    loop="coracle.kube.controllers.serviceaccounts:DefaultAccounts",
)
