"""Look at each HorizontalPodAutoscaler every fifteen seconds, and scale what it is about.

Decide: metrics.propose(), paces.paced(), pure.  Act: Autoscalers.reconcile().  What was recommended and done lately is
remembered here alone, as in Kubernetes: a cloud that starts anew begins with what there is.

Source: Kubernetes documentation, "Horizontal Pod Autoscaling"; its conditions and Events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection
from coracle.core.errors import CloudError, NotFound
from coracle.core.informer import Informer
from coracle.core.loop import Again
from coracle.core.object import Json, Key, Object, type_of
from coracle.core.sameness import change_same
from coracle.core.selectors import parse_selector, selector_text
from coracle.core.store import Event
from coracle.kube.controllers.autoscaling.metrics import NoProposal, Proposal, View, propose
from coracle.kube.controllers.autoscaling.paces import Change, History, paced
from coracle.kube.kinds import horizontalpodautoscaler as scalers
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.conditions import with_condition
from coracle.kube.kinds.metrics import Meter
from coracle.kube.kinds.recorder import EventRecorder

SCALER, POD = scalers.KIND.type, pods.KIND.type
SPEAKER = "horizontal-pod-autoscaler"  # as Events name it
PERIOD_S = 15.0
_NO_SCALE = "the HPA controller was unable to get the target's current scale: {}"
_NO_COUNT = "FailedComputeMetricsReplicas"
_UNABLE = "the HPA was unable to compute the replica count: {}"


class _NotSelected(Exception):
    """It is not clear which pods to go by.  `event` and `reason`: of the event and the condition."""

    def __init__(self, event: str, message: str, reason: str = "", condition: str = "") -> None:
        super().__init__(message)
        self.event, self.reason, self.condition = event, reason or event, condition or message


@dataclass(slots=True)
class _Look:
    """What one look comes to.  `conditions`: by type, in the order in which they are first said."""

    conditions: dict[str, Json] = field(default_factory=dict)
    present: int = 0
    wanted: int = 0
    metrics: list[Json] = field(default_factory=list)
    scaled: bool = False

    def say(self, type: str, status: str, reason: str, message: str) -> None:
        self.conditions[type] = {"type": type, "status": status, "reason": reason, "message": message}


def _asked_anew(event: Event) -> Iterable[Key]:
    """New ones, and those of which something else is asked now; not our own word in their status."""
    before = event.before
    if event.type == "MODIFIED" and before is not None and before.object().spec == event.entry.object().spec:
        return ()
    return (event.entry.key,)


class Autoscalers:
    """`writers`: by type, also of everything that can be scaled."""

    name = "horizontalpodautoscalers"
    watches = {SCALER: _asked_anew}

    def __init__(
        self,
        caches: Mapping[str, Informer],
        writers: Mapping[str, Collection],
        meter: Meter,
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._scalers, self._pods, self._writers = caches[SCALER], caches[POD], writers
        self._meter, self._recorder, self._clock = meter, recorder, clock
        self._histories: dict[str, History] = {}
        self._uids: dict[Key, str] = {}

    async def reconcile(self, key: Key) -> Again | None:
        scaler = self._scalers.find(key)
        if scaler is None or scaler.meta.deleting:
            self._histories.pop(self._uids.pop(key, ""), None)
            return None
        self._uids[key] = scaler.meta.uid
        look = _Look()
        try:
            writer, target = self._target(scaler)
        except NotFound as error:
            look.say("AbleToScale", "False", "FailedGetScale", _NO_SCALE.format(error))
            self._recorder.emit(scaler, "Warning", "FailedGetScale", str(error))
        else:
            await self._look(scaler, writer, target, look)
        await self._tell(scaler, look)
        return Again(PERIOD_S)

    def _target(self, scaler: Object) -> tuple[Collection, Object]:
        """Raises NotFound, in the words of the scale client."""
        ref = scaler.spec["scaleTargetRef"]
        api, kind = ref.get("apiVersion") or "v1", ref["kind"]
        writer = self._writers.get(type_of(api, kind))
        if writer is None or writer.kind.api != api:
            group = api.rpartition("/")[0]
            raise NotFound(f'no matches for kind "{kind}" in group "{group}"')
        target = writer.find(Key(scaler.meta.namespace, ref["name"]))
        if target is None:
            raise NotFound(f'{writer.kind.resource} "{ref["name"]}" not found')
        if "scale" not in writer.kind.subresources:
            raise NotFound("the server could not find the requested resource")
        return writer, target

    # -- one look --------------------------------------------------------------------------------------------------

    async def _look(self, scaler: Object, writer: Collection, target: Object, look: _Look) -> None:
        said = "the HPA controller was able to get the target's current scale"
        look.say("AbleToScale", "True", "SucceededGetScale", said)
        look.present = look.wanted = int(target.spec.get("replicas", 1))
        now_s = self._clock.now_s()
        history = self._histories.setdefault(scaler.meta.uid, History([Change(now_s, look.present)]))
        history.forget(now_s)
        reason = await self._decide(scaler, target, look, history)
        if look.wanted != look.present and reason:
            await self._scale(scaler, writer, target, look, reason)

    async def _decide(self, scaler: Object, target: Object, look: _Look, history: History) -> str:
        """Sets what is wanted.  Returns why, "" where nothing can be said."""
        spec = scaler.spec
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        if look.present == 0:
            said = "scaling is disabled since the replica count of the target is zero"
            look.say("ScalingActive", "False", "ScalingDisabled", said)
            return ""
        if look.present > most:
            look.wanted = most
            return "Current number of replicas above Spec.MaxReplicas"
        if look.present < least:
            look.wanted = least
            return "Current number of replicas below Spec.MinReplicas"
        best = await self._judge(scaler, target, look)
        if best is None:
            return ""
        pace = paced(spec, look.present, best.replicas, history, self._clock.now_s())
        look.wanted = pace.replicas
        for condition in pace.conditions:
            look.say(**condition)
        return f"{best.name} above target" if best.replicas > look.present else "All metrics below target"

    async def _judge(self, scaler: Object, target: Object, look: _Look) -> Proposal | None:
        """The proposal for the most pods; None where the metrics say nothing, which is told."""
        try:
            found = self._selected(scaler, target)
        except _NotSelected as error:
            self._recorder.emit(scaler, "Warning", error.event, str(error))
            look.say("ScalingActive", "False", error.reason, error.condition)
            self._recorder.emit(scaler, "Warning", _NO_COUNT, str(error))
            return None
        room = scaler.meta.namespace
        view = View(room, look.present, found, await self._meter.pods(found), self._clock.now_s())
        proposals, failures = [], []
        for metric in scaler.spec["metrics"]:
            try:
                proposals.append(propose(metric, scaler.spec.get("behavior"), view))
                look.metrics.append(proposals[-1].status)
            except NoProposal as failure:
                failures.append(failure)
                look.metrics.append({"type": ""})
                self._recorder.emit(scaler, "Warning", failure.reason, str(failure))
        best = max(proposals, key=lambda proposal: proposal.replicas, default=None)
        if best is None or (failures and best.replicas < look.present):
            first = failures[0]
            look.say("ScalingActive", "False", first.reason, _UNABLE.format(first))
            look.metrics = scaler.status.get("currentMetrics") or []
            said = f"invalid metrics ({len(failures)} invalid out of {len(scaler.spec['metrics'])}), first error is: "
            said += f"failed to get {first.metric} metric value: {first}"
            self._recorder.emit(scaler, "Warning", _NO_COUNT, said)
            return None
        said = f"the HPA was able to successfully calculate a replica count from {best.name}"
        look.say("ScalingActive", "True", "ValidMetricFound", said)
        return best

    def _selected(self, scaler: Object, target: Object) -> Sequence[Object]:
        """The pods to judge by.  Raises _NotSelected: nobody says which, or another scaler counts them too."""
        text = selector_text(target.spec.get("selector") or {})
        if not text:
            said = "the HPA target's scale is missing a selector"
            raise _NotSelected("SelectorRequired", "selector is required", "InvalidSelector", said)
        found = self._pods.list(scaler.meta.namespace, parse_selector(text))
        rivals = [one for one in self._scalers.list(scaler.meta.namespace) if self._counts(one, found)]
        if len(rivals) > 1:
            named = " ".join(sorted(f"{one.meta.namespace}/{one.meta.name}" for one in rivals))
            said = f"pods by selector {text} are controlled by multiple HPAs: [{named}]"
            raise _NotSelected("AmbiguousSelector", said)
        return found

    def _counts(self, scaler: Object, found: Sequence[Object]) -> bool:
        """Whether `scaler` goes by any of these pods."""
        try:
            _, target = self._target(scaler)
        except NotFound:
            return False
        text = selector_text(target.spec.get("selector") or {})
        selector = parse_selector(text)
        return bool(text) and any(selector.accepts(pod.meta.labels) for pod in found)

    async def _scale(self, scaler: Object, writer: Collection, target: Object, look: _Look, reason: str) -> None:
        wanted = look.wanted
        try:
            await writer.change(target.key, lambda now: now.with_spec(replicas=wanted), "scale")
        except CloudError as error:
            said = f"New size: {wanted}; reason: {reason}; error: {error}"
            self._recorder.emit(scaler, "Warning", "FailedRescale", said)
            said = f"the HPA controller was unable to update the target scale: {error}"
            look.say("AbleToScale", "False", "FailedUpdateScale", said)
            look.wanted = look.present
            return
        look.scaled = True
        self._histories[scaler.meta.uid].scaled(look.present, wanted, self._clock.now_s())
        self._recorder.emit(scaler, "Normal", "SuccessfulRescale", f"New size: {wanted}; reason: {reason}")
        said = f"the HPA controller was able to update the target scale to {wanted}"
        look.say("AbleToScale", "True", "SucceededRescale", said)

    async def _tell(self, scaler: Object, look: _Look) -> None:
        now = rfc3339(self._clock.now_s())

        def told(present: Object) -> Object:
            conditions = present.status.get("conditions") or []
            for condition in look.conditions.values():
                conditions = with_condition(conditions, condition, now)
            status: Json = {
                "currentReplicas": look.present,
                "desiredReplicas": look.wanted,
                "currentMetrics": look.metrics or None,
                "conditions": conditions,
            }
            return present.with_status(**status, **({"lastScaleTime": now} if look.scaled else {}))

        await change_same(self._writers[SCALER], scaler, told, "status")
