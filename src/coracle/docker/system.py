"""What the engine says of itself: ping, version, info, disk usage."""

from __future__ import annotations

import platform
from collections.abc import Iterable

from coracle.docker.door import Route
from coracle.docker.versions import NEWEST, OLDEST
from coracle.web.messages import Answer, Request, Response


class System:
    def routes(self) -> Iterable[Route]:
        return (
            Route("GET", "/_ping", self.ping),
            Route("HEAD", "/_ping", self.ping),
            Route("GET", "/version", self.version),
        )

    async def ping(self, request: Request) -> Answer:
        headers = {
            "Builder-Version": "1",
            "Swarm": "inactive",
            "Cache-Control": "no-cache, no-store, must-revalidate",
            "Pragma": "no-cache",
        }
        body = b"" if request.method == "HEAD" else b"OK"
        return Response(200, body, headers, "text/plain; charset=utf-8")

    async def version(self, _request: Request) -> Answer:
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        return Response.of(
            200,
            {
                "Version": "28.2.2",
                "ApiVersion": str(NEWEST),
                "MinAPIVersion": str(OLDEST),
                "Os": "linux",
                "Arch": machine,
                "KernelVersion": platform.release(),
            },
        )
