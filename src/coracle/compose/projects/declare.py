"""From what is asked, and what is declared and there already, to the next declaration; pure.

up, create, scale     the services asked for, and those they depend on, as the file says now
start, stop, restart  the runs of this moment count as over, or are to end
rm                    containers that do not run go, and with the last one its service's declaration
down                  everything goes; with services, these and what depends on them
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from coracle.compose import order
from coracle.compose.create.containers import wanted_hash
from coracle.compose.projects.asked import MAKING, Asked, File
from coracle.compose.projects.borrowing import borrowed
from coracle.compose.projects.objects import Going, Service, Spec, There, Trial, to_json
from coracle.compose.projects.seen import Present, Seen
from coracle.core.errors import Conflict, NotFound

_NONE: Mapping[str, str] = {}
_RESOURCES = ("networks", "volumes", "secrets", "configs")


def declared(
    asked: Asked, former: Spec | None, present: Present, images: Mapping[str, str], stopping: Mapping[str, str] = _NONE
) -> Spec:
    """The next spec, but for its turn.

    images    service -> id of its image, for the services that are to be made
    stopping  the runs that are being ended for a former declaration: they count as over

    Raises NotFound (a service, the project), Conflict.
    """
    if former is not None and former.going is not None:
        former = None if asked.action in MAKING else former
    present = replace(present, containers=[_as_ended(one, stopping) for one in present.containers])
    base = _base(asked, former, present)
    made = _ACTIONS[asked.action](asked, base, present, images)
    orphans = {one.id: False for one in orphans_of(base, asked, present)} if asked.remove_orphans else {}
    return replace(
        made,
        discard={**made.discard, **orphans},
        timeout_s=asked.timeout_s,
        trial=_trial(asked, former, present),
        undo=None,
    )


def targets_of(asked: Asked, known: Mapping[str, Any]) -> list[str]:
    """The services that take part in up, create, scale and start: those named, and what they depend on."""
    named = asked.services or tuple(known)
    for name in named:
        if name not in known:
            raise NotFound(f"no such service: {name}", kind="service", name=name)
    chosen = set(named) if asked.no_deps else order.closure(named, order.dependencies(known))
    return [name for name in known if name in chosen]


def scale_of(service: Mapping[str, Any]) -> int:
    """How many containers the file asks for."""
    replicas = (service.get("deploy") or {}).get("replicas")
    scale = service.get("scale")
    return int(scale if scale is not None else 1 if replicas is None else replicas)


def orphans_of(spec: Spec, asked: Asked, present: Present) -> list[Seen]:
    """Containers of services that the files do not know, and one-off ones that have ended."""
    known = {*spec.known, *(asked.project.left_out if asked.project else ())}
    return [one for one in present.containers if (not one.alive if one.one_off else one.service not in known)]


def _as_ended(one: Seen, stopping: Mapping[str, str]) -> Seen:
    return replace(one, state="exited") if stopping.get(one.id) == one.run else one


# -- what it starts from --------------------------------------------------------------------------------------------


def _base(asked: Asked, former: Spec | None, present: Present) -> Spec:
    file = asked.project
    if asked.action in MAKING and file is not None:
        return _from_file(asked, file, former)
    if former is not None:
        return _with_strangers(replace(former, discard={}), present)
    if asked.action in MAKING:
        raise NotFound(f"no such project: {asked.name}", kind="project", name=asked.name)
    if file is None and not present.containers and asked.action == "start":
        said = f'no container found for project "{asked.name}": not found'
        raise NotFound(said, kind="project", name=asked.name)
    return borrowed(asked.name, present, file)


def _from_file(asked: Asked, file: File, former: Spec | None) -> Spec:
    """The file's model; services that do not take part keep what was declared of them."""
    model, kept = dict(file.model), dict[str, Service]()
    if former is not None and not former.borrowed:
        known = {*file.model["services"], *file.left_out}
        before = {name: one for name, one in former.services.items() if name in known}
        kept = {name: one for name, one in before.items() if name not in targets_of(asked, file.model["services"])}
        model["services"] = {**file.model["services"], **{name: former.known[name] for name in kept}}
        for kind in _RESOURCES:
            model[kind] = {**(former.model.get(kind) or {}), **(file.model.get(kind) or {})}
        fresh = {name: replace(one, hash=wanted_hash(model, name, one.image_id)) for name, one in kept.items()}
        kept = before | fresh
    return Spec(directory=file.directory, files=file.files, model=model, services=kept)


def _with_strangers(spec: Spec, present: Present) -> Spec:
    """With services that are known and have containers, and were not declared, as they are."""
    others = borrowed(spec.name, present, None).services
    found = {name: one for name, one in others.items() if name in spec.known and name not in spec.services}
    return replace(spec, services={**spec.services, **found})


def _trial(asked: Asked, former: Spec | None, present: Present) -> Trial | None:
    if asked.action not in MAKING or asked.keep_going:
        return None
    there = There(
        containers={one.id: one.run if one.alive else "" for one in present.containers},
        networks=tuple(network.name for network in present.networks),
        volumes=tuple(present.volumes),
    )
    if former is None and present.containers:
        former = borrowed(asked.name, present, None)
    return Trial(former=to_json(replace(former, trial=None, undo=None)) if former else None, there=there)


# -- the actions ----------------------------------------------------------------------------------------------------


