"""Images of services on their way from and to registries, several at a time, and what is said of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from coracle.cli.compose.chosen import Chosen
from coracle.cli.compose.progress import Event, Progress, Quiet, State
from coracle.cli.docker.client import Docker, Refused, json_lines
from coracle.cli.docker.logins import login_header
from coracle.cli.failure import Failure
from coracle.compose.building import Present, buildable, policy_of
from coracle.compose.project import Project
from coracle.core.errors import CloudError
from coracle.image.references import parse_reference

_ENDS = ("Download complete", "Already exists", "Pull complete", "Pushed", "Layer already exists")
Failures = dict[str, str]
"""Service -> why its image did not get where it should."""


def inspected(docker: Docker, project: Project, services: Sequence[str]) -> dict[str, Present]:
    """The images of `services` that are there, by the names that the services have for them."""
    found = {}
    for image in {project.image_of(name) for name in services}:
        try:
            answer = docker.call("GET", f"/images/{image}/json")
        except Refused as error:
            if error.status != 404:
                raise
            continue
        found[image] = Present(answer["Id"], (answer.get("Metadata") or {}).get("LastTagTime") or "")
    return found


def pull_images(
    chosen: Chosen, docker: Docker, project: Project, services: Sequence[str], progress: Progress, *, layers: bool
) -> Failures:
    """Bring in one image for each of `services`; `layers`: say how each layer comes along."""
    failures: Failures = {}

    def pull(name: str) -> None:
        progress.say(Event(name, "", text="Pulling"))
        try:
            for event in _pulled(chosen, docker, project.services[name], name):
                if layers:
                    progress.say(event)
        except (Failure, CloudError) as error:
            failures[name] = error.message
            known = buildable(project, project.image_of(name))
            text = "Warning" if known else "Error"
            progress.say(Event(name, error.message, "warning" if known else "error", text))
            return
        progress.say(Event(name, "", "done", "Pulled"))

    _together([lambda name=name: pull(name) for name in services], chosen.parallel)  # type: ignore[misc]
    return failures


def pullable(
    project: Project,
    services: Sequence[str],
    present: Mapping[str, Present],
    progress: Progress,
    *,
    policy: str = "",
    ignore_buildable: bool = False,
) -> list[str]:
    """For which of `services` `pull` brings in an image; of the others it is said why not."""
    pullers: dict[str, str] = {}
    for name in services:
        service = project.services[name]
        image, wanted = service.get("image") or "", policy_of(service, policy)
        skipped = _skipped(image, wanted, is_present=image in present)
        if not skipped and service.get("build") and ignore_buildable:
            skipped = "Skipped - Image can be built"
        if not skipped and image in pullers:
            skipped = f"Skipped - Image is already being pulled by {pullers[image]}"
        if skipped:
            progress.say(Event(name, "", "done", skipped))
        else:
            pullers[image] = name
    return list(pullers.values())


def _skipped(image: str, wanted: str, *, is_present: bool) -> str:
    """Why a service's image is not brought in, by itself; "" where it is."""
    if not image:
        return "Skipped - No image to be pulled"
    if wanted in ("never", "build"):
        return "Skipped"
    if wanted == "missing" and is_present and not _is_latest(image):
        return "Skipped - Image is already present locally"
    return ""


def push_images(
    chosen: Chosen, docker: Docker, project: Project, services: Sequence[str], progress: Progress
) -> Failures:
    """Send the images of `services` that say both `image` and `build`; of the others it is said that they are not."""
    failures: Failures = {}
    wanted = [name for name in services if project.services[name].get("image") and project.services[name].get("build")]
    for name in services:
        if name not in wanted:
            progress.say(Event(name, "", "done", "Skipped"))

    def push(name: str) -> None:
        progress.say(Event(name, "", text="Pushing"))
        tags = project.services[name]["build"].get("tags") or ()
        try:
            for image in dict.fromkeys([project.image_of(name), *tags]):
                for event in _pushed(chosen, docker, image, name):
                    progress.say(event)
        except (Failure, CloudError) as error:
            failures[name] = error.message
            progress.say(Event(name, error.message, "error", "Error"))
            return
        progress.say(Event(name, "", "done", "Pushed"))

    _together([lambda name=name: push(name) for name in wanted], chosen.parallel)  # type: ignore[misc]
    return failures


def quietly(chosen: Chosen, title: str, quiet: bool) -> Progress:
    """Where to say what is done: nowhere, if that is asked for."""
    return Quiet() if quiet else chosen.shown(title)


def _pulled(chosen: Chosen, docker: Docker, service: Mapping[str, Any], name: str) -> Iterator[Event]:
    reference = parse_reference(service["image"])
    query = {
        "fromImage": reference.familiar_name,
        "tag": reference.digest or reference.tag,
        "platform": service.get("platform"),
    }
    if chosen.dry_run:
        return
    with docker.send("POST", "/images/create", query, (), login_header(reference.registry, chosen.variables)) as answer:
        yield from _layers(json_lines(answer), name)


def _pushed(chosen: Chosen, docker: Docker, image: str, name: str) -> Iterator[Event]:
    reference = parse_reference(image)
    if chosen.dry_run:
        return
    path, query = f"/images/{reference.familiar_name}/push", {"tag": reference.tag}
    with docker.send("POST", path, query, (), login_header(reference.registry, chosen.variables)) as answer:
        yield from _layers(json_lines(answer), name)


def _layers(lines: Iterator[Any], name: str) -> Iterator[Event]:
    """Beneath the service.  An image that is made here instead is told under its name, which may be the service's."""
    for line in lines:
        id = line.get("id")
        if not id or line.get("progressDetail") is None:
            continue
        status = line.get("status", "")
        state: State = "done" if status in _ENDS else "working"
        yield Event(id, line.get("progress", ""), state, status, parent=name if id != name else "")


def _is_latest(image: str) -> bool:
    return parse_reference(image).tag == "latest"


def _together(jobs: Sequence[Callable[[], None]], limit: int) -> None:
    """Do all `jobs`, at most `limit` at a time (less than 1: all).  An interrupt does not wait for them."""
    waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)

    def work() -> None:
        while not waiting.empty():
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            job()

    count = min(limit, len(jobs)) if limit > 0 else len(jobs)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
