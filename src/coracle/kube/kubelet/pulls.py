"""The images of containers: by pull policy, with back-off, and with the events that say so.

    IfNotPresent   what is there is taken; else pulled once
    Always         pulled for every attempt
    Never          what is there, or ErrImageNeverPull

A pull that fails is ErrImagePull for a moment, then ImagePullBackOff: 10 s, doubling to 5 min, per pod and image.
Pulls are chores: the pod's loop stays free meanwhile.  What a pod may not use (see `imageaccess`) is to it as if it was
not there.

Source: Kubernetes documentation, "Images"; kubelet's image_manager.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coracle.core.clock import Clock
from coracle.core.durations import duration_text
from coracle.core.errors import CloudError, Malformed
from coracle.core.object import Object
from coracle.engine.images import Policy
from coracle.image.references import parse_reference
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.chores import Chores
from coracle.kube.kubelet.imageaccess import ImageAccess
from coracle.kube.kubelet.notes import Notes, Waiting
from coracle.kube.kubelet.policy import FIRST_BACKOFF_S, LONGEST_BACKOFF_S
from coracle.kube.kubelet.records import event_field

SHOWN_S = 2.0  # how long ErrImagePull is shown before it becomes ImagePullBackOff
RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class _Failure:
    """The last failed pull of an image for a pod."""

    message: str
    backoff_s: float
    until_s: float


class Pulls:
    """Finds or fetches the image of a container."""

    def __init__(self, images: ImageAccess, chores: Chores, recorder: EventRecorder, clock: Clock) -> None:
        self._images, self._chores = images, chores
        self._recorder, self._clock = recorder, clock
        self._failures: dict[tuple[str, str], _Failure] = {}

    def image(self, pod: Object, container: Mapping[str, Any], number: int, notes: Notes) -> Object | Waiting | None:
        """The image to start attempt `number` from; why there is none; None: it is on its way, as a chore."""
        name, reference, policy = container["name"], container["image"], _policy(container)
        try:
            parse_reference(reference)
        except Malformed as error:
            return self._refuse(pod, name, "InvalidImageName", "InspectFailed", _bad_name(reference, error))
        pulled = notes.images.get((name, number))
        if pulled is not None:
            return pulled
        found = self._images.find(pod, reference) if policy != "Always" else None
        if found is not None:
            said = f'Container image "{reference}" already present on machine and can be accessed by the pod'
            self._say(pod, name, "Normal", "Pulled", said)
            return found
        if policy == "Never":
            said = f'Container image "{reference}" is not present with pull policy of Never'
            return self._refuse(pod, name, "ErrImageNeverPull", "ErrImageNeverPull", said)
        failure = self._failures.get((pod.meta.uid, reference))
        if failure is not None and failure.until_s > self._clock.now_s():
            return self._back_off(pod, name, reference, failure)
        self._chores.begin(pod.meta.uid, pod.key, f"pull/{name}", lambda: self._pull(pod, container, number, notes))
        return None

    async def sweep(self) -> None:
        """At start: forget what images had that are not here any more."""
        await self._images.sweep()

    def forget(self, pod_uid: str) -> None:
        """The pod is gone: stop pulling for it, and forget what failed."""
        for name in self._chores.names(pod_uid):
            if name.startswith("pull/"):
                self._chores.cancel(pod_uid, name)
        self._failures = {id: failure for id, failure in self._failures.items() if id[0] != pod_uid}

    async def _pull(self, pod: Object, container: Mapping[str, Any], number: int, notes: Notes) -> None:
        name, reference = container["name"], container["image"]
        self._miss_secrets(pod)
        self._say(pod, name, "Normal", "Pulling", f'Pulling image "{reference}"')
        begun_s = self._clock.monotonic_s()
        try:
            image = await self._images.pull(pod, reference, _policy(container))
        except CloudError as error:
            notes.waiting[name] = self._failed(pod, name, reference, str(error))
            return
        took = duration(self._clock.monotonic_s() - begun_s)
        size = image.spec.get("size_bytes", 0)
        said = (
            f'Successfully pulled image "{reference}" in {took} ({took} including waiting). Image size: {size} bytes.'
        )
        self._say(pod, name, "Normal", "Pulled", said)
        self._failures.pop((pod.meta.uid, reference), None)
        notes.images = {id: image for id, image in notes.images.items() if id[0] != name} | {(name, number): image}
        notes.waiting.pop(name, None)

    def _miss_secrets(self, pod: Object) -> None:
        missing = self._images.missing_secrets(pod)
        if missing:
            said = f"Unable to retrieve some image pull secrets ({', '.join(missing)})"
            more = "attempting to pull the image may not succeed."
            self._recorder.emit(pod, "Warning", "FailedToRetrieveImagePullSecret", f"{said}; {more}")

    def _failed(self, pod: Object, name: str, reference: str, message: str) -> Waiting:
        last = self._failures.get((pod.meta.uid, reference))
        backoff_s = min(last.backoff_s * 2, LONGEST_BACKOFF_S) if last is not None else FIRST_BACKOFF_S
        now_s = self._clock.now_s()
        self._failures[pod.meta.uid, reference] = _Failure(message, backoff_s, now_s + backoff_s)
        self._say(pod, name, "Warning", "Failed", f'Failed to pull image "{reference}": {message}')
        self._say(pod, name, "Warning", "Failed", "Error: ErrImagePull")
        return Waiting("ErrImagePull", message, now_s + SHOWN_S)

    def _back_off(self, pod: Object, name: str, reference: str, failure: _Failure) -> Waiting:
        self._say(pod, name, "Normal", "BackOff", f'Back-off pulling image "{reference}"')
        self._say(pod, name, "Warning", "Failed", "Error: ImagePullBackOff")
        said = f'Back-off pulling image "{reference}": ErrImagePull: {failure.message}'
        return Waiting("ImagePullBackOff", said, failure.until_s)

    def _refuse(self, pod: Object, name: str, reason: str, event: str, message: str) -> Waiting:
        self._say(pod, name, "Warning", event, message)
        self._say(pod, name, "Warning", "Failed", f"Error: {reason}")
        return Waiting(reason, message, self._clock.now_s() + RETRY_S)

    def _say(self, pod: Object, name: str, type: str, reason: str, message: str) -> None:
        self._recorder.emit(pod, type, reason, message, field=event_field(pod, name))


def _policy(container: Mapping[str, Any]) -> Policy:
    policy: Policy = container.get("imagePullPolicy") or "IfNotPresent"
    return policy


def duration(took_s: float) -> str:
    """In whole milliseconds: `0s`, `12ms`, `1.25s`."""
    return duration_text(int(took_s * 1000) * 10**6)


def _bad_name(reference: str, error: CloudError) -> str:
    said = f'Failed to apply default image tag "{reference}": couldn\'t parse image name "{reference}": '
    return said + (error.message or "invalid reference format")
