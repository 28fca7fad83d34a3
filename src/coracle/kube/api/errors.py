"""Failures in Kubernetes' words: every class of core.errors becomes a Status.

Source: apimachinery/pkg/api/errors; metav1.Status, StatusReason, CauseType.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from coracle.core import errors
from coracle.core.errors import CloudError, Invalid, Problem, Unsupported
from coracle.core.kind import Kind
from coracle.kube.kinds.words import TERMINATING, message
from coracle.web.messages import Response

Status = dict[str, Any]

# class -> (code, reason, what is said where the error says nothing)
WORDS: dict[type[CloudError], tuple[int, str, str]] = {
    errors.Malformed: (400, "BadRequest", "the server rejected our request for an unknown reason"),
    errors.Unauthenticated: (401, "Unauthorized", "Unauthorized"),
    errors.Forbidden: (403, "Forbidden", "forbidden"),
    errors.NotFound: (404, "NotFound", "the server could not find the requested resource"),
    errors.Unsupported: (405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
    errors.AlreadyExists: (409, "AlreadyExists", "the server reported a conflict"),
    errors.Conflict: (409, "Conflict", "the server reported a conflict"),
    errors.Expired: (410, "Expired", "The resourceVersion for the provided watch is too old."),
    errors.TooLarge: (413, "RequestEntityTooLarge", "limit is 3145728"),
    errors.Invalid: (422, "Invalid", "the server rejected our request due to an error in our request"),
    errors.Exhausted: (500, "InternalError", "nothing is left to give"),
    errors.Throttled: (429, "TooManyRequests", "try again later"),
    errors.Unavailable: (503, "ServiceUnavailable", "the server is currently unable to handle the request"),
    errors.Timeout: (504, "Timeout", "the server was unable to return a response in the time allotted"),
    errors.Broken: (500, "InternalError", "Internal error occurred"),
}
_UNSUPPORTED = {405: "MethodNotAllowed", 406: "NotAcceptable", 415: "UnsupportedMediaType", 501: "NotImplemented"}
_CAUSES = {
    "required": "FieldValueRequired", "invalid": "FieldValueInvalid", "type": "FieldValueTypeInvalid",
    "duplicate": "FieldValueDuplicate", "not-found": "FieldValueNotFound", "not-supported": "FieldValueNotSupported",
    "forbidden": "FieldValueForbidden", "too-long": "FieldValueTooLong", "too-many": "FieldValueTooMany",
}  # fmt: skip


def speaker(kind_of: Callable[[str], Kind | None]) -> Callable[[CloudError], Response]:
    """A `say` for web.edge.  `kind_of` finds a kind by its type in the store (`Pod`, `Deployment.apps`)."""

    def say(error: CloudError) -> Response:
        body = status(error, kind_of(error.kind))
        headers = _patience(body.get("details", {}))
        return Response.of(body["code"], body, headers)

    return say


def _patience(details: Status) -> dict[str, str]:
    wait_s = details.get("retryAfterSeconds")
    return {"Retry-After": str(wait_s)} if wait_s else {}


def status(error: CloudError, kind: Kind | None = None) -> Status:
    """The Status that says `error`; `kind` is the kind it is about, where it is one of ours."""
    code, reason, default = next(WORDS[type] for type in type(error).__mro__ if type in WORDS)
    if isinstance(error, Unsupported):
        code, reason = error.status, _UNSUPPORTED[error.status]
    details = _details(error, kind)
    if error.retryable:
        details["retryAfterSeconds"] = 1
    if isinstance(error, errors.Timeout) and error.ahead:
        details["causes"] = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    if isinstance(error, errors.Throttled):
        details["causes"] = [{"reason": "DisruptionBudget", "message": error.cause}]
        details |= {"retryAfterSeconds": error.after_s} if error.after_s else {}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {"continue": error.onward} if isinstance(error, errors.Expired) and error.onward else {},
        "status": "Failure",
        "message": message(error, kind) or default,
        "reason": reason,
        **({"details": details} if details or not isinstance(error, errors.Malformed) else {}),
        "code": code,
    }


def success(details: Mapping[str, Any], code: int = 200) -> Response:
    """`Success`, as the answer to a deletion is."""
    return Response.of(
        code,
        {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        if code == 200
        else {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code},
    )


def _details(error: CloudError, kind: Kind | None) -> Status:
    details: Status = {"name": error.name} if error.name else {}
    if kind is not None:
        if kind.group:
            details["group"] = kind.group
        details["kind"] = kind.name if isinstance(error, Invalid) else kind.plural
    elif error.kind:
        details["kind"] = error.kind
    if isinstance(error, Invalid) and error.problems:
        details["causes"] = [_cause(problem) for problem in error.problems]
    elif isinstance(error, errors.Forbidden) and TERMINATING in error.message:
        said = error.message.rpartition("unable to create new content in ")[2]
        details["causes"] = [
            {
                "reason": "NamespaceTerminating",
                "message": said.replace(TERMINATING, "is being terminated"),
                "field": "metadata.namespace",
            }
        ]
    elif isinstance(error, errors.Broken):
        details["causes"] = [{"message": error.message}]
    return details


def _cause(problem: Problem) -> Status:
    return {"reason": _CAUSES[problem.reason], "message": problem.text, "field": problem.field}
