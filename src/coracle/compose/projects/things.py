"""The networks and volumes that a declaration needs, and those that came with one that was taken back; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from coracle.compose.create import labels
from coracle.compose.create.networks import network_body
from coracle.compose.projects.objects import Spec, There
from coracle.compose.projects.seen import Present
from coracle.compose.projects.steps import (
    THINGS,
    DropNetwork,
    DropVolume,
    MakeNetwork,
    MakeVolume,
    Step,
    Stop,
)


def is_working(busy: Collection[str]) -> bool:
    """Whether steps about containers are under way: what these use may not be free yet, though they say they ended."""
    return any(not subject.startswith(THINGS) for subject in busy)


class Things:
    """`steps` make them; `stale`: a network is not ready yet, or another one now, to be taken away first."""

    def __init__(self, spec: Spec, present: Present, busy: Collection[str]) -> None:
        self._spec, self._present, self._is_working = spec, present, is_working(busy)
        self.steps: list[Step] = []
        self.stale = False
        if not spec.borrowed:
            self._plan_networks()
            self._plan_volumes()

    def lack(self, given: Mapping[str, Any]) -> bool:
        """Whether one that a service uses is still to be made."""
        networks = {step.key for step in self.steps if isinstance(step, MakeNetwork)}
        volumes = {step.key for step in self.steps if isinstance(step, MakeVolume)}
        sources = {mount.get("source") for mount in given.get("volumes") or ()}
        return self.stale or bool(networks & set(given.get("networks") or ())) or bool(volumes & sources)

    def undone(self, undo: There) -> list[Step]:
        """What came with a declaration that was taken back, once no container needs it."""
        if self._is_working:
            return []
        steps: list[Step] = []
        kept = {*self._named("networks"), *undo.networks}
        steps += [DropNetwork(network) for network in self._present.networks if network.name not in kept]
        kept = {*self._named("volumes"), *undo.volumes}
        return steps + [DropVolume(name, key) for name, key in self._present.volumes.items() if name not in kept]

    def _named(self, kind: str) -> list[str]:
        return [str(thing["name"]) for thing in (self._spec.model.get(kind) or {}).values()]

    def _used(self, kind: str) -> set[str]:
        found = set(self._spec.model.get(kind) or ()) if self._spec.all_resources else set[str]()
        for name, service in self._spec.services.items():
            if service.want == "stopped" or not service.hash:
                continue
            given = self._spec.known[name]
            if kind == "networks":
                found |= set(given.get("networks") or ())
            else:
                found |= {m["source"] for m in given.get("volumes") or () if m["type"] == "volume" and m.get("source")}
        return found

    def _plan_networks(self) -> None:
        present = {network.name: network for network in self._present.networks}
        for key in sorted(self._used("networks")):
            body = network_body(self._spec.model, key)
            if body is None:
                continue
            network = present.get(body["Name"])
            if network is None:
                if body["Name"] not in self._present.other_networks:
                    self.steps.append(MakeNetwork(key))
            elif not network.ready:
                self.stale = True
            elif network.hash and network.hash != body["Labels"][labels.HASH]:
                on_it = [one for one in self._present.containers if one.alive and network.name in one.networks]
                free: list[Step] = [] if self._is_working else [DropNetwork(network)]
                self.steps += [Stop(one) for one in on_it] or free
                self.stale = True

    def _plan_volumes(self) -> None:
        for key in sorted(self._used("volumes")):
            volume = self._spec.model["volumes"][key]
            there = volume["name"] in self._present.volumes or volume["name"] in self._present.other_volumes
            if not there and not volume.get("external"):
                self.steps.append(MakeVolume(key))
