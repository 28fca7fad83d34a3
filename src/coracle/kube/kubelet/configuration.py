"""What people may set of the kubelet: a KubeletConfiguration, of which this node knows some fields.  Pure.

    apiVersion: kubelet.config.k8s.io/v1beta1
    kind: KubeletConfiguration
    evictionHard: {memory.available: 500Mi, nodefs.available: 10%}
    evictionSoft: {memory.available: 1Gi}
    evictionSoftGracePeriod: {memory.available: 1m30s}

Without one, or where it has no `evictionHard`: 100 MiB of memory, 512 MiB of the disk (10 % of one that has less than
5 GiB), 5 % of its inodes (20 000 of one that has more than 400 000), 256 processes.  A disk of many terabytes that is
nine tenths full is no reason for a guest to take pods away.

Source: Kubernetes documentation, "Node-pressure Eviction", KubeletConfiguration v1beta1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from coracle.core.durations import nanoseconds
from coracle.core.errors import Malformed
from coracle.core.quantity import Quantity, parse
from coracle.kube.kubelet.admission import sysctl_patterns
from coracle.kube.kubelet.thresholds import MEMORY, PIDS, SIGNALS, Amount, Stocks, Threshold

API, KIND = "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the kubelet goes by.

    hard, soft     thresholds; hard None: ours.  `merged`: ours also beside those that are given
    transition_s   for how long a condition of the node stays after what it was found for
    max_grace_s    of a pod that a soft threshold ends, at most
    reserved       resource -> what pods cannot have
    seccomp_default, unsafe_sysctls   see NodeConfig
    """

    hard: tuple[Threshold, ...] | None = None
    soft: tuple[Threshold, ...] = ()
    merged: bool = False
    transition_s: float = 30.0
    max_grace_s: float = 0.0
    lease_s: int = 40
    look_s: float = 10.0
    heartbeat_s: float = 300.0
    pods: int = 110
    reserved: Mapping[str, Quantity] = field(default_factory=dict)
    seccomp_default: bool = True
    unsafe_sysctls: tuple[str, ...] = ()

    @property
    def period_s(self) -> float:
        """How often the node is looked at, and the lease renewed: four times in its length at least."""
        return min(self.look_s, self.lease_s / 4)

    def thresholds(self, stocks: Stocks) -> list[Threshold]:
        """All that count, on a machine that has this."""
        ours = default_thresholds(stocks)
        if self.hard is None:
            return [*ours, *self.soft]
        given = {one.signal for one in self.hard}
        return [*self.hard, *(one for one in ours if self.merged and one.signal not in given), *self.soft]


def default_thresholds(stocks: Stocks) -> list[Threshold]:
    """Ours."""
    most = {MEMORY: 100 * _MIB, "nodefs.available": 512 * _MIB, "nodefs.inodesFree": 20_000, PIDS: 256}
    shares = {MEMORY: 1.0, "nodefs.available": 0.1, "nodefs.inodesFree": 0.05, PIDS: 1.0}
    there = {name: stocks[name].capacity for name in most if name in stocks}
    return [Threshold(name, Amount(min(most[name], int(shares[name] * whole)))) for name, whole in there.items()]


# -- reading ----------------------------------------------------------------------------------------------------------


def parse_configuration(document: object) -> Settings:
    """Raises Malformed, which names the field."""
    if not isinstance(document, dict):
        raise Malformed("must be a KubeletConfiguration")
    said = {name: value for name, value in document.items() if value is not None}
    if (said.pop("apiVersion", API), said.pop("kind", KIND)) != (API, KIND):
        raise Malformed(f"must have apiVersion: {API} and kind: {KIND}")
    for name in sorted(said, key=str):
        if name not in _FIELDS:
            raise Malformed(f'field "{name}" is not known here; known are {", ".join(sorted(_FIELDS))}')
    read = {name: _read(name, _FIELDS[name], value) for name, value in said.items()}
    plain = {_PLAIN[name]: value for name, value in read.items() if name in _PLAIN}
    reclaim: Mapping[str, Amount] = read.get("evictionMinimumReclaim", {})
    hard = read.get("evictionHard")
    reserved: dict[str, Quantity] = dict(read.get("systemReserved", {}))
    for name, amount in read.get("kubeReserved", {}).items():
        reserved[name] = reserved[name] + amount if name in reserved else amount
    return Settings(
        **plain,
        hard=None if hard is None else _thresholds(hard, reclaim),
        soft=_soft(read.get("evictionSoft", {}), read.get("evictionSoftGracePeriod", {}), reclaim),
        reserved=reserved,
    )