def _up(asked: Asked, base: Spec, present: Present, images: Mapping[str, str]) -> Spec:
    services = dict(base.services)
    known = asked.project.model["services"] if asked.project else base.known
    for name in targets_of(asked, known):
        named = not asked.services or name in asked.services
        policy = asked.recreate if named else asked.recreate_deps
        services[name] = _made(asked, base, name, present.of(name), (policy, images[name]))
    services = dict(_started_with(base, services, present))
    return replace(base, services=services, all_resources=asked.all_resources, borrowed=False, going=None)


def _made(asked: Asked, base: Spec, name: str, there: list[Seen], how: tuple[str, str]) -> Service:
    policy, image_id = how
    hash, before = wanted_hash(base.model, name, image_id), base.services.get(name)
    stays = before is not None and before.want == "running" and before.hash == hash and policy != "force"
    return Service(
        want="created" if asked.action == "create" and not stays else "running",
        scale=asked.scale.get(name, scale_of(base.known[name])),
        hash=hash,
        image_id=image_id,
        accepts=tuple(sorted({one.hash for one in there})) if policy == "never" else (),
        anew=tuple(one.id for one in there) if policy == "force" else (),
        again=_over(there) if asked.action != "create" else {},
        renew_volumes=asked.renew_volumes,
        alone=asked.no_deps,
    )


def _over(there: list[Seen]) -> dict[str, str]:
    """The runs that have ended."""
    return {one.id: one.run for one in there if not one.alive and one.run}


def _running(there: list[Seen]) -> dict[str, str]:
    return {one.id: one.run for one in there if one.alive}


def _started_with(base: Spec, services: Mapping[str, Service], present: Present) -> Mapping[str, Service]:
    """Services that start anew with one that is made anew stop before it is, and start after."""
    changing = [name for name, service in services.items() if _changes(service, present.of(name))]
    others = order.closure(changing, order.restarted_with(base.known)) - set(changing)
    found = dict(services)
    for name in others & set(services):
        if services[name].want == "running":
            runs = _running(present.of(name))
            again = {**services[name].again, **runs}
            found[name] = replace(services[name], again=again, ends={**services[name].ends, **runs})
    return found


def _changes(service: Service, there: list[Seen]) -> bool:
    known = {service.hash, *service.accepts}
    return bool(service.hash) and any(one.hash not in known or one.id in service.anew for one in there)


def _start(asked: Asked, base: Spec, present: Present, _images: Mapping[str, str]) -> Spec:
    def started(service: Service, there: list[Seen]) -> Service:
        return replace(service, want="running", again=_over(there), ends={}, alone=asked.no_deps)

    named = tuple(_named(asked, base))
    targets = targets_of(replace(asked, services=named), base.known) if named else []
    for name in targets:
        if not present.of(name) and (name in asked.services or base.services.get(name, Service(want="running")).scale):
            raise Conflict(f'service "{name}" has no container to start', kind="service", name=name)
    return _each(base, targets, present, started)


def _stop(asked: Asked, base: Spec, present: Present, _images: Mapping[str, str]) -> Spec:
    def stopped(service: Service, there: list[Seen]) -> Service:
        return replace(service, want="stopped", ends=_running(there), again={})

    return _each(base, _named(asked, base), present, stopped)


def _restart(asked: Asked, base: Spec, present: Present, _images: Mapping[str, str]) -> Spec:
    def restarted(service: Service, there: list[Seen]) -> Service:
        return replace(service, want="running", again={one.id: one.run for one in there}, ends={})

    named = _named(asked, base)
    targets = named if asked.no_deps else order.closure(named, order.restarted_with(base.known))
    return _each(base, targets, present, restarted)


def _rm(asked: Asked, base: Spec, present: Present, _images: Mapping[str, str]) -> Spec:
    there = {name: present.of(name) for name in _named(asked, base)}
    gone = {one.id: asked.volumes for found in there.values() for one in found if not one.alive}
    empty = {name for name, found in there.items() if not any(one.alive for one in found)}
    services = {name: one for name, one in base.services.items() if name not in empty}
    return replace(base, services=services, discard=gone)


def _down(asked: Asked, base: Spec, present: Present, _images: Mapping[str, str]) -> Spec:
    targets = _named(asked, base)
    services = {name: one for name, one in base.services.items() if name not in targets}
    if not asked.services or not services:
        kept = tuple(name for name in base.known if name not in targets)
        going = Going(volumes=asked.volumes, images=asked.images, orphans=asked.remove_orphans, kept=kept)
        return replace(base, services={}, discard={}, going=going)
    gone = {one.id: asked.volumes for name in targets for one in present.of(name)}
    return replace(base, services=services, discard=gone)


def _named(asked: Asked, base: Spec) -> list[str]:
    """The services asked for, without those they depend on; what labels alone tell may be incomplete.

    All are those of the profiles that are enabled now.
    """
    for name in asked.services:
        if name not in base.known and not (base.borrowed and asked.project is None):
            raise NotFound(f"no such service: {name}", kind="service", name=name)
    others = asked.project.left_out if asked.project else ()
    return [name for name in base.known if (name in asked.services if asked.services else name not in others)]


def _each(
    base: Spec, targets: list[str] | set[str], present: Present, change: Callable[[Service, list[Seen]], Service]
) -> Spec:
    services = dict(base.services)
    for name in targets:
        if name in services:
            services[name] = change(services[name], present.of(name))
    return replace(base, services=services)


_ACTIONS: Mapping[str, Callable[[Asked, Spec, Present, Mapping[str, str]], Spec]] = {
    "up": _up,
    "create": _up,
    "scale": _up,
    "start": _start,
    "stop": _stop,
    "restart": _restart,
    "rm": _rm,
    "down": _down,
}
