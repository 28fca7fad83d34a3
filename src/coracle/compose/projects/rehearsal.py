"""Plays a declaration through before it is stored: a model that is not in canonical form is found out here.

What the loader makes is; what somebody else posts may be anything, and the loop must never trip over what is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from coracle.compose import order
from coracle.compose.create.containers import Origin, Other, container_body, container_name, joined_services
from coracle.compose.create.files import archive
from coracle.compose.create.networks import network_body
from coracle.compose.create.volumes import volume_body
from coracle.compose.projects.asked import MOST_REPLICAS
from coracle.compose.projects.objects import Spec
from coracle.compose.projects.plan import plan
from coracle.compose.projects.seen import Present, Seen, SeenNetwork
from coracle.core.errors import Malformed

_WRONG = (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError)


def rehearse(spec: Spec) -> None:
    """Raises Malformed, naming the part of the model that is at fault."""
    parts: list[tuple[str, Callable[[], object]]] = [("services", partial(_play, spec))]
    parts += [("services", partial(_refuse_cycles, spec))]
    parts += [(f"services.{name}", partial(_make, spec, name)) for name in spec.services]
    parts += [(f"networks.{key}", partial(_name, spec, "networks", key)) for key in spec.model.get("networks") or {}]
    parts += [(f"volumes.{key}", partial(_name, spec, "volumes", key)) for key in spec.model.get("volumes") or {}]
    for place, call in reversed(parts):
        try:
            call()
        except _WRONG as error:
            raise Malformed(f"project.model.{place}: is not in canonical form: {error!r}"[:500]) from error


def _refuse_cycles(spec: Spec) -> None:
    """Of all for which a container may wait: services that it depends on, is linked to or shares something with."""
    edges = {name: set(others) for name, others in order.dependencies(spec.known).items()}
    for name, given in spec.known.items():
        linked = {text.partition(":")[0] for text in given.get("links") or ()} | joined_services(given)
        edges[name] |= linked & set(spec.known)
    found = order.cycle({name: frozenset(others) for name, others in edges.items()})
    if found:
        raise Malformed(f"dependency cycle detected: {' -> '.join(found)}")


def _name(spec: Spec, kind: str, key: str) -> None:
    body = (network_body if kind == "networks" else volume_body)(spec.model, key)
    if not isinstance(spec.model[kind][key].get("name"), str) or (body is not None and not body["Name"]):
        raise ValueError("name must be a text")


def _make(spec: Spec, name: str) -> None:
    others = {other: [Other("other", "other")] for other in spec.known}
    if not 0 <= spec.services[name].scale <= MOST_REPLICAS:
        raise Malformed(f'service "{name}": scale must be a number from 0 to {MOST_REPLICAS}')
    container_body(spec.model, name, 1, Origin(), others=others)
    archive(spec.model, name)


def _play(spec: Spec) -> None:
    """Through the states in which the loop may find it."""
    plan(spec, Present(), {})
    made = Present(networks=[_network(spec, key) for key in spec.model.get("networks") or {}], volumes=_volumes(spec))
    for state in ("created", "running", "exited"):
        containers = [_container(spec, name, state) for name in spec.services]
        plan(spec, replace(made, containers=containers), {})


def _network(spec: Spec, key: str) -> SeenNetwork:
    return SeenNetwork("id", str(spec.model["networks"][key]["name"]), key)


def _volumes(spec: Spec) -> dict[str, str]:
    return {volume["name"]: key for key, volume in (spec.model.get("volumes") or {}).items()}


def _container(spec: Spec, name: str, state: str) -> Seen:
    service = spec.services[name]
    run = "" if state == "created" else "run"
    wanted = container_name(spec.model, name, 1)
    return Seen(id=name, name=wanted, service=name, number=1, state=state, run=run, hash=service.hash)
