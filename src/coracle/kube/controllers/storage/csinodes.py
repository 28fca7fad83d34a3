"""A CSINode for every node: which storage drivers are there.  None are, until one says so.

Source: Kubernetes documentation, "CSINode"; the kubelet makes it, owned by its node and gone with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists
from coracle.core.informer import Informer
from coracle.core.loop import itself
from coracle.core.object import Key, Meta, Object
from coracle.core.store import Event
from coracle.kube.kinds import csinode
from coracle.kube.kinds import node as nodes

NODE, CSI_NODE = nodes.KIND.type, csinode.KIND.type


def _lost(event: Event) -> Iterable[Key]:
    return (event.entry.key,) if event.type == "DELETED" else ()


def wanted(node: Object) -> Object:
    """The CSINode of a node without drivers; pure."""
    meta = Meta(name=node.meta.name, owners=(node.as_owner(controller=False),))
    return Object("CSINode", meta, {"spec": {"drivers": []}}, csinode.API)


class CsiNodes:
    """The loop over nodes."""

    name = "csinodes"
    watches = {NODE: itself, CSI_NODE: _lost}

    def __init__(self, caches: Mapping[str, Informer], writer: Collection) -> None:
        self._nodes, self._present, self._writer = caches[NODE], caches[CSI_NODE], writer

    async def reconcile(self, key: Key) -> None:
        node = self._nodes.find(key)
        if node is None or node.meta.deleting or self._present.find(key) is not None:
            return
        try:
            await self._writer.create(wanted(node))
        except AlreadyExists:
            return
