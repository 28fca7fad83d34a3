"""Small Compose projects for tests: what is declared, and what there is of it.

plan(spec({"db": {}, "web": {"depends_on": {"db": HEALTHY}}}), present(running("db"), created("web")), {})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from coracle.compose.projects.objects import Service, Spec
from coracle.compose.projects.seen import Present, Seen, SeenNetwork
from coracle.compose.projects.steps import Plan

HEALTHY = {"condition": "service_healthy", "required": True}
STARTED = {"condition": "service_started", "required": True}
COMPLETED = {"condition": "service_completed_successfully", "required": True}
RESTARTED = {"condition": "service_started", "required": True, "restart": True}


def model(**services: Mapping[str, Any]) -> dict[str, Any]:
    """Services of a project `demo`; what is said of one is added to an image."""
    return {"name": "demo", "services": {name: {"image": "busybox", **said} for name, said in services.items()}}


def spec(
    known: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Mapping[str, Any]] | None = None, **more: Any
) -> Spec:
    """A declaration of the services `known`, whose containers all have the hash `h`."""
    named = {name: Service(**{"want": "running", "hash": "h", **(wanted or {}).get(name, {})}) for name in known}
    return Spec(**{"model": model(**known), "services": named, **more})


def running(service: str, number: int = 1, **more: Any) -> Seen:
    """A container that runs."""
    return seen(service, number, **{"state": "running", "run": "t1", **more})


def exited(service: str, number: int = 1, **more: Any) -> Seen:
    return seen(service, number, **{"state": "exited", "run": "t1", **more})


def created(service: str, number: int = 1, **more: Any) -> Seen:
    return seen(service, number, **{"state": "created", **more})


def seen(service: str, number: int, **more: Any) -> Seen:
    name = f"demo-{service}-{number}"
    return Seen(**{"id": f"id-{service}-{number}", "name": name, "hash": "h", **more}, service=service, number=number)


def present(*containers: Seen, networks: Mapping[str, str] | None = None, volumes: Iterable[str] = ()) -> Present:
    """`networks`: name -> the hash on its label."""
    made = [
        SeenNetwork(f"id-{name}", name, name.removeprefix("demo_"), hash) for name, hash in (networks or {}).items()
    ]
    return Present(containers, made, {name: name.removeprefix("demo_") for name in volumes})


def words(plan: Plan) -> list[str]:
    """The steps as text: "Start b-1"."""
    return sorted(f"{type(step).__name__} {step.subject}" for step in plan.steps)
