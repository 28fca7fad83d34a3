"""Lifecycle hooks: postStart right after the start, preStop before the signal, within the same grace.

Source: Kubernetes documentation, "Container Lifecycle Hooks".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from coracle.core.clock import Clock
from coracle.core.object import Object
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.actions import ActionFailed, Actions, Where
from coracle.kube.kubelet.chores import Chores
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.plan import Stop
from coracle.kube.kubelet.records import containers_of, event_field, init_containers_of

_LEAST_GRACE_S = 2.0  # left to the process after a hook that used it all


class Hooks:
    """Carries out the hooks of containers."""

    def __init__(self, actions: Actions, chores: Chores, recorder: EventRecorder, clock: Clock) -> None:
        self._actions, self._chores = actions, chores
        self._recorder, self._clock = recorder, clock

    async def before_stop(self, pod: Object, stop: Stop, address: str) -> float:
        """Carry out preStop.  Returns what is left of the grace (seconds)."""
        container = _container(pod, stop.container)
        handler = (container.get("lifecycle") or {}).get("preStop")
        if not handler or stop.grace_s <= 0:
            return stop.grace_s
        begun_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(stop.grace_s):
                await self._actions.do(handler, Where(pod, container, stop.id, address))
        except (ActionFailed, TimeoutError) as error:
            self._recorder.emit(
                pod,
                "Warning",
                "FailedPreStopHook",
                f"PreStopHook failed: {error}".rstrip(": "),
                field=event_field(pod, stop.container),
            )
        return max(stop.grace_s - (self._clock.monotonic_s() - begun_s), _LEAST_GRACE_S)

    def after_start(self, where: Where, notes: Notes) -> None:
        """Begin postStart, as a chore.  One that fails asks for the container's end."""
        handler = (where.container.get("lifecycle") or {}).get("postStart")
        if handler:
            uid, key = where.pod.meta.uid, where.pod.key
            self._chores.begin(uid, key, f"postStart/{where.id}", lambda: self._after_start(handler, where, notes))

    async def _after_start(self, handler: Mapping[str, Any], where: Where, notes: Notes) -> None:
        try:
            await self._actions.do(handler, where)
        except ActionFailed as error:
            self._recorder.emit(
                where.pod,
                "Warning",
                "FailedPostStartHook",
                f"PostStartHook failed: {error}",
                field=event_field(where.pod, where.container["name"]),
            )
            notes.health[where.id] = replace(notes.health_of(where.id), failed="postStart hook")


def _container(pod: Object, name: str) -> Mapping[str, Any]:
    everyone = [*containers_of(pod), *init_containers_of(pod)]
    return next((container for container in everyone if container["name"] == name), {})
