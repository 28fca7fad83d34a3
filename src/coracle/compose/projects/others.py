"""Other Compose clients have the last word about a project's containers.

`docker compose down` of a project that is declared here must not meet a loop that brings everything back: before such a
client changes a container of a declared project, the declaration goes.  Containers of `run` are nobody's declaration.
"""

from __future__ import annotations

import re

import orjson

from coracle.compose.create import labels
from coracle.compose.projects.loop import Projects
from coracle.core.informer import Informer
from coracle.core.object import Key, Object
from coracle.web.messages import Answer, Handler, Request

_CLIENTS = ("compose/", "docker-compose/")
_CREATE = re.compile(r"(?:/v[\d.]+)?/containers/create")
_CHANGE = re.compile(r"(?:/v[\d.]+)?/containers/([^/]+)(?:/(?:start|stop|restart|kill|rename|pause|unpause|update))?")


class Others:
    """In front of the Docker door."""

    def __init__(self, handler: Handler, projects: Projects, containers: Informer) -> None:
        self._handler, self._projects, self._containers = handler, projects, containers

    async def handle(self, request: Request) -> Answer:
        agent = request.headers.get("user-agent", "")
        if request.method in ("POST", "DELETE") and agent.lower().startswith(_CLIENTS):
            project = self._project(request)
            if project:
                await self._projects.let_go(project, f'another Compose client has taken project "{project}" over')
        return await self._handler(request)

    def _project(self, request: Request) -> str:
        """The project of whose declaration this request changes a container; "" for any other request."""
        if _CREATE.fullmatch(request.raw_path):
            return _declared(_labels_of(request))
        found = _CHANGE.fullmatch(request.raw_path)
        if found is None or (request.method == "POST" and found[0].endswith(f"/{found[1]}")):
            return ""
        record = self._find(found[1])
        return _declared(record.meta.labels) if record is not None else ""

    def _find(self, reference: str) -> Object | None:
        whole = self._containers.find(Key("", reference))
        if whole is not None:
            return whole
        return next((one for one in self._containers.list() if one.spec["name"] == reference), None)


def _labels_of(request: Request) -> dict[str, str]:
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return {}
    found = body.get("Labels") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def _declared(marks: object) -> str:
    if not isinstance(marks, dict) or str(marks.get(labels.ONE_OFF, "")).lower() == "true":
        return ""
    return str(marks.get(labels.PROJECT) or "")
