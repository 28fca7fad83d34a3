"""Changing the limits of containers that run, each and together.

Source: Kubernetes documentation, "Resize CPU and Memory Resources assigned to Containers"; the kubelet's words.
"""

from __future__ import annotations

from collections.abc import Sequence

from coracle.core.errors import CloudError, Invalid
from coracle.core.object import Object
from coracle.engine.containers import Containers
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.records import event_field
from coracle.kube.kubelet.resizing import Regroup, Resize


class Resizer:
    def __init__(self, containers: Containers, recorder: EventRecorder) -> None:
        self._containers, self._recorder = containers, recorder

    async def resize(self, pod: Object, resizes: Sequence[Resize], regroup: Regroup | None) -> str:
        """Afterwards the records say so; else returns why not, which an event says too.

        What containers may have together is widened before and narrowed after their own limits change: the kernel keeps
        the one above the other.
        """
        where = ""
        try:
            if regroup is not None:
                await self._containers.regroup(regroup.ids, regroup.between)
            for resize in resizes:
                where = event_field(pod, resize.container)
                self._check(resize)
                await self._containers.update(resize.id, resize.resources)
            where = ""
            if regroup is not None:
                await self._containers.regroup(regroup.ids, regroup.after)
        except CloudError as error:
            self._recorder.emit(pod, "Warning", "ResizeError", f"Pod resize failed: {error}", field=where)
            return str(error)
        self._recorder.emit(pod, "Normal", "ResizeCompleted", "Pod resize completed", field=where)
        return ""

    def _check(self, resize: Resize) -> None:
        """No container is ended because it is given less than it uses.  Raises Invalid, NotFound, Conflict."""
        limit_bytes = resize.resources.memory_bytes
        if limit_bytes is None or not resize.less_memory:
            return
        used_bytes = self._containers.usage(resize.id).memory_bytes
        if used_bytes > limit_bytes:
            said = f'attempting to set container "{resize.container}" memory limit ({limit_bytes}) below current usage'
            raise Invalid(message=f"{said} ({used_bytes})")
