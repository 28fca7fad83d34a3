"""Make the pods of this node true.

Decide: plan() and status(), pure.  Act: PodSync.reconcile(), a step at a time; what takes long is a chore, and records
of the engine, notes of the chores and the passing of time bring it back for the next step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from coracle.core.clock import Clock, from_rfc3339
from coracle.core.collection import Collection
from coracle.core.informer import Informer
from coracle.core.loop import Again, Loop, Reconciler, ToKeys, itself
from coracle.core.object import Key, Meta, Object
from coracle.core.sameness import change_same
from coracle.core.store import Store
from coracle.core.tasks import Part, running
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet import policy, resizing
from coracle.kube.kubelet.admission import Refusal, refusal
from coracle.kube.kubelet.chores import Chores
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.fitting import is_new, misfit
from coracle.kube.kubelet.messages import Messages
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.plan import Plan, plan
from coracle.kube.kubelet.pressure import Evictor, Relief
from coracle.kube.kubelet.probes import Prober
from coracle.kube.kubelet.pulls import Pulls
from coracle.kube.kubelet.ranking import unwelcome
from coracle.kube.kubelet.records import (
    CONTAINER,
    SANDBOX,
    Present,
    Records,
    containers_of,
    event_field,
    init_containers_of,
    sandbox_name,
    to_pod,
)
from coracle.kube.kubelet.resizer import Resizer
from coracle.kube.kubelet.starting import ContainerStarter, SandboxStarter, start_all
from coracle.kube.kubelet.status import status
from coracle.kube.kubelet.stopping import Clearer, Stopper
from coracle.kube.kubelet.view import View

POD = "Pod"
WORKERS = 16
PATIENCE_S = 2.0  # with room that may just be given up; and who makes refused pods anew makes few


@dataclass(frozen=True, slots=True)
class Hands:
    """Those who carry out what was decided."""

    sandboxes: SandboxStarter
    containers: ContainerStarter
    pulls: Pulls
    stopper: Stopper
    clearer: Clearer
    prober: Prober
    messages: Messages
    resizer: Resizer
    evictor: Evictor


class PodSync:
    """The kubelet's loop.  `pods` writes their status and, at their end, removes them."""

    name = "kubelet"
    watches: Mapping[str, ToKeys] = {POD: itself, CONTAINER: to_pod, SANDBOX: to_pod}

    def __init__(
        self,
        cache: Informer,
        records: Records,
        pods: Collection,
        hands: Hands,
        *,
        config: NodeConfig,
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._cache, self._records, self._pods = cache, records, pods
        self._hands, self._config = hands, config
        self._recorder, self._clock = recorder, clock
        self._notes: dict[Key, Notes] = {}

    async def sweep(self) -> None:
        """At start, once the caches are full: remove what no record leads to."""
        await self._hands.clearer.sweep({sandbox_name(entry.uid) for entry in self._cache.entries()})
        await self._hands.pulls.sweep()

    def hurry(self, key: Key) -> None:
        """Something that the pod may have waited for has changed."""
        if key in self._notes:
            self._notes[key].hurry()

    def looks(self, pod: Object) -> Mapping[tuple[str, str, str], int]:
        """What the pod's probes have found (`Notes.looks`)."""
        notes = self._notes.get(pod.key)
        return notes.looks if notes is not None and notes.uid == pod.meta.uid else {}

    async def reconcile(self, key: Key) -> Again | None:
        pod = self._cache.find(key)
        mine = pod if pod is not None and pod.spec.get("nodeName") == self._config.name else None
        there = self._records.of(key)
        for uid in there.keys() - {mine.meta.uid if mine is not None else ""}:
            self._hands.clearer.orphan(key, uid, there[uid])
        notes = self._notes_of(key, mine)
        if mine is None:
            return None
        return await self._step(mine, there.get(mine.meta.uid, Present()), notes)

    async def _step(self, pod: Object, present: Present, notes: Notes) -> Again | None:
        """Say how the pod is, then bring it on by one step."""
        now_s = self._clock.now_s()
        notes.keep({attempt.id for attempt in present.all})
        await self._hands.messages.listen(pod, present, notes)
        self._look_for_resizes(pod, present, notes)
        view = View(pod, present, notes, now_s, self._config.address)
        refused = refusal(pod, self._config) if self._is_new(pod) else None
        if refused is not None:
            return await self._refuse(view, refused)
        refused = self._misfit(pod)
        if refused is not None:
            wait_s = from_rfc3339(pod.meta.created) + PATIENCE_S - now_s
            return Again(wait_s) if wait_s > 0 else await self._refuse(view, refused)
        notes.admitted, notes.end_grace_s = True, self._hands.evictor.grace_s(pod)
        todo = plan(pod, present, notes, now_s)
        if not todo.finish or pod.meta.finalizers or present.all:
            await self._tell(view)
        self._mention_backoff(pod, present, notes, now_s)
        self._hands.prober.follow(pod, present, notes, self._address(pod, present))
        before = _waits(notes)
        await self._act(pod, present, notes, todo)
        if _waits(notes) != before or (todo.sandbox and notes.sandbox is None):
            return Again(0)  # nothing but our notes has changed: nobody else would bring us back
        return Again(todo.look_again_s) if todo.look_again_s is not None else None

    async def _act(self, pod: Object, present: Present, notes: Notes, todo: Plan) -> None:
        hands, address = self._hands, self._address(pod, present)
        for stop in todo.stop:
            hands.stopper.stop(pod, stop, address)
        if todo.sandbox:
            await hands.sandboxes.ensure(pod, notes)
        if todo.start:
            await start_all(hands.containers, pod, todo.start, notes, address)
        if todo.resize or todo.regroup is not None:
            notes.resize_error = await hands.resizer.resize(pod, todo.resize, todo.regroup)
        if todo.forget:
            await hands.clearer.forget(todo.forget)
        if todo.release:
            await hands.clearer.release(pod)
        if todo.finish:
            await hands.clearer.finish(pod, present)
            notes.cleared = True

    def _address(self, pod: Object, present: Present) -> str:
        """Where the pod is reached."""
        return self._config.address if pod.spec.get("hostNetwork") else present.address

    async def _refuse(self, view: View, refused: Refusal) -> Again | None:
        """The pod has failed before anything of it was made, and stays so."""
        message = f"Pod was rejected: {refused.message}"
        await self._tell(view, {"phase": "Failed", "reason": refused.reason, "message": message})
        self._recorder.emit(view.pod, "Warning", refused.reason, refused.message)
        return None

    async def _tell(self, view: View, end: Mapping[str, str] = MappingProxyType({})) -> None:
        """Write the status where it has changed; `end`: how the pod has ended, where that is decided here."""
        if not end and status(view) == view.pod.status:
            return

        def told(now: Object) -> Object:
            return now.with_body(status=status(replace(view, pod=now.with_status(**end))))

        await change_same(self._pods, view.pod, told, "status")

    def _notes_of(self, key: Key, pod: Object | None) -> Notes:
        notes = self._notes.get(key)
        if notes is not None and (pod is None or notes.uid != pod.meta.uid):
            self._hands.pulls.forget(notes.uid)
            self._hands.prober.follow(_nobody(key, notes.uid), Present(), notes)
            if not notes.cleared:  # nor have records told of it, where its ended containers had gone before
                self._hands.clearer.orphan(key, notes.uid, Present())
            del self._notes[key]
            notes = None
        if notes is None:
            notes = Notes.of(pod) if pod is not None else Notes()
            if pod is not None:
                self._notes[key] = notes
        return notes

    def _look_for_resizes(self, pod: Object, present: Present, notes: Notes) -> None:
        """Note whether the pod is being resized, or why that has to wait."""
        asked = not pod.meta.deleting and resizing.asked(pod, present)
        notes.postponed = resizing.postponed(pod, self._others(pod), self._config.capacity) if asked else None
        notes.resizing = asked and notes.postponed is None
        if not notes.resizing:
            notes.resize_error = ""

    def _misfit(self, pod: Object) -> Refusal | None:
        """Why there is no room for a new pod; others that are new count once they are admitted."""
        if not self._is_new(pod):
            return None
        others = (one for one in self._others(pod) if not is_new(one) or self._is_admitted(one))
        return unwelcome(pod, self._hands.evictor.pressed) or misfit(pod, others, self._config.capacity)

    def _is_new(self, pod: Object) -> bool:
        """Whether it is still to be decided that it may run here."""
        return not self._notes[pod.key].admitted and is_new(pod) and not policy.over(pod)

    def _is_admitted(self, pod: Object) -> bool:
        notes = self._notes.get(pod.key)
        return notes is not None and notes.uid == pod.meta.uid and notes.admitted

    def _others(self, pod: Object) -> Iterator[Object]:
        """The pods of this node that are not over, but for `pod`."""
        there = (entry.object() for entry in self._cache.entries() if entry.key != pod.key)
        return (one for one in there if one.spec.get("nodeName") == self._config.name and not policy.over(one))

    def _mention_backoff(self, pod: Object, present: Present, notes: Notes, now_s: float) -> None:
        for container in [*init_containers_of(pod), *containers_of(pod)]:
            last = present.latest(container["name"])
            if last is None or not last.ended or pod.meta.deleting or policy.over(pod) or last.id in notes.said:
                continue
            if policy.restarts(pod, container, last) and now_s < policy.restart_at_s(last, container):
                notes.said.add(last.id)
                who = f"{container['name']} in pod {pod.meta.name}_{pod.meta.namespace}({pod.meta.uid})"
                self._recorder.emit(
                    pod,
                    "Warning",
                    "BackOff",
                    f"Back-off restarting failed container {who}",
                    field=event_field(pod, container["name"]),
                )


def _waits(notes: Notes) -> object:
    return dict(notes.waiting), notes.sandbox, bool(notes.resize_error)


def _nobody(key: Key, uid: str) -> Object:
    """A pod without containers, in place of one that is gone."""
    return Object(POD, Meta(name=key.name, namespace=key.namespace, uid=uid))


class Kubelet:
    """A Part: the loop over the pods, with its chores, and the loops that look after their volumes.

    `relief` is for who looks after the node, `looks` for who asks what the probes have found.
    """

    def __init__(
        self,
        sync: PodSync,
        chores: Chores,
        beside: Sequence[Reconciler],
        caches: Mapping[str, Informer],
        store: Store,
        *,
        relief: Relief,
    ) -> None:
        self.relief = relief
        self.looks = sync.looks
        self._sync, self._beside = sync, [Loop(one, caches, store, workers=2) for one in beside]
        self._loop = Loop(sync, caches, store, workers=WORKERS)
        self._chores = chores
        chores.listen(self._loop.queue.add)

    async def run(self, up: Callable[[], None]) -> None:
        parts: list[Part] = [self._chores, *self._beside]
        async with contextlib.AsyncExitStack() as stack:
            for part in parts:
                await stack.enter_async_context(running(part))
            await self._sync.sweep()
            await self._loop.run(up)
