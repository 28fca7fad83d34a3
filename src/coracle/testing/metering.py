"""A meter for tests, of a node where nothing runs."""

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
