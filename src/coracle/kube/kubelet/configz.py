"""How the kubelet is set, as /configz tells it: the KubeletConfiguration that it goes by.  Pure.

Source: KubeletConfiguration v1beta1.
"""

from __future__ import annotations

from collections.abc import Iterable

from coracle.core.object import Json
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.configuration import API, KIND, Settings
from coracle.kube.kubelet.pulls import duration
from coracle.kube.kubelet.thresholds import Amount, Stocks, Threshold


def configz(config: NodeConfig, settings: Settings, stocks: Stocks) -> Json:
    """With all that was left out filled in."""
    thresholds = settings.thresholds(stocks)
    hard = [one for one in thresholds if not one.grace_s]
    soft = [one for one in thresholds if one.grace_s]
    graces = {one.signal: duration(one.grace_s) for one in soft}
    reclaim = {one.signal: _shown(one.reclaim) for one in thresholds if one.reclaim != Amount()}
    told = {
        "kind": KIND,
        "apiVersion": API,
        "port": config.kubelet_port,
        "clusterDomain": config.domain,
        "clusterDNS": [config.cluster_dns],
        "nodeStatusUpdateFrequency": duration(settings.look_s),
        "nodeStatusReportFrequency": duration(settings.heartbeat_s),
        "nodeLeaseDurationSeconds": settings.lease_s,
        "maxPods": settings.pods,
        "evictionHard": _by_signal(hard),
        **({"evictionSoft": _by_signal(soft), "evictionSoftGracePeriod": graces} if soft else {}),
        **({"evictionMinimumReclaim": reclaim} if reclaim else {}),
        "evictionPressureTransitionPeriod": duration(settings.transition_s),
        "evictionMaxPodGracePeriod": int(settings.max_grace_s),
        "systemReserved": {name: str(amount) for name, amount in settings.reserved.items()},
        "seccompDefault": settings.seccomp_default,
    }
    return {"kubeletconfig": told}


def _by_signal(thresholds: Iterable[Threshold]) -> Json:
    return {one.signal: _shown(one.amount) for one in thresholds}


def _shown(amount: Amount) -> str:
    return f"{amount.share * 100:g}%" if amount.share else str(amount.units)
