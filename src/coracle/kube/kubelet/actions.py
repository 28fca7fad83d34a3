"""What probes and hooks do: run a program, ask over the network, sleep.

A probe passes, fails (ActionFailed) or could not be carried out (ActionErrored: it says nothing of the container).  A
hook only has to be carried out: what an HTTP server answers does not matter.

Source: Kubernetes documentation, "Configure Liveness, Readiness and Startup Probes", "Container Lifecycle Hooks";
kubelet's prober.go and lifecycle/handlers.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.clock import Clock
from coracle.core.errors import CloudError
from coracle.core.object import Object
from coracle.engine.execs import Execs
from coracle.kube.kubelet import asking
from coracle.kube.kubelet.asking import AskingFailed

_MOST_OUTPUT_BYTES = 10 * 1024


class ActionFailed(Exception):
    """It did not do what it should; the text says how."""


class ActionErrored(Exception):
    """It could not be tried."""


@dataclass(frozen=True, slots=True)
class Where:
    """The container that an action is for, and the address at which its pod is reached."""

    pod: Object
    container: Mapping[str, Any]
    id: str
    address: str


class Actions:
    """Carries out the handlers of probes and hooks."""

    def __init__(self, execs: Execs, clock: Clock) -> None:
        self._execs, self._clock = execs, clock

    async def probe(self, probe: Mapping[str, Any], where: Where) -> str:
        """See whether what `probe` says is so, within its time.  Returns a warning, "" mostly.

        Raises: ActionFailed, ActionErrored.
        """
        limit_s = probe.get("timeoutSeconds", 1)
        try:
            async with asyncio.timeout(limit_s):
                return await self._probe(probe, where)
        except TimeoutError as error:
            raise ActionFailed(_too_late(probe, where, limit_s)) from error
        except AskingFailed as error:
            raise ActionFailed(str(error)) from error
        except (CloudError, ValueError) as error:
            raise ActionErrored(str(error)) from error

    async def hook(self, handler: Mapping[str, Any], where: Where) -> None:
        """Do what `handler` says; the caller limits the time.  Raises ActionFailed."""
        try:
            if "exec" in handler:
                await self._exec(handler["exec"], where)
            elif "httpGet" in handler:
                await _call(handler["httpGet"], where)
            elif "sleep" in handler:
                await self._clock.sleep(handler["sleep"]["seconds"])
            else:
                raise ActionFailed(f"invalid handler: {', '.join(handler)}")
        except (AskingFailed, CloudError, ValueError) as error:
            raise ActionFailed(str(error)) from error

    async def _probe(self, probe: Mapping[str, Any], where: Where) -> str:
        if "exec" in probe:
            await self._exec(probe["exec"], where)
        elif "tcpSocket" in probe:
            await asking.connect(*_place(probe["tcpSocket"], where))
        elif "grpc" in probe:
            said = await asking.grpc_health(*_place(probe["grpc"], where), probe["grpc"].get("service") or "")
            if said != "SERVING":
                raise ActionFailed(f'service unhealthy (responded with "{said}")' if said else _NO_HEALTH)
        else:
            return _judge(await asking.http_get(probe["httpGet"], *_place(probe["httpGet"], where)))
        return ""

    async def _exec(self, asked: Mapping[str, Any], where: Where) -> None:
        outcome = await self._execs.run(where.id, tuple(asked.get("command") or ()))
        if outcome.code:
            raise ActionFailed(outcome.output[:_MOST_OUTPUT_BYTES].decode(errors="replace"))


async def _call(asked: Mapping[str, Any], where: Where) -> None:
    """A hook's GET.  A server that speaks HTTP is asked so where HTTPS was meant, but not told who asks.

    Raises: AskingFailed, ValueError.
    """
    try:
        await asking.http_get(asked, *_place(asked, where))
    except AskingFailed as error:
        if asked.get("scheme") != "HTTPS" or asking.SPEAKS_HTTP not in str(error):
            raise
        bare = [header for header in asked.get("httpHeaders") or () if header["name"].lower() != "authorization"]
        await asking.http_get({**asked, "scheme": "HTTP", "httpHeaders": bare}, *_place(asked, where))


_NO_HEALTH = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"


def _judge(heard: asking.Heard) -> str:
    """What an HTTP answer says of the container.  Raises ActionFailed."""
    if not 200 <= heard.status < 400:
        raise ActionFailed(f"HTTP probe failed with statuscode: {heard.status}")
    if heard.location and heard.status >= 300:
        return f"Probe terminated redirects, Response body: {heard.body[:_MOST_OUTPUT_BYTES]}"
    return ""


def _place(asked: Mapping[str, Any], where: Where) -> tuple[str, int]:
    """Host and port that an action asks.  Raises ValueError."""
    return asked.get("host") or where.address, port_number(asked["port"], where.container)


def _too_late(probe: Mapping[str, Any], where: Where, limit_s: int) -> str:
    if "exec" in probe:
        command = " ".join(probe["exec"].get("command") or ())
        return f'command timed out: "{command}" timed out after {limit_s}s'
    if "httpGet" in probe:
        asked = probe["httpGet"]
        host, port = _place(asked, where)
        url = f"{str(asked.get('scheme') or 'HTTP').lower()}://{host}:{port}{asked.get('path') or '/'}"
        return f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    host, port = _place(probe.get("tcpSocket") or probe["grpc"], where)
    if "tcpSocket" in probe:
        return f"dial tcp {host}:{port}: i/o timeout"
    return f'timeout: failed to connect service "{host}:{port}" within {limit_s}s: context deadline exceeded'


def port_number(port: int | str, container: Mapping[str, Any]) -> int:
    """A port by number, or by the name the container gave it.  Raises ValueError."""
    if isinstance(port, int):
        return port
    for one in container.get("ports") or ():
        if one.get("name") == port:
            return int(one["containerPort"])
    if port.isdigit():
        return int(port)
    raise ValueError(f"couldn't find port: {port!r}")
