"""Amounts in Kubernetes' words."""

from __future__ import annotations

import math

from coracle.compose.units import nanoseconds

_UNITS = (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10))


def memory(amount_bytes: int) -> str:
    """`64Mi`, where it is whole."""
    for unit, size in _UNITS:
        if amount_bytes >= size and amount_bytes % size == 0:
            return f"{amount_bytes // size}{unit}"
    return str(amount_bytes)


def cpus(amount: float) -> str:
    """`2`, `500m`: whole thousandths, at least one."""
    thousandths = max(1, math.ceil(round(amount * 1000, 6)))
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def seconds(duration: str) -> int:
    """A duration in whole seconds, at least one."""
    return max(1, -(-nanoseconds(duration) // 10**9))


def is_whole(duration: str) -> bool:
    length = nanoseconds(duration)
    return length > 0 and length % 10**9 == 0
