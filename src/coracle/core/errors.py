"""Every failure that a client may be told about, one class each.

Raised by any layer; worded once at each edge (`kube/api/errors.py`, `docker/errors.py`, ...), whose tables a style
test holds complete.  `message` is for the outside: lower case, no full stop, names the thing and the reason; what must
stay inside goes to the log.

    CloudError
    ├── Malformed        the request cannot be read (syntax, types)                      400
    ├── Unauthenticated  nobody is known by these credentials                            401
    ├── Forbidden        somebody is, and may not; or the thing is not open to this      403
    ├── NotFound         no such thing                                                   404
    ├── Unsupported      no such verb, media type or protocol here                       405, 406, 415, 501
    ├── AlreadyExists    the name, address or port is taken                              409
    ├── Conflict         the thing has changed, or its state does not allow this         409
    ├── Expired          the asked history is gone: list again                           410
    ├── TooLarge         more than is accepted                                           413
    ├── Invalid          readable, and breaks rules: `problems` says which               422
    ├── Exhausted        nothing left to give (addresses, ports, disk)                   507
    ├── Throttled        not yet: something that is guarded would suffer                 429
    ├── Unavailable      not now; the same again may work                                503
    ├── Timeout          it took too long                                                504
    └── Broken           our fault                                                       500
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal


class CloudError(Exception):
    """A failure with a message for the client, and the kind and name of the thing it is about where there is one."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, kind: str = "", name: str = "") -> None:
        super().__init__(message or f"{kind} {name}".strip() or type(self).__name__)
        self.message = message
        self.kind = kind
        self.name = name


class Malformed(CloudError):
    """The request cannot be read."""


class Unauthenticated(CloudError):
    """Nobody is known by these credentials."""


class Forbidden(CloudError):
    """Known, and not allowed; or not allowed for anybody."""


class NotFound(CloudError):
    """There is no such thing."""


class Unsupported(CloudError):
    """This verb, media type or protocol is not spoken here; `status` is the HTTP status to say so with."""

    def __init__(self, message: str, *, status: Literal[405, 406, 415, 501] = 405) -> None:
        super().__init__(message)
        self.status = status


class AlreadyExists(CloudError):
    """The name, address or port is taken; `holder` says by whom, where that is known."""

    def __init__(self, message: str = "", *, kind: str = "", name: str = "", holder: str = "") -> None:
        super().__init__(message, kind=kind, name=name)
        self.holder = holder


class Conflict(CloudError):
    """The thing has changed since it was read, or its state does not allow this."""


class Expired(CloudError):
    """The asked revision is no longer kept.  `onward`: what to ask with for the rest as it is now, if it can be had."""

    def __init__(self, message: str = "", *, kind: str = "", name: str = "", onward: str = "") -> None:
        super().__init__(message, kind=kind, name=name)
        self.onward = onward


class TooLarge(CloudError):
    """More than is accepted."""


Reason = Literal[
    "required", "invalid", "type", "duplicate", "not-found", "not-supported", "forbidden", "too-long", "too-many"
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: the path of the field (`spec.containers[0].image`), which sort, and what is said after the path.

    `text` is complete: `Invalid value: "A": a lowercase RFC 1123 label must ...`, `Required value`.
    """

    field: str
    reason: Reason
    text: str


class Invalid(CloudError):
    """Readable, and breaks the rules in `problems`."""

    def __init__(self, problems: Iterable[Problem] = (), *, kind: str = "", name: str = "", message: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__(message or "; ".join(f"{p.field}: {p.text}" for p in self.problems), kind=kind, name=name)


class Exhausted(CloudError):
    """Nothing is left to give."""


class Throttled(CloudError):
    """Not yet: something that is guarded would suffer.  `cause` says what; `after_s`: when to ask again, 0: unsaid."""

    def __init__(self, message: str, *, cause: str, after_s: int = 0) -> None:
        super().__init__(message)
        self.cause, self.after_s = cause, after_s


class Unavailable(CloudError):
    """Not now; the same request may work later."""

    retryable = True


class Timeout(CloudError):
    """It took too long.  `ahead`: because a revision was asked for that is not there yet."""

    retryable = True

    def __init__(self, message: str = "", *, kind: str = "", name: str = "", ahead: bool = False) -> None:
        super().__init__(message, kind=kind, name=name)
        self.ahead = ahead


class Broken(CloudError):
    """Our own fault; the cause is in the log."""


def _show(value: Any) -> str:
    """A value as Kubernetes quotes it in messages: strings in quotes, the rest as JSON."""
    import json  # only on the path of an error

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def required(field: str, detail: str = "") -> Problem:
    return Problem(field, "required", f"Required value: {detail}" if detail else "Required value")


def invalid(field: str, value: Any, detail: str) -> Problem:
    return Problem(field, "invalid", f"Invalid value: {_show(value)}: {detail}")


def duplicate(field: str, value: Any) -> Problem:
    return Problem(field, "duplicate", f"Duplicate value: {_show(value)}")


def not_found(field: str, value: Any) -> Problem:
    return Problem(field, "not-found", f"Not found: {_show(value)}")


def not_supported(field: str, value: Any, choices: Iterable[str]) -> Problem:
    listed = ", ".join(_show(choice) for choice in sorted(choices))
    return Problem(field, "not-supported", f"Unsupported value: {_show(value)}: supported values: {listed}")


def forbidden(field: str, detail: str) -> Problem:
    return Problem(field, "forbidden", f"Forbidden: {detail}")


def too_long(field: str, limit_bytes: int) -> Problem:
    return Problem(field, "too-long", f"Too long: may not be more than {limit_bytes} bytes")


def too_many(field: str, number: int, most: int) -> Problem:
    return Problem(field, "too-many", f"Too many: {number}: must have at most {most} items")
