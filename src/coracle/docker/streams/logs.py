"""GET /containers/{id}/logs: what a container has written, and with `follow` what it writes until it ends.

Source: Docker Engine API, "Get container logs"; reference docker.md 1.3.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from coracle.core.clock import Clock
from coracle.core.errors import Malformed, Unsupported
from coracle.core.object import Object
from coracle.docker.bodies import flag
from coracle.docker.containers import details
from coracle.docker.containers.finding import Finder
from coracle.docker.door import Route
from coracle.docker.moments import moment
from coracle.docker.streams.types import content_type
from coracle.engine.logs import Logs, Piece
from coracle.web.messages import Answer, Request, Stream
from coracle.wire.stdcopy import frame, frame_lines


@dataclass(frozen=True, slots=True)
class ContainerLogs:
    """The area of the API that reads logs."""

    finder: Finder
    logs: Logs
    clock: Clock

    def routes(self) -> Iterable[Route]:
        return (Route("GET", "/containers/{id}/logs", self.read),)

    async def read(self, request: Request) -> Answer:
        """?follow=&stdout=&stderr=&since=&until=&timestamps=&tail=&details= -> 200, frames unless it has a terminal"""
        outputs = {number for number, name in ((1, "stdout"), (2, "stderr")) if flag(request, name)}
        if not outputs:
            raise Malformed("Bad parameters: you must choose at least one stream")
        record = self.finder.get(request.params["id"])
        if not record.spec["keeps_log"]:
            raise Unsupported("configured logging driver does not support reading", status=501)
        until_s, follows = moment(request, "until"), flag(request, "follow")
        pieces = self.logs.pieces(
            record.meta.name,
            follow=follows and (until_s is None or until_s > self.clock.now_s()),
            tail_lines=tail_of(request.query.get("tail")),
            since_s=moment(request, "since"),
            until_s=until_s,
            timestamps=flag(request, "timestamps"),
            prefix=extras(record) if flag(request, "details") else b"",
        )
        framed = not record.spec["tty"]
        wrap = _raw if not framed else frame_lines if follows else frame
        return Stream(200, _sent(pieces, outputs, wrap), content_type=content_type(request, framed=framed))


def tail_of(text: str) -> int | None:
    """How many of the last lines; None for all of them, which is also what Docker makes of what is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def extras(record: Object) -> bytes:
    """What `details` puts in front of a line: the labels and variables that --log-opt labels= and env= name."""
    options = (details.host_config(record).get("LogConfig") or {}).get("Config") or {}
    variables = dict(entry.partition("=")[::2] for entry in record.spec["env"])
    found = {name: record.meta.labels.get(name) for name in str(options.get("labels") or "").split(",")}
    found |= {name: variables.get(name) for name in str(options.get("env") or "").split(",")}
    said = (f"{name}={value}" for name, value in sorted(found.items()) if name and value is not None)
    return ",".join(said).encode() + b" "


def _raw(_stream: int, data: bytes) -> bytes:
    return data


async def _sent(
    pieces: AsyncIterator[Sequence[Piece]], outputs: set[int], wrap: Callable[[Literal[1, 2], bytes], bytes]
) -> AsyncIterator[bytes]:
    """A frame is a line where somebody follows, as dockerd's are: docker-py's `for line in container.logs(stream=True)`
    relies on it.  Who reads what there is gets large frames: the CLI writes each by itself."""
    async with contextlib.aclosing(cast(AsyncGenerator[Sequence[Piece], None], pieces)) as blocks:
        async for block in blocks:
            if said := b"".join(wrap(stream, data) for stream, data in block if stream in outputs):
                yield said
