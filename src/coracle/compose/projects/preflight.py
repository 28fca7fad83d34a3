"""Whether a declaration can come true, before anything is made: names, ports, what has to be there already."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from coracle.compose.create.containers import container_name
from coracle.compose.create.files import attached
from coracle.compose.create.labels import NETWORK, PROJECT, SERVICE
from coracle.compose.projects.asking import Asking, path
from coracle.compose.projects.deeds import image_of
from coracle.compose.projects.objects import Spec
from coracle.compose.projects.rehearsal import rehearse
from coracle.compose.projects.seen import Present
from coracle.core.errors import AlreadyExists, Conflict, Malformed, NotFound
from coracle.core.tasks import offload
from coracle.net.forwards import Forwards
from coracle.net.holds import HostPort

TryPort = Callable[[HostPort], None]
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - what Docker calls every address


class Preflight:
    """`try_port` raises AlreadyExists, with who has it, where a process of the host has a port."""

    def __init__(self, docker: Asking, forwards: Forwards, try_port: TryPort) -> None:
        self._docker, self._forwards, self._try_port = docker, forwards, try_port

    async def images(self, model: Mapping[str, Any], targets: Iterable[str], *, needed: bool = True) -> dict[str, str]:
        """Service -> id of its image, "" for one that is not there and not `needed`.  Raises NotFound."""
        found = {}
        for name in targets:
            image = image_of(model, name)
            known = await self._docker.find(path("images", image, "json"))
            if known is None and needed:
                raise NotFound(f'service "{name}": No such image: {image}', kind="image", name=image)
            found[name] = str(known["Id"]) if known else ""
        return found

    async def check(self, spec: Spec, targets: Sequence[str], present: Present) -> list[str]:
        """What there is to warn of.  Raises Conflict, NotFound, Malformed in Docker's and Compose's words."""
        rehearse(spec)
        _check_scales(spec, targets)
        warnings = [*await self._check_networks(spec, targets), *await self._check_volumes(spec, targets)]
        await offload(_check_sources, spec.model, targets)
        await self._check_names(spec, targets, present)
        await self._check_ports(spec, targets, present)
        return warnings

    async def _check_networks(self, spec: Spec, targets: Sequence[str]) -> list[str]:
        warnings = []
        used = {key for name in targets for key in spec.known[name].get("networks") or ()}
        for key in sorted(used | _everything(spec, "networks")):
            network = spec.model["networks"][key]
            name, found = network["name"], await self._docker.find(path("networks", network["name"]))
            if network.get("external"):
                if found is None:
                    said = f"network {name} declared as external, but could not be found"
                    raise NotFound(said, kind="network", name=name)
            elif found is not None and found["Name"] == name:
                warnings += _strange_network(spec.name, key, name, found.get("Labels") or {})
        return warnings

    async def _check_volumes(self, spec: Spec, targets: Sequence[str]) -> list[str]:
        warnings = []
        mounts = [mount for name in targets for mount in spec.known[name].get("volumes") or ()]
        used = {mount["source"] for mount in mounts if mount["type"] == "volume" and mount.get("source")}
        for key in sorted(used | _everything(spec, "volumes")):
            volume = spec.model["volumes"][key]
            name, found = volume["name"], await self._docker.find(path("volumes", volume["name"]))
            if volume.get("external"):
                if found is None:
                    raise NotFound(f'external volume "{name}" not found', kind="volume", name=name)
            elif found is not None:
                warnings += _strange_volume(spec.name, name, found.get("Labels") or {})
        return warnings

    async def _check_names(self, spec: Spec, targets: Sequence[str], present: Present) -> None:
        own = {one.name for one in present.containers}
        for name, number in _numbered(spec, targets):
            wanted = container_name(spec.model, name, number)
            found = None if wanted in own else await self._docker.find(path("containers", wanted, "json"))
            marks = found["Config"]["Labels"] or {} if found else {}
            if found and (marks.get(PROJECT), marks.get(SERVICE)) != (spec.name, name):
                raise Conflict(
                    f'Conflict. The container name "/{wanted}" is already in use by container "{found["Id"]}". '
                    "You have to remove (or rename) that container to be able to reuse that name."
                )

    async def _check_ports(self, spec: Spec, targets: Sequence[str], present: Present) -> None:
        going = {f"container {o.name}" for o in present.containers if o.service in targets or o.id in spec.discard}
        wanted: dict[HostPort, str] = {}
        for name in targets:
            for port in _fixed(spec, name):
                if wanted.setdefault(port, name) != name:
                    raise _taken(name, port, f'service "{wanted[port]}"')
        for port, name in wanted.items():
            holder = self._forwards.holder(port.transport, port.port, _given(port))
            if holder and holder not in going:
                raise _taken(name, port, holder)
            if not holder:
                await self._try(name, port)

    async def _try(self, name: str, port: HostPort) -> None:
        try:
            await offload(self._try_port, port)
        except AlreadyExists as error:
            raise _taken(name, port, error.holder) from error


def _everything(spec: Spec, kind: str) -> set[str]:
    """What is wanted of a kind, whether it is used or not."""
    return set(spec.model.get(kind) or ()) if spec.all_resources else set()


def _strange_network(project: str, key: str, name: str, marks: Mapping[str, str]) -> list[str]:
    """A network that somebody else made is used, if it was made for the same purpose.  Raises Conflict."""
    if marks.get(PROJECT) == project:
        return []
    if marks.get(NETWORK) != key:
        said = f'network {name} was found but has incorrect label {NETWORK} set to "{marks.get(NETWORK, "")}"'
        raise Conflict(f'{said} (expected: "{key}")', kind="Network", name=name)
    said = f'a network with name {name} exists but was not created for project "{project}".'
    return [f"{said}\nSet `external: true` to use an existing network"]


def _strange_volume(project: str, name: str, marks: Mapping[str, str]) -> list[str]:
    maker = marks.get(PROJECT)
    if maker == project:
        return []
    made = f'created for project "{maker}" (expected "{project}")' if maker else "not created by Docker Compose"
    return [f'volume "{name}" already exists but was {made}. Use `external: true` to use an existing volume']


def _check_scales(spec: Spec, targets: Sequence[str]) -> None:
    for name in targets:
        scale, given = spec.services[name].scale, spec.known[name]
        if scale > 1 and given.get("container_name"):
            raise Conflict(
                f'the "{name}" service is using the custom container name "{given["container_name"]}". '
                "Docker requires each container to have a unique name. Remove the custom name to scale the service"
            )
        fixed = next(iter(_fixed(spec, name)), None)
        if scale > 1 and fixed is not None:
            said = f'service "{name}" publishes port {fixed.port}/{fixed.transport.lower()} of this machine'
            raise Conflict(f"{said}, which only one container can have: it cannot be scaled to {scale}")


def _check_sources(model: Mapping[str, Any], targets: Sequence[str]) -> None:
    for name in targets:
        service = model["services"][name]
        sources = [
            mount["source"]
            for mount in service.get("volumes") or ()
            if mount["type"] == "bind" and not (mount.get("bind") or {}).get("create_host_path")
        ]
        sources += [one.definition["file"] for one in attached(model, service) if one.definition.get("file")]
        for source in sources:
            if not os.path.lexists(source):
                said = f'invalid mount config for type "bind": bind source path does not exist: {source}'
                raise Malformed(f'service "{name}": {said}')


def _numbered(spec: Spec, targets: Sequence[str]) -> Iterator[tuple[str, int]]:
    for name in targets:
        for number in range(1, spec.services[name].scale + 1):
            yield name, number


def _fixed(spec: Spec, name: str) -> Iterator[HostPort]:
    """The ports of the host that a service wants, and no others would do."""
    for port in spec.known[name].get("ports") or () if spec.services[name].scale else ():
        published = str(port.get("published") or "")
        if published.isdecimal() and int(published):
            transport = str(port.get("protocol") or "tcp").upper()
            yield HostPort(transport, ip_address(port.get("host_ip") or _EVERYWHERE), int(published))  # type: ignore[arg-type]


def _given(port: HostPort) -> Any:
    return None if port.address.is_unspecified else port.address


def _taken(name: str, port: HostPort, holder: str) -> Conflict:
    said = f"Bind for {port.address}:{port.port} failed: port is already allocated"
    return Conflict(f'service "{name}": {said} (by {holder})', kind="Port", name=f"{port.transport}/{port.port}")
