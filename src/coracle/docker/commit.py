"""POST /commit: an image of what a container has become.

Source: Docker Engine API 1.50, "ImageCommit"; moby daemon/commit.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from coracle.core.errors import Conflict, Malformed
from coracle.core.object import Object
from coracle.docker.bodies import Fields, body_of, flag
from coracle.docker.containers import details
from coracle.docker.containers.config import merged, read_config
from coracle.docker.containers.finding import Finder
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.engine.commits import Commit, Commits
from coracle.image.config import Settings
from coracle.image.dockerfile.parse import parse_changes
from coracle.image.dockerfile.settings import changed
from coracle.image.references import parse_reference
from coracle.web.messages import Answer, Request, Response


class CommitArea:
    def __init__(self, finder: Finder, commits: Commits, events: Events) -> None:
        self._finder, self._commits, self._events = finder, commits, events

    def routes(self) -> Iterable[Route]:
        return (Route("POST", "/commit", self.commit),)

    async def commit(self, request: Request) -> Answer:
        query = request.query
        record = self._finder.get(query.get("container"))
        reference = _reference(query.get("repo"), query.get("tag"))
        asked = Commit(
            settings=_settings(request, record),
            reference=reference,
            author=query.get("author"),
            comment=query.get("comment"),
            pause=flag(request, "pause", True),
        )
        if record.meta.deleting:
            raise Conflict(f"You cannot commit container {record.meta.name} which is being removed")
        image = await self._commits.commit(record.meta.name, asked)
        told = {"comment": asked.comment, "imageID": image.spec["id"], "imageRef": reference}
        await self._events.publish_container("commit", record, told)
        return Response.of(201, {"Id": image.spec["id"]})


def _settings(request: Request, record: Object) -> Settings:
    """The container's settings, under those of the request's body and its `changes`.  Raises Malformed, Invalid."""
    own = Settings.from_json(read_config(Fields(body_of(request, required=False))))
    lines = [line for text in request.query.all("changes") for line in text.split("\n")]
    own = changed(own, parse_changes([line for line in lines if line.strip()]))
    kept = details.config(record) if details.is_docker(record) else _plain(record)
    return Settings.from_json(merged(own.to_json(), Settings.from_json(kept)))


def _plain(record: Object) -> dict[str, object]:
    """The settings of a container that another API made."""
    spec = record.spec
    return {
        "Cmd": list(spec["argv"] or ()),
        "Env": list(spec["env"]),
        "WorkingDir": spec["workdir"],
        "User": spec["user"],
    }


def _reference(repository: str, tag: str) -> str:
    """The new image's name; "" for none.  Raises Malformed."""
    if not repository:
        return ""
    name = parse_reference(f"{repository}:{tag}" if tag else repository)
    if name.digest or (not tag and name.tag not in ("", "latest")):
        raise Malformed(f"unexpected repository name: {repository[:200]}")
    return str(name)
