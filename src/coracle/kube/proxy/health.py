"""Health ports: a balancer outside asks each node whether it has a ready pod of a Service (`healthCheckNodePort`).

    GET http://node:32123/healthz -> 200 {"service": {...}, "localEndpoints": 2, "serviceProxyHealthy": true}
                                     503 with no ready endpoint here

Source: Kubernetes documentation, "Virtual IPs and Service Proxies", traffic to balanced services; kube-proxy's answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from coracle.core.errors import CloudError
from coracle.core.informer import Informer
from coracle.core.loop import Again, ToKeys, itself
from coracle.core.object import Key, Object
from coracle.core.tasks import Tasks
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.servicetypes import answers_health_checks
from coracle.kube.proxy.endpoints import SERVICE, SLICE, Backends, Place, ours, to_service
from coracle.web.listeners import Tcp
from coracle.web.messages import Request, Response
from coracle.web.server import Server

RETRY_S = 10.0
EVERYWHERE = "0.0.0.0"  # noqa: S104 - who asks is outside

log = logging.getLogger(__name__)


def answer(key: Key, ready: int) -> Response:
    """What is said of a Service with so many ready endpoints here."""
    body = {
        "service": {"namespace": key.namespace, "name": key.name},
        "localEndpoints": ready,
        "serviceProxyHealthy": True,
    }
    headers = {"X-Content-Type-Options": "nosniff", "X-Load-Balancing-Endpoint-Weight": str(ready)}
    return Response.of(200 if ready else 503, body, headers)


@dataclass(slots=True)
class _Open:
    """A port that is listened on: by `task`, until that is cancelled."""

    port: int
    ready: int
    task: asyncio.Task[None]


class HealthPorts:
    """A Part (its servers), and a reconciler that opens and closes them."""

    name = "health-ports"
    watches: Mapping[str, ToKeys] = {SERVICE: itself, SLICE: to_service}

    def __init__(self, services: Informer, backends: Backends, recorder: EventRecorder, place: Place) -> None:
        self._services, self._backends, self._recorder, self._place = services, backends, recorder, place
        self._open: dict[Key, _Open] = {}
        self._tasks = Tasks()

    async def run(self, up: Callable[[], None]) -> None:
        await self._tasks.run(up)

    async def reconcile(self, key: Key) -> Again | None:
        """Again after a while where somebody else has the port."""
        service, there = self._services.find(key), self._open.get(key)
        port = _port(service) if service is not None else 0
        if there is not None and (there.port != port or there.task.done()):
            await self._close(key, there)
            there = None
        if not port or service is None:
            return None
        behind = self._backends.of(key)
        ready = len({one.address for one in behind if one.ready and one.node == self._place.node})
        if there is None:
            return await self._listen(service, port, ready)
        there.ready = ready
        return None

    async def _listen(self, service: Object, port: int, ready: int) -> Again | None:
        async def handler(_request: Request) -> Response:
            return answer(service.key, self._open[service.key].ready)

        begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = self._tasks.begin(_serve(Server(handler, [Tcp(EVERYWHERE, port)]), begun), name=f"health-{port}")
        self._open[service.key] = _Open(port, ready, task)
        refused = await begun
        if not refused:
            return None
        self._recorder.emit(service, "Warning", "FailedToStartServiceHealthcheck", f"node port {port}: {refused}")
        return Again(RETRY_S)

    async def _close(self, key: Key, there: _Open) -> None:
        del self._open[key]
        there.task.cancel()
        await asyncio.wait([there.task])


def _port(service: Object) -> int:
    return (
        int(service.spec.get("healthCheckNodePort") or 0)
        if ours(service) and answers_health_checks(service.spec)
        else 0
    )


async def _serve(server: Server, begun: asyncio.Future[str]) -> None:
    """Serve until cancelled; `begun` is told "" once it does, or why it cannot."""
    try:
        await server.run(lambda: begun.set_result(""))
    except* CloudError as errors:
        log.warning("health port: %s", errors.exceptions[0])
        if not begun.done():
            begun.set_result(str(errors.exceptions[0]))
