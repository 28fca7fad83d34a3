"""The priority classes that every cluster has: for what the cluster itself, or a node, cannot do without."""

from __future__ import annotations

from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists
from coracle.core.object import Key, Meta, Object
from coracle.kube.kinds.priorityclass import API, SYSTEM

_DESCRIPTIONS = {
    "system-cluster-critical": (
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."
    ),
    "system-node-critical": "Used for system critical pods that must not be moved from their current node.",
}


async def ensure_classes(classes: Collection) -> None:
    for name, value in SYSTEM.items():
        if classes.find(Key("", name)) is not None:
            continue
        body = {"value": value, "description": _DESCRIPTIONS[name]}
        try:
            await classes.create(Object("PriorityClass", Meta(name=name), body, API))
        except AlreadyExists:
            continue
