"""How much one client may ask for, and for how long: every bound of the server in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BODY_LIMIT_BYTES = 3 * 1024 * 1024  # what kube-apiserver accepts (its MaxRequestBodyBytes)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one server.  A client beyond one is told so (status in brackets) and its connection is closed.

    Time runs from the first byte for head and body, so that sending slowly does not buy more of it.
    """

    target_bytes: int = 32 * 1024  # path and query [414]
    head_bytes: int = 64 * 1024  # all headers together [431]
    headers: int = 200  # [431]
    connections: int = 16_384  # open at once [503]
    head_s: float = 15.0  # TLS handshake and head of a request [408]
    body_s: float = 60.0  # body of a request that is read before its handler runs [408]
    upload_stall_s: float = 300.0  # longest silence within a body that its handler reads as a stream
    idle_s: float = 300.0  # between requests; longer than the 90 s after which Go's clients close
    answer_stall_s: float = 60.0  # a client that takes nothing of a Response any more is cut off
    after_eof_s: float = 30.0  # how long a handler may go on for a client that has closed its sending side
    linger_s: float = 2.0  # how long leftovers are read and dropped, so that the last answer is not reset away
    grace_s: float = 5.0  # how long running handlers may go on when the server ends


@dataclass(frozen=True, slots=True)
class Terms:
    """How the body of a route's requests is taken: whole before the handler runs, or by the handler as a stream.

    `body_limit_bytes` None is no limit; a stream's handler bounds what it keeps.
    """

    streaming: bool = False
    body_limit_bytes: int | None = BODY_LIMIT_BYTES


TermsOf = Callable[[str, str], Terms]  # (method, raw path) -> Terms; never raises


def default_terms(method: str, raw_path: str) -> Terms:
    """Every body is read whole, up to 3 MiB."""
    return _DEFAULT


_DEFAULT = Terms()
