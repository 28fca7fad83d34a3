"""What probes and hooks do: run a program, ask by HTTP, open a connection, sleep.

HTTP is written by hand: one GET, of whose answer only the status counts.
Source: Kubernetes documentation, "Configure Liveness, Readiness and Startup Probes", "Container Lifecycle Hooks".
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.errors import CloudError
from coracle.core.object import Object
from coracle.engine.execs import Execs

_MOST_HEAD_BYTES = 64 * 1024
_MOST_OUTPUT_BYTES = 10 * 1024
USER_AGENT = "kube-probe/1.36"


class ActionFailed(Exception):
    """It did not do what it should; the text says how."""


@dataclass(frozen=True, slots=True)
class Where:
    """The container that an action is for, and the pod's address."""

    pod: Object
    container: Mapping[str, Any]
    id: str
    address: str


class Actions:
    """Carries out the handlers of probes and hooks."""

    def __init__(self, execs: Execs) -> None:
        self._execs = execs

    async def do(self, handler: Mapping[str, Any], where: Where) -> None:
        """Do what `handler` says.  Raises ActionFailed.  The caller limits the time."""
        try:
            if "exec" in handler:
                await self._exec(tuple(handler["exec"].get("command") or ()), where)
            elif "httpGet" in handler:
                await _http_get(handler["httpGet"], where)
            elif "tcpSocket" in handler:
                asked = handler["tcpSocket"]
                await _connect(asked.get("host") or where.address, port_number(asked["port"], where.container))
            elif "sleep" in handler:
                await asyncio.sleep(handler["sleep"]["seconds"])
            else:
                raise ActionFailed(f"{', '.join(handler)} is not supported yet")
        except (OSError, CloudError, ValueError) as error:
            raise ActionFailed(str(error) or type(error).__name__) from error

    async def _exec(self, argv: tuple[str, ...], where: Where) -> None:
        outcome = await self._execs.run(where.id, argv)
        if outcome.code:
            said = outcome.output[:_MOST_OUTPUT_BYTES].decode(errors="replace")
            raise ActionFailed(said or f"command {list(argv)} exited with {outcome.code}")


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


async def _connect(host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _http_get(asked: Mapping[str, Any], where: Where) -> None:
    host, port = asked.get("host") or where.address, port_number(asked["port"], where.container)
    secure = str(asked.get("scheme") or "HTTP").upper() == "HTTPS"
    reader, writer = await asyncio.open_connection(host, port, ssl=_trusting() if secure else None)
    try:
        writer.write(_request(asked, f"{host}:{port}"))
        await writer.drain()
        line = await reader.readline()
    finally:
        await _close(writer)
    parts = line[:_MOST_HEAD_BYTES].split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        raise ActionFailed(f'Get "{_url(asked, host, port)}": malformed HTTP response')
    if not 200 <= int(parts[1]) < 400:
        raise ActionFailed(f"HTTP probe failed with statuscode: {int(parts[1])}")


def _url(asked: Mapping[str, Any], host: str, port: int) -> str:
    return f"{str(asked.get('scheme') or 'HTTP').lower()}://{host}:{port}{_path(asked)}"


def _path(asked: Mapping[str, Any]) -> str:
    path = str(asked.get("path") or "/")
    return path if path.startswith("/") else f"/{path}"


def _request(asked: Mapping[str, Any], host: str) -> bytes:
    headers = {"Host": host, "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    for header in asked.get("httpHeaders") or ():
        headers[header["name"]] = header.get("value") or ""
    lines = [f"GET {_path(asked)} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("line break in a header")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _trusting() -> ssl.SSLContext:
    """Probes do not verify certificates, as in Kubernetes."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