def _thresholds(amounts: Mapping[str, Amount], reclaim: Mapping[str, Amount]) -> tuple[Threshold, ...]:
    """`0%` and `100%` mean: none."""
    counting = {name: one for name, one in amounts.items() if one.units or 0 < one.share < 1}
    return tuple(Threshold(name, one, reclaim=reclaim.get(name, Amount())) for name, one in counting.items())


def _soft(
    amounts: Mapping[str, Amount], graces: Mapping[str, float], reclaim: Mapping[str, Amount]
) -> tuple[Threshold, ...]:
    for name in amounts:
        if name not in graces:
            raise Malformed(f"grace period must be specified for the soft eviction threshold {name}")
    return tuple(replace(one, grace_s=graces[one.signal]) for one in _thresholds(amounts, reclaim))


def _read(name: str, reader: Callable[[Any], Any], value: object) -> Any:
    try:
        return reader(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise Malformed(f"{name}: {error}") from error


def _number(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or value < least:
            raise ValueError(f"must be a whole number, {least} or more")
        return value

    return read


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def duration_s(value: Any) -> float:
    """As Go writes durations: `1m30s`, `500ms`, `0`.  Raises ValueError."""
    found = nanoseconds(str(value)) / 1e9
    if found < 0:
        raise ValueError(f'"{value}" must not be negative')
    return found


def _positive_s(value: Any) -> float:
    found = duration_s(value)
    if found < 1:
        raise ValueError("must be a second or more")
    return found


def _amount(value: Any) -> Amount:
    text = str(value)
    if text.endswith("%"):
        share = float(text[:-1]) / 100
        if not 0 <= share <= 1:
            raise ValueError(f'"{text}" must be between 0% and 100%')
        return Amount(share=share)
    units = parse(text).whole
    if units <= 0:
        raise ValueError(f'"{text}" must be positive')
    return Amount(units)


def _quantity(value: Any) -> Quantity:
    found = parse(value)
    if found.nano < 0:
        raise ValueError(f'"{value}" must not be negative')
    return found


def _by_signal(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Mapping[str, Any]:
        for name in _table(value):
            if name not in SIGNALS:
                raise ValueError(f"unsupported eviction signal {name}")
        return {name: _named(name, reader, one) for name, one in value.items()}

    return read


def _by_resource(value: Any) -> Mapping[str, Quantity]:
    for name in _table(value):
        if name not in ("cpu", "memory", "ephemeral-storage", "pid"):
            raise ValueError(f"{name} cannot be reserved")
    return {name: _named(name, _quantity, one) for name, one in value.items()}


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be a map")
    return value


def _named(name: str, reader: Callable[[Any], Any], value: Any) -> Any:
    try:
        return reader(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "evictionHard": _by_signal(_amount),
    "evictionSoft": _by_signal(_amount),
    "evictionMinimumReclaim": _by_signal(_amount),
    "evictionSoftGracePeriod": _by_signal(duration_s),
    "evictionPressureTransitionPeriod": duration_s,
    "evictionMaxPodGracePeriod": _number(0),
    "mergeDefaultEvictionSettings": _flag,
    "nodeLeaseDurationSeconds": _number(1),
    "nodeStatusUpdateFrequency": _positive_s,
    "nodeStatusReportFrequency": _positive_s,
    "maxPods": _number(1),
    "systemReserved": _by_resource,
    "kubeReserved": _by_resource,
    "seccompDefault": _flag,
    "allowedUnsafeSysctls": sysctl_patterns,
}
_PLAIN = {  # field -> of Settings
    "evictionPressureTransitionPeriod": "transition_s",
    "evictionMaxPodGracePeriod": "max_grace_s",
    "mergeDefaultEvictionSettings": "merged",
    "nodeLeaseDurationSeconds": "lease_s",
    "nodeStatusUpdateFrequency": "look_s",
    "nodeStatusReportFrequency": "heartbeat_s",
    "maxPods": "pods",
    "seccompDefault": "seccomp_default",
    "allowedUnsafeSysctls": "unsafe_sysctls",
}
