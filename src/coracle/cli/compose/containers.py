"""The containers of a project, by the labels that every Compose client gives them: with files or without."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from coracle.cli.compose.chosen import fail
from coracle.cli.docker.client import Docker

LABEL = "com.docker.compose."
Summary = Mapping[str, Any]
OneOffs = Literal["with", "without", "only"]


def listed(
    docker: Docker,
    project: str,
    services: Collection[str] = (),
    *,
    stopped: bool = True,
    one_offs: OneOffs = "without",
    index: int = 0,
) -> list[Summary]:
    """Docker's summaries of a project's containers, by service and number.  `index` 0 is every replica."""
    labels = [f"{LABEL}project={project}", f"{LABEL}config-hash"]
    if one_offs != "with":
        labels.append(f"{LABEL}oneoff={'True' if one_offs == 'only' else 'False'}")
    if index:
        labels.append(f"{LABEL}container-number={index}")
    found = docker.call("GET", "/containers/json", {"all": stopped, "filters": {"label": labels}})
    chosen = [one for one in found if not services or service_of(one) in services]
    return sorted(chosen, key=lambda one: (service_of(one), one["Labels"][f"{LABEL}oneoff"] == "True", number_of(one)))


def one(docker: Docker, project: str, service: str, index: int = 0, *, one_offs: OneOffs = "without") -> Summary:
    """The running container of a service: its first, or number `index`.  Ends the program where there is none."""
    found = listed(docker, project, [service], stopped=False, one_offs=one_offs, index=index)
    if not found:
        fail(f'service "{service}" is not running' + (f" container #{index}" if index else ""), 1)
    return found[0]


def service_of(container: Summary) -> str:
    return str(container["Labels"].get(f"{LABEL}service", ""))


def is_one_off(container: Summary) -> bool:
    return str(container["Labels"].get(f"{LABEL}oneoff", "")).lower() == "true"


def number_of(container: Summary) -> int:
    number = container["Labels"].get(f"{LABEL}container-number", "")
    return int(number) if number.isdecimal() else 0


def name_of(container: Summary) -> str:
    """Its own name, not one that a link gives it."""
    names = [str(name).removeprefix("/") for name in container["Names"]]
    return next((name for name in names if "/" not in name), names[0])


def short_name(container: Summary) -> str:
    """The name without the project's, where it has it: `web-1`."""
    return shortened(name_of(container), container["Labels"])


def shortened(name: str, labels: Mapping[str, str]) -> str:
    """As `short_name`, of a name and labels."""
    project, service, number = (labels.get(LABEL + key, "") for key in ("project", "service", "container-number"))
    regular = name == f"{project}-{service}-{number}"
    return name.removeprefix(f"{project}-") if regular else name
