"""Makes projects what they are declared to be.

The loop looks, plans, and begins the steps that may be done now, each as a task of its own; the end of a step and every
change of a container bring it back.  So a container that takes its time to stop is in nobody's way, and what waits for
one to be healthy starts with the record that says so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from coracle.compose.projects import going, memory, objects
from coracle.compose.projects.asking import Asking, path
from coracle.compose.projects.deeds import image_of
from coracle.compose.projects.doing import Doing
from coracle.compose.projects.objects import Spec, spec_of, with_spec
from coracle.compose.projects.observe import Observer, to_project
from coracle.compose.projects.plan import plan
from coracle.compose.projects.seen import Present
from coracle.compose.projects.settling import Settling, settling
from coracle.compose.projects.steps import Plan, Step, Stop
from coracle.compose.projects.telling import Follower
from coracle.compose.projects.work import Work
from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.informer import Informer
from coracle.core.loop import Again, Loop, ToKeys, itself
from coracle.core.object import Key, Object
from coracle.core.store import Store
from coracle.engine.kinds.container import TYPE as CONTAINERS
from coracle.engine.kinds.network import TYPE as NETWORKS
from coracle.engine.kinds.volume import TYPE as VOLUMES

WORKERS = 4


class Projects:
    """The reconciler, and the Part that runs its loop and the steps it begins."""

    name = "compose-projects"
    watches: Mapping[str, ToKeys] = {
        objects.TYPE: itself,
        CONTAINERS: to_project,
        NETWORKS: to_project,
        VOLUMES: to_project,
    }

    def __init__(self, docker: Asking, store: Store, caches: Mapping[str, Informer], clock: Clock) -> None:
        self._docker, self._cache, self._clock = docker, caches[objects.TYPE], clock
        self.records = Collection(objects.KIND, store, clock)
        self.observer = Observer(docker, store, caches)
        self._loop = Loop(self, caches, store, workers=WORKERS)
        self._doing = Doing(docker, self.records, clock, self._wake)
        self._works: dict[str, Work] = {}

    async def run(self, up: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            started = asyncio.Event()
            group.create_task(self._doing.tasks.run(started.set), name="compose-steps")
            await started.wait()
            await self._loop.run(up)

    # -- who waits -----------------------------------------------------------------------------------------------

    def follow(self, project: str, follower: Follower) -> None:
        self._works.setdefault(project, Work()).followers.append(follower)

    def unfollow(self, project: str, follower: Follower) -> None:
        work = self._works.get(project)
        if work is not None and follower in work.followers:
            work.followers.remove(follower)

    def next_turn(self, project: str, former: Spec | None) -> int:
        """Greater than that of every declaration that anybody still waits for."""
        work = self._works.get(project)
        return max(former.turn if former else 0, work.turn if work else 0) + 1

    @contextlib.contextmanager
    def held(self, project: str) -> Iterator[Mapping[str, str]]:
        """Begin no step while somebody makes up their mind.  Gives the runs that are being ended at this moment."""
        work = self._works.setdefault(project, Work())
        work.held += 1
        try:
            yield {step.one.id: step.one.run for step in work.busy.values() if isinstance(step, Stop)}
        finally:
            work.held -= 1
            self._wake(project)

    def state(self, project: str) -> Mapping[str, Any]:
        """What is under way, for people."""
        return (self._works.get(project) or Work()).state

    async def let_go(self, project: str, why: str) -> None:
        """Forget the declaration and leave everything as it is."""
        record = self.records.find(objects.key(project))
        if record is None:
            return
        self._works.setdefault(project, Work(turn=record.spec["turn"])).error = why
        await self.records.delete(record.key, missing_ok=True)

    def _wake(self, project: str) -> None:
        self._loop.queue.add(objects.key(project))

    # -- reconciling ---------------------------------------------------------------------------------------------

    async def reconcile(self, key: Key) -> Again | None:
        record = self._cache.find(key)
        if record is None:
            self._gone(key.name)
            return None
        work = self._works.setdefault(key.name, Work())
        spec = spec_of(record)
        work.enter(spec.turn)
        before = frozenset(work.busy)  # one that ends while we look may not be in what we see
        present = await self.observer.look(key.name)
        known, left = await self._remember(record, spec, present)
        present = replace(present, left=left)
        what, doubting_s = work.weigh(await self._plan(spec, present, known, before), self._clock.monotonic_s())
        self._tell(what, work)
        rests = [self._begin(step, spec, present, work) for step in what.steps if step.subject not in before]
        resting = [rest_s for rest_s in rests if rest_s > 0]
        stuck = bool(what.steps) and len(resting) == len(what.steps)
        await self._settle(spec, settling(spec, present, what, work, stuck=stuck), work)
        soon = [*resting, *([doubting_s] if doubting_s else [])]
        return Again(min(soon)) if soon else None

    def _begin(self, step: Step, spec: Spec, present: Present, work: Work) -> float:
        return 0.0 if work.held or step.subject in work.busy else self._doing.begin(step, spec, present, work)

    async def _plan(self, spec: Spec, present: Present, known: Mapping[str, int], before: frozenset[str]) -> Plan:
        work = self._works[spec.name]
        busy = before | work.busy.keys()
        if spec.going is None:
            return plan(spec, present, known, given_up=work.given_up, busy=busy)
        return going.plan(spec, present, await self.images(spec), given_up=work.given_up, busy=busy)

    async def images(self, spec: Spec) -> list[str]:
        """The images that go with the project, as far as they are there."""
        asked = spec.going.images if spec.going and not spec.undo else ""
        names = {
            image_of(spec.model, name)
            for name, service in spec.known.items()
            if asked == "all" or (asked == "local" and not service.get("image"))
        }
        return [name for name in sorted(names) if await self._docker.find(path("images", name, "json")) is not None]

    async def _remember(
        self, record: Object, spec: Spec, present: Present
    ) -> tuple[Mapping[str, int], Mapping[str, Mapping[str, str]]]:
        """As `ended` and `volumes` of the status."""
        before = record.status["ended"], record.status.get("volumes") or {}
        now = memory.ended(spec, present, before[0]), memory.volumes(spec, present, before[1])
        if now == before:
            return now

        def noted(obj: Object) -> Object:
            return obj.with_status(ended=now[0], volumes=now[1]) if obj.spec["turn"] == spec.turn else obj

        await self.records.change(record.key, noted)
        return now

    def _tell(self, what: Plan, work: Work) -> None:
        for title, word in what.waits:
            work.tell_once(title, word)
        for title, said in what.skipped:
            work.tell_once(title, said, state="warning")

    async def _settle(self, spec: Spec, answer: Settling, work: Work) -> None:
        """Write down what is so, then tell who waits."""
        key = objects.key(spec.name)
        if answer.done and (spec.going is not None or spec.borrowed):
            await self._forget(spec)
            return
        if answer.decided and (spec.trial or (spec.undo and answer.done)):
            undo = None if answer.done else spec.undo

            def settled(obj: Object) -> Object:
                now = spec_of(obj)
                return with_spec(obj, replace(now, trial=None, undo=undo)) if now.turn == spec.turn else obj

            await self.records.change(key, settled)
        if answer.decided:
            work.end(1 if answer.error else 0, answer.error, upto=spec.turn)
        if answer.done and answer.decided:
            work.error = ""

    async def _forget(self, spec: Spec) -> None:
        """The object goes, unless there is a newer declaration."""
        record = self.records.find(objects.key(spec.name))
        if record is not None and record.spec["turn"] == spec.turn:
            await self.records.delete(record.key, missing_ok=True)

    def _gone(self, project: str) -> None:
        work = self._works.pop(project, None)
        if work is None:
            return
        if work.busy or work.held or any(follower.turn > work.turn for follower in work.followers):
            self._works[project] = work
            return
        work.end(1 if work.error else 0, work.error, upto=work.turn)
