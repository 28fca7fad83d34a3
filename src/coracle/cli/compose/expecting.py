"""Whether more is to come of services of which nothing runs now: only the loop that keeps a project knows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from coracle.cli.compose import containers
from coracle.cli.docker.client import Docker, Refused


def more_to_come(docker: Docker, project: str, services: Collection[str] = ()) -> bool:
    """Whether a container of the services (all where empty) runs, is being restarted or made, or is going to be.

    False for a project that is not declared here, that is going down, or whose containers have ended by themselves.
    """
    try:
        declared = docker.call("GET", f"/compose/projects/{quote(project, safe='')}")
    except Refused as error:
        if error.status == 404:
            return False
        raise
    return is_expected(declared, containers.listed(docker, project, services), services)


def is_expected(
    declared: Mapping[str, Any], present: Iterable[containers.Summary], services: Collection[str] = ()
) -> bool:
    """The same, of what the door and Docker say; pure."""
    spec, working_on = declared["spec"], declared["status"].get("working_on") or ()
    if spec["going"] or spec["borrowed"]:
        return False
    states = {f"{containers.service_of(one)}-{containers.number_of(one)}": one["State"] for one in present}
    wanted = [
        f"{name}-{number}"
        for name, service in spec["services"].items()
        if service["want"] == "running" and (not services or name in services)
        for number in range(1, service["scale"] + 1)
    ]
    return any(slot in working_on or states.get(slot, "running") in ("running", "restarting") for slot in wanted)
