"""Lifecycle hooks: postStart right after the start, preStop before the signal, within the same grace.

Events do not say what a hook has said, lest secrets get out; the log of the daemon does.

Source: Kubernetes documentation, "Container Lifecycle Hooks".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from coracle.core.object import Object
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.actions import ActionFailed, Actions, Where
from coracle.kube.kubelet.chores import Chores
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.plan import Stop
from coracle.kube.kubelet.records import container_of, event_field

log = logging.getLogger(__name__)


class Hooks:
    """Carries out the hooks of containers."""

    def __init__(self, actions: Actions, chores: Chores, recorder: EventRecorder) -> None:
        self._actions, self._chores, self._recorder = actions, chores, recorder

    async def before_stop(self, pod: Object, stop: Stop, address: str) -> None:
        """Carry out preStop, within the grace."""
        container = container_of(pod, stop.container)
        handler = (container.get("lifecycle") or {}).get("preStop")
        if not handler or stop.grace_s <= 0:
            return
        try:
            async with asyncio.timeout(stop.grace_s):
                await self._actions.hook(handler, Where(pod, container, stop.id, address))
        except ActionFailed as error:
            log.info("preStop of %s in pod %s: %s", stop.container, pod.key, error)
            field = event_field(pod, stop.container)
            self._recorder.emit(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", field=field)
        except TimeoutError:
            log.info("preStop of %s in pod %s took all of the grace", stop.container, pod.key)

    def after_start(self, where: Where, notes: Notes) -> None:
        """Begin postStart, as a chore.  One that fails asks for the container's end."""
        handler = (where.container.get("lifecycle") or {}).get("postStart")
        if handler:
            notes.hooking.add(where.id)
            uid, key = where.pod.meta.uid, where.pod.key
            self._chores.begin(uid, key, f"postStart/{where.id}", lambda: self._after_start(handler, where, notes))

    async def _after_start(self, handler: Mapping[str, Any], where: Where, notes: Notes) -> None:
        try:
            await self._actions.hook(handler, where)
        except ActionFailed as error:
            log.info("postStart of %s in pod %s: %s", where.container["name"], where.pod.key, error)
            field = event_field(where.pod, where.container["name"])
            self._recorder.emit(where.pod, "Warning", "FailedPostStartHook", "PostStartHook failed", field=field)
            notes.health[where.id] = replace(notes.health_of(where.id), failed="postStart hook")
        finally:
            notes.hooking.discard(where.id)
