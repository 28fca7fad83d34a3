"""GET /containers/{id}/top: the processes of a container, as the host's `ps` shows them.

Source: Docker Engine API, "List processes running inside a container"; moby daemon/top_unix.go.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from coracle.core.errors import Broken, Conflict, Malformed
from coracle.core.tasks import offload
from coracle.docker.containers.finding import Finder
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.engine.containers import Containers
from coracle.web.messages import Answer, Request, Response

_DEFAULT = "-ef"
_LONGEST = 1000
_PATIENCE_S = 30.0
_TITLE = re.compile(r"\s+(\S*)=\s*(PID\S*)")  # another column that calls itself PID would be taken for it


@dataclass(frozen=True, slots=True)
class Top:
    """The area of the API that lists processes."""

    finder: Finder
    containers: Containers
    events: Events

    def routes(self) -> Iterable[Route]:
        return (Route("GET", "/containers/{id}/top", self.top),)

    async def top(self, request: Request) -> Answer:
        """?ps_args=-ef -> 200"""
        words = words_of(request.query.get("ps_args") or _DEFAULT)
        record = self.finder.get(request.params["id"])
        if record.status["state"] != "running":
            raise Conflict(f"container {record.meta.name} is not running", kind="Container", name=record.meta.name)
        table = await offload(_ps, words)
        found = processes(table, self.containers.processes(record.meta.name))
        await self.events.publish_container("top", record)
        return Response.of(200, found)


def words_of(options: str) -> list[str]:
    """Raises Malformed."""
    if len(options) > _LONGEST or "\0" in options:
        raise Malformed("invalid value for ps_args")
    for name, title in _TITLE.findall(options):
        if name != "pid":
            raise Malformed(f'specifying "{name}={title}" is not allowed')
    return options.split()


def processes(table: str, pids: Collection[int]) -> dict[str, Any]:
    """What `ps` printed, without the processes that are not among `pids`; pure.  Raises Broken: no column PID."""
    head, *lines = table.splitlines() or [""]
    titles = head.split()
    if "PID" not in titles:
        raise Broken("Couldn't find PID field in ps output")
    column, found = titles.index("PID"), list[list[str]]()
    for line in lines:
        fields = line.split(None, len(titles) - 1)
        if len(fields) > column and fields[column].isdigit() and int(fields[column]) in pids:
            found.append([field.rstrip() for field in fields])
    return {"Titles": titles, "Processes": found}


def _ps(words: list[str]) -> str:
    """Raises Malformed in the words of `ps`, Broken where there is none.  Blocks."""
    try:
        done = subprocess.run(
            ["ps", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_S, check=False
        )
    except FileNotFoundError as error:
        raise Broken("ps is not installed on this host") from error
    except subprocess.TimeoutExpired as error:
        raise Broken("ps did not end in time") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]  # how to use ps would follow
        raise Malformed(f"ps: {said}")
    return done.stdout.decode(errors="replace")
