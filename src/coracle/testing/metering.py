"""Meters for tests: one of a node where nothing runs, one that says what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coracle.core.object import Object
from coracle.kube.kinds.metrics import Amounts, Measurement


class NoMeter:
    """Nothing runs here."""

    async def node(self) -> Measurement:
        return Measurement(0.0, 1.0, {"": Amounts(0, 0)})

    async def pods(self, pods: Sequence[Object]) -> Mapping[str, Measurement]:
        return {}


class ToldMeter(NoMeter):
    """`uses`: by the pod's name, what each of its containers uses."""

    def __init__(self) -> None:
        self.uses: dict[str, Mapping[str, Amounts]] = {}

    async def pods(self, pods: Sequence[Object]) -> Mapping[str, Measurement]:
        told = {pod.meta.uid: self.uses[pod.meta.name] for pod in pods if pod.meta.name in self.uses}
        return {uid: Measurement(1_700_000_000.0, 15.0, amounts) for uid, amounts in told.items()}
