"""What a DELETE asks for: DeleteOptions in the body or in the query.

Source: metav1.DeleteOptions.
"""

from __future__ import annotations

from typing import Any, cast

from coracle.core.collection import Deletion, Propagation
from coracle.core.errors import Invalid, Malformed, Problem, forbidden, invalid, not_supported
from coracle.core.kind import Kind
from coracle.kube.api.codec import read_document
from coracle.kube.kinds.definitions import schema_of_meta
from coracle.web.messages import Request

_POLICIES = ("Background", "Foreground", "Orphan")
_WARNED = ("Job.batch",)
_STAY = (
    "child pods are preserved by default when {plural} are deleted; set propagationPolicy=Background to remove them or "
    "set propagationPolicy=Orphan to suppress this warning"
)


def read_deletion(request: Request, kind: Kind) -> tuple[Deletion, bool, list[str]]:
    """(how to delete, whether only to try, warnings).  Raises Malformed, Invalid, Unsupported."""
    doc = _document(request)
    problems: list[Problem] = []
    policy = doc.get("propagationPolicy") or ""
    orphan = doc.get("orphanDependents")
    if policy and orphan is not None:
        said = "orphanDependents and deletionPropagation cannot be both set"
        problems.append(invalid("propagationPolicy", policy, said))
    elif policy and policy not in _POLICIES:
        problems.append(not_supported("propagationPolicy", policy, (*_POLICIES, "nil")))
    if orphan is not None and not policy:
        policy = "Orphan" if orphan else "Background"
    dry_run = doc.get("dryRun") or []
    if dry_run not in ([], ["All"]):
        problems.append(not_supported("dryRun", dry_run, ("All",)))
    conditions = doc.get("preconditions") or {}
    revision = conditions.get("resourceVersion") or "0"
    if not revision.isdigit():
        problems.append(forbidden("preconditions.resourceVersion", "must be a number"))
    if problems:
        raise Invalid(problems, kind="DeleteOptions.meta.k8s.io")
    grace_s = doc.get("gracePeriodSeconds")
    how = Deletion(
        grace_s=grace_s,
        uid=conditions.get("uid") or "",
        revision=int(revision),
        propagation=cast("Propagation | None", policy or ("Orphan" if kind.orphans else None)),
    )
    warned = kind.type in _WARNED and not policy
    return how, bool(dry_run), [_STAY.format(plural=kind.plural)] if warned else []


def read_dry_run(request: Request, options: str) -> bool:
    """Whether only to try.  `options` names the query's type in messages."""
    asked = [value for value in request.query.all("dryRun") if value]
    if asked not in ([], ["All"]):
        raise Invalid((not_supported("dryRun", asked, ("All",)),), kind=f"{options}.meta.k8s.io")
    return bool(asked)


def _document(request: Request) -> dict[str, Any]:
    """The body; where there is none, what the query says."""
    if request.body.strip():
        doc = read_document(request)
        problems = schema_of_meta("DeleteOptions").check(doc)
        if problems or not isinstance(doc, dict):
            raise Malformed(problems[0].text if problems else "DeleteOptions must be an object")
        return doc
    query = request.query
    doc = {"propagationPolicy": query.get("propagationPolicy"), "dryRun": [v for v in query.all("dryRun") if v]}
    grace = query.get("gracePeriodSeconds")
    if grace:
        if not grace.lstrip("-").isdigit():
            raise Malformed(f'strconv.ParseInt: parsing "{grace}": invalid syntax')
        doc["gracePeriodSeconds"] = int(grace)
    if query.get("orphanDependents"):
        doc["orphanDependents"] = query.get("orphanDependents").lower() in ("true", "1")
    return doc
