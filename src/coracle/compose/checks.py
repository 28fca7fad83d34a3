"""What the schema cannot say: references to things that are not there, cycles, settings that exclude each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coracle.compose.places import Path, Places

_INVALID = ": invalid compose project"


def check(model: dict[str, Any], places: Places, disabled: set[str]) -> None:
    """Raise Malformed for the first thing that does not fit together; services of `disabled` profiles are not there."""
    services = model["services"]
    for name, service in sorted(services.items()):
        for path, message in _of_service(name, service, model, disabled):
            raise places.fault(("services", name, *path), message)
    _cycles(services, places)
    for name, volume in sorted((model.get("volumes") or {}).items()):
        for field in volume or () if (volume or {}).get("external") else ():
            if field not in ("name", "external") and not field.startswith("x-"):
                said = f'volumes.{name}: conflicting parameters "external" and "{field}" specified'
                raise places.fault(("volumes", name, field), said)
    for kind in ("secrets", "configs"):
        sources = ("file", "environment") + (("content",) if kind == "configs" else ())
        for name, thing in sorted((model.get(kind) or {}).items()):
            given = [source for source in sources if (thing or {}).get(source) is not None]
            if not given and not (thing or {}).get("external") and not (thing or {}).get("driver"):
                raise places.fault((kind, name), f"{kind}.{name}: one of {'|'.join(sources)} must be set")
            if len(given) > 1:
                listed = "|".join(given)
                raise places.fault((kind, name), f"{kind}.{name}: {listed} attributes are mutually exclusive")
    _container_names(services, places)


def _of_service(
    name: str, service: dict[str, Any], model: dict[str, Any], disabled: set[str]
) -> Iterator[tuple[Path, str]]:
    if not service.get("image") and not service.get("build") and not service.get("provider"):
        yield (), f'service "{name}" has neither an image nor a build context specified{_INVALID}'
    if service.get("network_mode") and service.get("networks"):
        yield ("network_mode",), f"service {name} declares mutually exclusive `network_mode` and `networks`{_INVALID}"
    build = service.get("build") or {}
    if build.get("dockerfile_inline") and build.get("dockerfile"):
        said = f'service "{name}" declares mutually exclusive dockerfile and dockerfile_inline{_INVALID}'
        yield ("build", "dockerfile"), said
    platform = service.get("platform")
    if platform and build.get("platforms") and platform not in build["platforms"]:
        yield ("build", "platforms"), f'service.build.platforms MUST include service.platform "{platform}" {_INVALID}'
    for other, how in (service.get("depends_on") or {}).items():
        if other not in model["services"] and (how.get("required", True) or other not in disabled):
            said = "disabled" if other in disabled else "undefined"
            yield ("depends_on", other), f'service "{name}" depends on {said} service "{other}"{_INVALID}'
    for network in service.get("networks") or {}:
        if network not in model["networks"]:
            yield ("networks",), f'service "{name}" refers to undefined network {network}{_INVALID}'
    for at, mount in enumerate(service.get("volumes") or ()):
        source = mount.get("source") if isinstance(mount, dict) and mount.get("type") == "volume" else ""
        if source and source not in (model.get("volumes") or {}):
            yield ("volumes", at), f'service "{name}" refers to undefined volume {source}{_INVALID}'
    for kind, used, word in (
        ("secrets", service.get("secrets"), "secret"),
        ("configs", service.get("configs"), "config"),
        ("secrets", build.get("secrets"), "build secret"),
    ):
        for at, attached in enumerate(used or ()):
            if attached.get("source") not in (model.get(kind) or {}):
                said = f'service "{name}" refers to undefined {word} {attached.get("source")}{_INVALID}'
                yield (*(("build",) if word.startswith("build") else ()), kind, at), said
    yield from _conflicts(name, service)


def _conflicts(name: str, service: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    deploy = service.get("deploy") or {}
    scale, replicas = service.get("scale"), deploy.get("replicas")
    for path, count in ((("scale",), scale), (("deploy", "replicas"), replicas)):
        if count is not None and count < 0:
            yield path, f"services.{name}.{'.'.join(path)} must be 0 or more: {count}"
    if scale is not None and replicas is not None and scale != replicas:
        yield ("scale",), f"services.{name}: can't set distinct values on 'scale' and 'deploy.replicas'{_INVALID}"
    if service.get("container_name") and (replicas or scale or 1) > 1:
        said = f"can't set container_name and {name} as container name must be unique{_INVALID}"
        yield ("container_name",), f"services.deploy.replicas: {said}"
    resources = deploy.get("resources") or {}
    for own, part, field in (
        ("mem_limit", "limits", "memory"),
        ("mem_reservation", "reservations", "memory"),
        ("cpus", "limits", "cpus"),
        ("pids_limit", "limits", "pids"),
    ):
        other = (resources.get(part) or {}).get(field)
        if service.get(own) and other and service[own] != other:
            said = f"can't set distinct values on '{own}' and 'deploy.resources.{part}.{field}'"
            yield (own,), f"services.{name}: {said}{_INVALID}"


def _container_names(services: dict[str, Any], places: Places) -> None:
    holders: dict[str, str] = {}
    for name, service in sorted(services.items()):
        if wanted := service.get("container_name"):
            first = holders.setdefault(wanted, name)
            if first != name:
                said = f'services.{name}: container name "{wanted}" is already in use by service {first}{_INVALID}'
                raise places.fault(("services", name, "container_name"), said)


def _cycles(services: dict[str, Any], places: Places) -> None:
    done: set[str] = set()
    for start in sorted(services):
        walk = [(start, iter(sorted(services[start].get("depends_on") or {})))]
        while walk and start not in done:
            name, others = walk[-1]
            following = next(others, None)
            if following is None:
                done.add(name)
                walk.pop()
                continue
            trail = [step for step, _ in walk]
            if following in trail:
                cycle = [*trail[trail.index(following) :], following]
                said = f"dependency cycle detected: {' -> '.join(cycle)}"
                raise places.fault(("services", name, "depends_on", following), said)
            if following in services and following not in done:
                walk.append((following, iter(sorted(services[following].get("depends_on") or {}))))


def port_clashes(services: dict[str, Any], places: Places) -> list[str]:
    """Messages about ports of the host that two entries want: only one of them can have it."""
    holders: dict[tuple[str, str, str], str] = {}
    said = []
    for name, service in sorted(services.items()):
        for at, port in enumerate(service.get("ports") or ()):
            published = port.get("published") if isinstance(port, dict) else None
            if not published or "-" in published or published == "0":
                continue
            key = (port.get("host_ip", ""), published, port.get("protocol", "tcp"))
            first = holders.setdefault(key, name)
            if first != name:
                place = places.of(("services", name, "ports", at))
                said.append(f"{place}: port {':'.join(filter(None, key[:2]))}/{key[2]} is wanted by {first} and {name}")
    return said
