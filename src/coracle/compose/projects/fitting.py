"""Which containers a declared service has, and which are missing, too many or out of date; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from coracle.compose.create.containers import container_name, joined_services
from coracle.compose.projects.objects import Service, Spec
from coracle.compose.projects.seen import Present, Seen
from coracle.compose.projects.steps import Create, Recreate, Remove, Rename, Replace, Step


@dataclass
class Fit:
    """One service's containers.  `steps` make them what they are meant to be; `known` is false while that depends on
    another service whose containers are not what they are meant to be yet."""

    kept: list[Seen] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    known: bool = True

    @property
    def done(self) -> bool:
        return self.known and not self.steps


class Fitting:
    """The fits of all declared services, each worked out once."""

    def __init__(self, spec: Spec, present: Present, ended: Mapping[str, int]) -> None:
        self._spec, self._present, self._ended = spec, present, ended
        self._fits: dict[str, Fit] = {}

    def of(self, name: str) -> Fit:
        """Of a declared service.  The loader refuses cycles."""
        if name not in self._fits:
            self._fits[name] = self._fit(name, self._spec.services[name])
        return self._fits[name]

    def containers(self, name: str) -> list[Seen]:
        """Of any service: those that are meant to stay."""
        if name in self._spec.services:
            return self.of(name).kept
        return [one for one in self._present.of(name) if one.id not in self._spec.discard]

    def gone(self, name: str) -> list[Seen]:
        """The containers of a service that ended by themselves and were removed, as they were."""
        there = {one.number for one in self._present.of(name)}
        return [
            Seen(
                id="",
                name=container_name(self._spec.model, name, number),
                service=name,
                number=number,
                state="exited",
                exit_code=code,
                run="over",
            )
            for number, code in self._ended_numbers(name)
            if number not in there
        ]

    def hash(self, name: str) -> str | None:
        """What the label of the service's containers must say; None: not known yet.

        A container that is made of another's parts names it by its id, so it depends on that too.
        """
        service = self._spec.services[name]
        joined = sorted(joined_services(self._spec.known[name])) if service.hash else []
        if not joined:
            return service.hash
        ids = []
        for other in joined:
            containers = self.containers(other)
            if (other in self._spec.services and not self.of(other).done) or not containers:
                return None
            ids.append(containers[0].id)
        return hashlib.sha256(" ".join([service.hash, *ids]).encode()).hexdigest()

    def _fit(self, name: str, service: Service) -> Fit:
        present = [one for one in self._present.of(name) if one.id not in self._spec.discard]
        if service.want == "stopped" or not service.hash:
            surplus = present[service.scale :] if not service.hash and self._spec.undo else []
            kept = [one for one in present if one not in surplus]
            return Fit(kept, [Remove(one) for one in surplus])
        hash = self.hash(name)
        if hash is None:
            return Fit(present, known=False)
        fit = Fit()
        singles = list(self._singles(present, fit, name, hash))
        singles.sort(key=lambda one: (not self._is_current(one, service, hash), one.number))
        fit.kept = singles[: service.scale]
        fit.steps += [Remove(one) for one in singles[service.scale :]]
        fit.steps += [Recreate(one, hash) for one in fit.kept if not self._is_current(one, service, hash)]
        fit.steps += [Create(name, number, hash) for number in self._missing(name, service, singles)]
        return fit

    def _is_current(self, one: Seen, service: Service, hash: str) -> bool:
        return (one.hash == hash or one.hash in service.accepts) and one.id not in service.anew

    def _singles(self, present: list[Seen], fit: Fit, name: str, hash: str) -> Iterator[Seen]:
        """One container for each number; of two, a change was begun and not finished."""
        service = self._spec.services[name]
        for number in sorted({one.number for one in present}):
            *old, newest = [one for one in present if one.number == number]
            meant = container_name(self._spec.model, name, number)
            if old and self._is_current(newest, service, hash):
                fit.steps += [Replace(old[0], newest)]
            elif old:
                fit.steps += [Remove(newest)]
                newest = old[0]
            elif newest.name != meant and newest.name.endswith(f"_{meant}"):
                fit.steps += [Rename(newest, meant)]
            yield newest

    def _missing(self, name: str, service: Service, present: list[Seen]) -> Iterator[int]:
        """The numbers of the containers to be made: the lowest that are free, and not of those that ended."""
        taken = {one.number for one in present} | {number for number, _ in self._ended_numbers(name)}
        number = 1
        while len(taken) < service.scale:
            if number not in taken:
                taken.add(number)
                yield number
            number += 1

    def _ended_numbers(self, name: str) -> Iterator[tuple[int, int]]:
        """(number, exit code)"""
        for text, code in self._ended.items():
            service, _, number = text.rpartition("-")
            if service == name:
                yield int(number), code
