"""How a stream of a container's output is called in `Content-Type`."""

from __future__ import annotations

from coracle.docker.versions import Version, version_of
from coracle.web.messages import Request
from coracle.wire import stdcopy


def content_type(request: Request, *, framed: bool) -> str:
    """Clients older than 1.42 know one name for both."""
    if framed and version_of(request) >= Version(1, 42):
        return stdcopy.CONTENT_TYPE
    return stdcopy.RAW_CONTENT_TYPE
