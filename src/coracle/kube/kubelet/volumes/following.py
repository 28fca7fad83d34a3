"""Keeps the files of running pods current, and hurries pods that wait for configuration.

A change of a config map, a secret, a claim or a pod's own labels brings its pods here; nobody looks around.

Source: Kubernetes documentation, "ConfigMaps: Mounted ConfigMaps are updated automatically".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from coracle.core.informer import Index, Informer
from coracle.core.loop import ToKeys
from coracle.core.object import Key, Object
from coracle.core.store import Event
from coracle.kube.kinds import persistentvolumeclaim as claims
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kinds.storagerules import claims_of
from coracle.kube.kubelet.volumes.payloads import sources, speaks_of_pod
from coracle.kube.kubelet.volumes.service import PodVolumes

POD, CLAIM = pods.KIND.type, claims.KIND.type


def _made_of(pod: Object) -> Iterable[str]:
    """`ConfigMap/ns/name` and the like, of pods that have a node."""
    if not pod.spec.get("nodeName") or pods.ended(pod):
        return ()
    return {*sources(pod), *(f"{CLAIM}/{pod.meta.namespace}/{name}" for name in claims_of(pod).values())}


INDEXES: Mapping[str, Mapping[str, Index]] = {POD: {"made-of": _made_of}}


class VolumeFollower:
    """The loop over pods whose configuration has changed.  `hurry`: end the waiting of a pod, and look at it."""

    name = "kubelet-volumes"

    def __init__(
        self,
        caches: Mapping[str, Informer],
        node: str,
        volumes: PodVolumes,
        hurry: Callable[[Key], None],
        recorder: EventRecorder,
    ) -> None:
        self._pods, self._node = caches[POD], node
        self._volumes, self._hurry, self._recorder = volumes, hurry, recorder
        watched = [type for type in ("ConfigMap", "Secret", CLAIM) if type in caches]
        self.watches: Mapping[str, ToKeys] = {POD: _if_it_speaks, **dict.fromkeys(watched, self._users)}

    async def reconcile(self, key: Key) -> None:
        pod = self._pods.find(key)
        if pod is None or pod.spec.get("nodeName") != self._node or pods.ended(pod):
            return
        for said in await self._volumes.refresh(pod):
            self._recorder.emit(pod, "Warning", "FailedMount", said)
        self._hurry(key)

    def _users(self, event: Event) -> Iterable[Key]:
        key = event.entry.key
        return self._pods.keys_by("made-of", f"{event.entry.type}/{key.namespace}/{key.name}")


# Most pods' files tell their namespace, which does not change.
_MARKS = (b'"metadata.labels', b'"metadata.annotations')


def _if_it_speaks(event: Event) -> Iterable[Key]:
    """A pod whose labels or annotations have changed, where its files tell them."""
    if event.type != "MODIFIED" or event.before is None or not any(mark in event.entry.raw for mark in _MARKS):
        return ()
    new, old = event.entry.object(), event.before.object()
    same = new.meta.labels == old.meta.labels and new.meta.annotations == old.meta.annotations
    return () if same or not speaks_of_pod(new) else (event.entry.key,)
