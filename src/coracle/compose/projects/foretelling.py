"""What a declaration would do (`--dry-run`): its plans are played on what there is, each step as if it worked; pure.

Whatever is waited for comes true: started containers are healthy, jobs end well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from coracle.compose.create.containers import container_name
from coracle.compose.projects import going
from coracle.compose.projects.conditions import COMPLETED
from coracle.compose.projects.deeds import tagged
from coracle.compose.projects.objects import Spec
from coracle.compose.projects.plan import plan
from coracle.compose.projects.seen import Present, Seen, SeenNetwork, slot
from coracle.compose.projects.steps import (
    Create,
    DropImage,
    DropNetwork,
    DropVolume,
    MakeNetwork,
    MakeVolume,
    Recreate,
    Remove,
    Rename,
    Replace,
    Restart,
    Start,
    Step,
    Stop,
)
from coracle.compose.projects.telling import line

ROUNDS = 10_000
Line = dict[str, Any]


def foretold(spec: Spec, present: Present, ended: Mapping[str, int], images: Collection[str] = ()) -> Iterator[Line]:
    """The lines that would be told.  `ended` as in the status; `images`: those that would go with the project."""
    playing = _Playing(spec, present)
    for _ in range(ROUNDS):
        what = going.plan(spec, playing.present, images) if spec.going else plan(spec, playing.present, ended)
        for step in what.steps:
            yield from playing.play(step)
            if isinstance(step, DropImage):
                images = [name for name in images if name != step.name]
        if not what.steps:
            break
    yield {"end": {"exit_code": 0, "error": ""}}


class _Playing:
    def __init__(self, spec: Spec, present: Present) -> None:
        self._spec, self.present = spec, present
        waits = [service.get("depends_on") or {} for service in spec.known.values()]
        self._jobs = {name for those in waits for name, how in those.items() if how["condition"] == COMPLETED}

    def play(self, step: Step) -> list[Line]:
        """The lines of one step, which is from now on as if done."""
        match step:
            case MakeNetwork(key):
                name = self._spec.model["networks"][key]["name"]
                self.present = replace(self.present, networks=[*self.present.networks, SeenNetwork("", name, key)])
                return _told(f"Network {name}", "Creating", "Created")
            case MakeVolume(key):
                name = self._spec.model["volumes"][key]["name"]
                self.present = replace(self.present, volumes={**self.present.volumes, name: key})
                return _told(f'Volume "{name}"', "Creating", "Created")
            case DropNetwork(network):
                left = [one for one in self.present.networks if one.name != network.name]
                self.present = replace(self.present, networks=left)
                return _told(f"Network {network.name}", "Removing", "Removed")
            case DropVolume(name):
                kept = {other: key for other, key in self.present.volumes.items() if other != name}
                self.present = replace(self.present, volumes=kept)
                return _told(f"Volume {name}", "Removing", "Removed")
            case DropImage(name):
                return _told(f"Image {tagged(name)}", "Removing", "Removed")
            case Create(service, number, hash):
                made = self._new(service, number, hash)
                self.present = replace(self.present, containers=[*self.present.containers, made])
                return _told(made.title, "Creating", "Created")
        return self._about_a_container(step)

    def _about_a_container(self, step: Step) -> list[Line]:
        match step:
            case Recreate(one, hash):
                return self._changed(one, self._new(one.service, one.number, hash), "Recreate", "Recreated")
            case Replace(one, by):
                self._change(by, lambda seen: replace(seen, name=one.name))
                return self._changed(one, None, "", "Recreated")
            case Rename(one, name):
                return self._changed(one, replace(one, name=name))
            case Start(one):
                return self._changed(one, self._started(one), "Starting", "Started")
            case Restart(one):
                return self._changed(one, self._started(one), "Restarting", "Started")
            case Stop(one):
                return self._changed(one, replace(one, state="exited"), "Stopping", "Stopped")
            case Remove(one):
                stopped = _told(one.title, "Stopping", "Stopped") if one.alive else []
                return stopped + self._changed(one, None, "Removing", "Removed")
        return []

    def _new(self, service: str, number: int, hash: str) -> Seen:
        name = container_name(self._spec.model, service, number)
        return Seen(
            id=f"new-{slot(service, number)}", name=name, service=service, number=number, state="created", hash=hash
        )

    def _started(self, one: Seen) -> Seen:
        ends = one.service in self._jobs
        return replace(one, state="exited" if ends else "running", exit_code=0, health="healthy", run=f"{one.run}+")

    def _changed(self, one: Seen, by: Seen | None, *words: str) -> list[Line]:
        self._change(one, lambda _: by)
        return _told(one.title, *words)

    def _change(self, one: Seen, how: Callable[[Seen], Seen | None]) -> None:
        changed = [how(seen) if seen.id == one.id else seen for seen in self.present.containers]
        self.present = replace(self.present, containers=[seen for seen in changed if seen is not None])


def _told(title: str, *words: str) -> list[Line]:
    return [line(title, word) for word in words if word]
