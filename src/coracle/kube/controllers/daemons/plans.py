"""What is to happen to a DaemonSet's pods next, and what its status says.

    keep     a pod on every node that is to have one, none elsewhere, and one only on each
    roll     old pods are replaced, a few at a time: removed first (maxUnavailable) or after (maxSurge)

Source: Kubernetes documentation, "DaemonSet", "Perform a Rolling Update on a DaemonSet".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from coracle.core.object import Json, Key, Object
from coracle.kube.controllers.availability import available
from coracle.kube.controllers.daemons.nodes import Fit
from coracle.kube.controllers.history import HASH
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import workloads
from coracle.kube.kinds.daemonset import ROLLING


@dataclass(frozen=True, slots=True)
class Plan:
    """The nodes to make pods for, the pods to remove, and of these the ones that ended by themselves."""

    make: tuple[str, ...] = ()
    remove: tuple[Key, ...] = ()
    ended: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True)
class Crew:
    """A DaemonSet, the hash of its present revision, what each node is to it and the pods there are for each."""

    daemons: Object
    hash: str
    fits: Mapping[str, Fit]
    pods: Mapping[str, Sequence[Object]]
    now_s: float = field(kw_only=True)

    def is_new(self, pod: Object) -> bool:
        return pod.meta.labels.get(HASH) == self.hash

    def available(self, pod: Object) -> bool:
        return available(pod, self.daemons.spec.get("minReadySeconds") or 0, self.now_s)

    @property
    def wanted(self) -> list[str]:
        return [node for node, fit in self.fits.items() if fit.runs]

    def bounds(self) -> tuple[int, int]:
        """(surge, unavailable): at least one of them is not 0 while a rolling update is asked for."""
        strategy, total = self.daemons.spec["updateStrategy"], len(self.wanted)
        if strategy["type"] != ROLLING:
            return 0, 0
        surge = workloads.resolve(strategy["rollingUpdate"]["maxSurge"], total, up=True)
        fewer = workloads.resolve(strategy["rollingUpdate"]["maxUnavailable"], total, up=True)
        return surge, fewer if surge or fewer else 1


# -- keeping -------------------------------------------------------------------------------------------------------


def keep(crew: Crew) -> Plan:
    make: list[str] = []
    remove: list[Object] = []
    ended: list[Object] = []
    for node, fit in crew.fits.items():
        present = crew.pods.get(node, ())
        if fit.runs and not present:
            make.append(node)
        elif not fit.stays:
            remove += [pod for pod in present if not pod.meta.deleting]
        else:
            gone = [pod for pod in present if pods.ended(pod) and not pod.meta.deleting]
            ended += gone
            remove += _surplus(crew, [pod for pod in present if pods.active(pod)])
    remove += [pod for node, there in crew.pods.items() if node not in crew.fits for pod in _lost(there)]
    return Plan(tuple(make), _keys(remove), tuple(ended))


def _surplus(crew: Crew, running: Sequence[Object]) -> list[Object]:
    """Of the pods of one node all but the oldest; with surge all but the oldest of each revision."""
    oldest_first = sorted(running, key=_seniority)
    if not crew.bounds()[0]:
        return oldest_first[1:]
    new = [pod for pod in oldest_first if crew.is_new(pod)]
    old = [pod for pod in oldest_first if not crew.is_new(pod)]
    surplus = [*new[1:], *old[1:]]
    if new and old and (not pods.ready(old[0]) or crew.available(new[0])):
        surplus.append(old[0])
    return surplus


def _seniority(pod: Object) -> tuple[bool, str, str]:
    """Those that are placed, then the oldest."""
    return not pod.spec.get("nodeName"), pod.meta.created, pod.meta.name


def _lost(there: Sequence[Object]) -> list[Object]:
    """Pods that wait for a node that is not there any more."""
    return [pod for pod in there if not pod.spec.get("nodeName") and not pod.meta.deleting]


def _keys(found: Sequence[Object]) -> tuple[Key, ...]:
    return tuple(pod.key for pod in found)


# -- rolling -------------------------------------------------------------------------------------------------------


def roll(crew: Crew) -> Plan:
    if crew.daemons.spec["updateStrategy"]["type"] != ROLLING:
        return Plan()
    surge, unavailable = crew.bounds()
    return _surging(crew, surge) if surge else _replacing(crew, unavailable)


class Pair(NamedTuple):
    """The pods of a node, of which there is at most one of each revision; `odd`: there are none, or more."""

    new: Object | None = None
    old: Object | None = None
    odd: bool = False


def _pair(crew: Crew, node: str) -> Pair:
    here = [pod for pod in crew.pods.get(node, ()) if not pod.meta.deleting]
    new = [pod for pod in here if crew.is_new(pod)]
    old = [pod for pod in here if not crew.is_new(pod)]
    if not here or len(new) > 1 or len(old) > 1:
        return Pair(odd=True)
    return Pair(new[0] if new else None, old[0] if old else None)


def _replacing(crew: Crew, allowed: int) -> Plan:
    """Old pods go, and new ones come in their places; those that are not available go at once: nobody misses them."""
    pairs = [_pair(crew, node) for node in crew.wanted]
    old = [pair.old for pair in pairs if pair.old is not None and pair.new is None]
    new = [pair.new for pair in pairs if pair.new is not None and pair.old is None]
    candidates = [pod for pod in old if crew.available(pod)]
    at_once = [pod for pod in old if not crew.available(pod)]
    missing = len(pairs) - len(candidates) - sum(1 for pod in new if crew.available(pod))
    return Plan(remove=_keys([*at_once, *candidates[: max(0, allowed - missing)]]))


def _surging(crew: Crew, allowed: int) -> Plan:
    """New pods come beside old ones, which go when the new ones are available."""
    pairs = [(node, _pair(crew, node)) for node in crew.wanted]
    both = [(pair.new, pair.old) for _, pair in pairs if pair.new is not None and pair.old is not None]
    alone = [(node, pair.old) for node, pair in pairs if pair.old is not None and pair.new is None]
    at_once = [node for node, old in alone if not crew.available(old)]
    candidates = [node for node, old in alone if crew.available(old)]
    extra = sum(pair.odd for _, pair in pairs) + sum(1 for new, _ in both if not crew.available(new))
    done = [old for new, old in both if crew.available(new)]
    return Plan(make=(*at_once, *candidates[: max(0, allowed - extra)]), remove=_keys(done))


# -- status --------------------------------------------------------------------------------------------------------


def status(crew: Crew, before: Mapping[str, Any]) -> Json:
    """Counts nodes, by the first pod of each; conditions, which others may set, stay as they were `before`."""
    desired = current = misplaced = ready = there = updated = 0
    for node, fit in crew.fits.items():
        present = sorted(crew.pods.get(node, ()), key=_seniority)
        desired += fit.runs
        misplaced += bool(present) and not fit.runs
        if fit.runs and present:
            current += 1
            ready += pods.ready(present[0])
            there += crew.available(present[0])
            updated += crew.is_new(present[0])
    optional: dict[str, Any] = {
        "updatedNumberScheduled": updated,
        "numberAvailable": there,
        "numberUnavailable": desired - there,
        "collisionCount": before.get("collisionCount"),
        "conditions": before.get("conditions"),
    }
    return {
        "currentNumberScheduled": current,
        "numberMisscheduled": misplaced,
        "desiredNumberScheduled": desired,
        "numberReady": ready,
        "observedGeneration": crew.daemons.meta.generation,
        **{name: value for name, value in optional.items() if value},
    }
