"""Docker's API as far as Compose needs it, over a store: containers that only say that they run.

docker = FakeDocker(store, clock)
docker.refuses[("start", "demo-web-1")] = "no such program"
await docker.change("demo-db-1", health="healthy")
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import orjson

from coracle.core.clock import Clock, rfc3339_micro
from coracle.core.errors import AlreadyExists, CloudError, Conflict, NotFound
from coracle.core.object import Key, Meta, Object
from coracle.core.store import Delete, Put, Store
from coracle.engine.kinds import container as containers
from coracle.engine.kinds import network as networks
from coracle.engine.kinds import volume as volumes
from coracle.web.messages import Answer, Request, Response
from coracle.web.router import Router

NEVER = "0001-01-01T00:00:00Z"
_STATUS = {NotFound: 404, Conflict: 409, AlreadyExists: 409}


class FakeDocker:
    """`asked`: every call that changes something, as "POST /containers/demo-web-1/start".

    `refuses`: (verb, container) -> message; `images`: name -> id; `stop_s`, `start_s`: how long containers
    take to stop, and starts to come to something or nothing.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock, self._ids = store, clock, itertools.count(1)
        self.asked: list[str] = []
        self.refuses: dict[tuple[str, str], str] = {}
        self.images = {"busybox": "sha256:busybox"}
        self.stop_s = self.start_s = 0.0
        self._router = Router()
        for method, pattern, handler in (
            ("GET", "/images/{name:path}/json", self._image),
            ("POST", "/containers/create", self._create),
            ("GET", "/containers/{id}/json", self._inspect),
            ("POST", "/containers/{id}/{verb}", self._verb),
            ("PUT", "/containers/{id}/archive", self._fill),
            ("DELETE", "/containers/{id}", self._remove),
            ("POST", "/networks/create", self._make_network),
            ("GET", "/networks/{id}", self._network),
            ("DELETE", "/networks/{id}", self._drop_network),
            ("POST", "/volumes/create", self._make_volume),
            ("GET", "/volumes/{id}", self._volume),
            ("DELETE", "/volumes/{id}", self._drop_volume),
        ):
            self._router.add(method, pattern, handler)

    async def handler(self, request: Request) -> Answer:
        try:
            return await self._router.dispatch(request)
        except CloudError as error:
            status = next((code for type, code in _STATUS.items() if isinstance(error, type)), 500)
            return Response.of(status, {"message": str(error)})

    # -- for tests -----------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        return sorted(str(one.spec["name"]) for one in self._containers())

    def states(self) -> dict[str, str]:
        return {str(one.spec["name"]): str(one.status["state"]) for one in self._containers()}

    def find(self, name: str) -> Object | None:
        return next((one for one in self._containers() if name in (one.spec["name"], one.meta.name)), None)

    async def change(self, name: str, **status: Any) -> None:
        """Something happens to a container."""
        await self._store.commit(Put(self._get(name).with_status(**status)))

    async def end(self, name: str, code: int = 0, **more: Any) -> None:
        await self.change(name, state="exited", exit_code=code, **more)

    async def vanish(self, name: str) -> None:
        """As `docker rm --force`."""
        if self._get(name).status["state"] == "running":
            await self.end(name, 137)
        await self._store.commit(Delete(containers.TYPE, self._get(name).key))

    # -- what clients ask ----------------------------------------------------------------------------------------

    async def _image(self, request: Request) -> Answer:
        name = request.params["name"]
        found = {**self.images, **{id: id for id in self.images.values()}}.get(name)
        if found is None:
            raise NotFound(f"No such image: {name}")
        return Response.of(200, {"Id": found, "Config": {}})

    async def _create(self, request: Request) -> Answer:
        name, body = request.query.get("name"), request.json()
        self._note(request, "create", name)
        if self.find(name) is not None:
            raise Conflict(f'Conflict. The container name "/{name}" is already in use')
        id = f"{next(self._ids):012x}".ljust(64, "0")
        spec = {"name": name, "body": body, "created": rfc3339_micro(self._clock.now_s())}
        spec["mounts"] = [await self._mounted(mount) for mount in (body.get("HostConfig") or {}).get("Mounts") or ()]
        status = {"state": "created", "run": "", "exit_code": 0, "health": ""}
        meta = Meta(name=id, labels=body["Labels"])
        await self._store.commit(Put(Object("Container", meta, {"spec": spec, "status": status}, containers.API)))
        return Response.of(201, {"Id": id, "Warnings": []})

    async def _mounted(self, mount: Mapping[str, Any]) -> dict[str, Any]:
        """With a new volume where none is named."""
        source = mount.get("Source")
        if mount["Type"] == "volume" and not source:
            source = f"{next(self._ids):064x}"
            await self._store.commit(Put(Object("Volume", Meta(name=source), {"spec": {}}, volumes.API)))
        return {"Type": mount["Type"], "Name": source, "Destination": mount["Target"]}

    async def _inspect(self, request: Request) -> Answer:
        one = self._get(request.params["id"])
        return Response.of(200, inspected(one))

    async def _verb(self, request: Request) -> Answer:
        one, verb = self._get(request.params["id"]), request.params["verb"]
        if verb == "start" and self.start_s:
            await self._clock.sleep(self.start_s)
        self._note(request, verb, str(one.spec["name"]))
        if verb == "rename":
            await self._store.commit(Put(one.with_spec(name=request.query.get("name"))))
        if verb in ("stop", "restart") and one.status["state"] == "running":
            most_s = float(request.query.get("t") or self.stop_s)
            await self._clock.sleep(min(self.stop_s, most_s))
            await self.end(one.meta.name, 137 if most_s < self.stop_s else 0)
        if verb in ("start", "restart"):
            health = "starting" if one.spec["body"].get("Healthcheck") else ""
            run = rfc3339_micro(self._clock.now_s()) + f"+{next(self._ids)}"
            await self.change(one.meta.name, state="running", run=run, health=health, reason="")
        return Response(204)

    async def _fill(self, request: Request) -> Answer:
        self._note(request, "fill", str(self._get(request.params["id"]).spec["name"]))
        return Response(200)

    async def _remove(self, request: Request) -> Answer:
        one = self._get(request.params["id"])
        self._note(request, "remove", str(one.spec["name"]))
        await self._store.commit(Delete(containers.TYPE, one.key))
        return Response(204)

    async def _make_network(self, request: Request) -> Answer:
        body = request.json()
        self._note(request, "network", body["Name"])
        meta = Meta(name=f"id-{body['Name']}", labels=body["Labels"])
        record = {"spec": {"name": body["Name"]}, "status": {"state": "ready"}}
        await self._store.commit(Put(Object("Network", meta, record, networks.API)))
        return Response.of(201, {"Id": meta.name})

    async def _network(self, request: Request) -> Answer:
        entry = self._store.find(networks.TYPE, Key("", f"id-{request.params['id']}"))
        if entry is None:
            raise NotFound(f"network {request.params['id']} not found")
        return Response.of(200, {"Name": request.params["id"], "Labels": dict(entry.labels)})

    async def _drop_network(self, request: Request) -> Answer:
        self._note(request, "drop", request.params["id"])
        await self._store.commit(Delete(networks.TYPE, Key("", request.params["id"])))
        return Response(204)

    async def _make_volume(self, request: Request) -> Answer:
        body = request.json()
        self._note(request, "volume", body["Name"])
        record = Object("Volume", Meta(name=body["Name"], labels=body["Labels"]), {"spec": {}}, volumes.API)
        await self._store.commit(Put(record))
        return Response.of(201, {"Name": body["Name"]})

    async def _volume(self, request: Request) -> Answer:
        entry = self._store.find(volumes.TYPE, Key("", request.params["id"]))
        if entry is None:
            raise NotFound(f"get {request.params['id']}: no such volume")
        return Response.of(200, {"Name": request.params["id"], "Labels": dict(entry.labels)})

    async def _drop_volume(self, request: Request) -> Answer:
        self._note(request, "drop", request.params["id"])
        await self._store.commit(Delete(volumes.TYPE, Key("", request.params["id"])))
        return Response(204)

    # -- how -----------------------------------------------------------------------------------------------------

    def _note(self, request: Request, verb: str, name: str) -> None:
        self.asked.append(f"{verb} {name}")
        refused = self.refuses.get((verb, name))
        if refused:
            raise Conflict(refused)

    def _containers(self) -> list[Object]:
        return [entry.object() for entry in self._store.entries(containers.TYPE)]

    def _get(self, name: str) -> Object:
        found = self.find(name)
        if found is None:
            raise NotFound(f"No such container: {name}")
        return found


def inspected(one: Object) -> Mapping[str, Any]:
    """What inspect shows, as far as anybody looks at it."""
    status, body = one.status, one.spec["body"]
    endpoints = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    health = {"Health": {"Status": status["health"]}} if status.get("health") else {}
    return {
        "Id": one.meta.name,
        "Name": f"/{one.spec['name']}",
        "Created": one.spec["created"],
        "Image": "sha256:busybox",
        "Config": {"Labels": dict(one.meta.labels), "Image": body["Image"]},
        "State": {
            "Status": status["state"],
            "ExitCode": status["exit_code"],
            "StartedAt": status["run"] or NEVER,
            **health,
        },
        "Mounts": one.spec["mounts"],
        "NetworkSettings": {"Networks": {name: {} for name in endpoints}},
    }


def lines(raw: list[bytes]) -> list[dict[str, Any]]:
    """Lines of JSON, read."""
    return [orjson.loads(line) for line in raw]
