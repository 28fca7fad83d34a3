"""Failures in Docker's words: every class of core.errors becomes a status and {"message"}.

Source: moby api/server/httpstatus, errdefs; the messages that clients look for are in reference docker.md 1.3.
"""

from __future__ import annotations

from coracle.core import errors
from coracle.core.errors import CloudError, NotFound, Unsupported
from coracle.web.messages import Response

# class -> (status, what is said where the error says nothing)
WORDS: dict[type[CloudError], tuple[int, str]] = {
    errors.Malformed: (400, "bad parameter"),
    errors.Unauthenticated: (401, "unauthorized"),
    errors.Forbidden: (403, "forbidden"),
    errors.NotFound: (404, "page not found"),
    errors.Unsupported: (501, "not implemented"),
    errors.AlreadyExists: (409, "conflict"),
    errors.Conflict: (409, "conflict"),
    errors.Expired: (410, "gone"),
    errors.TooLarge: (413, "request body too large"),
    errors.Invalid: (400, "invalid parameter"),
    errors.Exhausted: (500, "nothing is left to give"),
    errors.Throttled: (429, "too many requests"),
    errors.Unavailable: (503, "service unavailable"),
    errors.Timeout: (500, "context deadline exceeded"),
    errors.Broken: (500, "internal error"),
}

# What a missing thing is called, for errors that carry no words of their own.
_MISSING = {
    "Container": "No such container: {name}",
    "Image": "No such image: {name}",
    "Network": "network {name} not found",
    "Volume": "get {name}: no such volume",
    "Exec": "No such exec instance: {name}",
}


def status_of(error: CloudError) -> int:
    if isinstance(error, Unsupported):
        return 404 if error.status == 405 else error.status
    return next(WORDS[type][0] for type in type(error).__mro__ if type in WORDS)


def message_of(error: CloudError) -> str:
    """What a user is told."""
    if (isinstance(error, Unsupported) and error.status == 405) or (type(error) is NotFound and not error.kind):
        return "page not found"  # nothing at this path, or not with this method
    if isinstance(error, NotFound) and error.kind in _MISSING and error.name and not error.message:
        return _MISSING[error.kind].format(name=error.name)
    return str(error) or next(WORDS[type][1] for type in type(error).__mro__ if type in WORDS)


def say(error: CloudError) -> Response:
    """A `say` for web.edge."""
    return Response.of(status_of(error), {"message": message_of(error)})
