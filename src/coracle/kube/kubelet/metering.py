"""What pods and their node use, measured when somebody asks.  Nothing is measured while nobody does.

Processor time is a difference: from the last time somebody asked, where that is no longer ago than a minute; else over
the second that the first to ask waits.

Source: Kubernetes documentation, "Resource metrics pipeline"; kubernetes-sigs/metrics-server (what it calls a window).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from coracle.core.clock import Clock
from coracle.core.errors import CloudError
from coracle.core.object import Object
from coracle.kube.kinds.metrics import Amounts, Measurement
from coracle.kube.kubelet.records import Records, containers_of, init_containers_of

SHORTEST_S, LONGEST_S = 1.0, 60.0
NODE = ""  # the id under which the whole machine is measured


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters of one container at `at_s` (of the monotonic clock): processor time since it began, memory in use."""

    at_s: float
    cpu_ns: int
    memory_bytes: int


Span = tuple[Sample, Sample]
Read = Callable[[str], tuple[int, int]]  # of a container's id: cpu_ns, memory_bytes; raises CloudError


class Rates:
    """The latest samples by container.  At most two are kept: the later one may be too fresh to measure from."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Sample, ...]] = {}

    def base(self, id: str, now_s: float) -> Sample | None:
        """The latest sample that is neither too fresh nor too old to measure from."""
        fit = [one for one in self._kept.get(id, ()) if SHORTEST_S <= now_s - one.at_s <= LONGEST_S]
        return fit[-1] if fit else None

    def keep(self, id: str, sample: Sample) -> None:
        kept = self._kept.get(id, ())
        if kept and sample.at_s - kept[-1].at_s < SHORTEST_S:
            return
        self._kept[id] = (*kept[-1:], sample)

    def forget_old(self, now_s: float) -> None:
        self._kept = {id: kept for id, kept in self._kept.items() if now_s - kept[-1].at_s <= LONGEST_S}


def used(base: Sample, now: Sample) -> Amounts:
    """What was used between the two."""
    elapsed_ns = (now.at_s - base.at_s) * 1e9
    return Amounts(max(0, int((now.cpu_ns - base.cpu_ns) * 1e9 / elapsed_ns)), now.memory_bytes)


class Metering:
    """The Meter of this node.  `read` reads the counters of a container, or of the machine for NODE."""

    def __init__(self, records: Records, read: Read, clock: Clock) -> None:
        self._records, self._read, self._clock = records, read, clock
        self._rates = Rates()

    async def node(self) -> Measurement:
        spans = await self._measure([NODE])
        return self._measurement({NODE: spans[NODE]})

    async def pods(self, pods: Sequence[Object]) -> Mapping[str, Measurement]:
        running = {pod.meta.uid: self._running(pod) for pod in pods}
        spans = await self._measure(id for ids in running.values() for id in ids.values())
        return {
            uid: self._measurement({name: spans[id] for name, id in ids.items()})
            for uid, ids in running.items()
            if ids and all(id in spans for id in ids.values())
        }

    def counters(self, pod: Object) -> dict[str, Sample]:
        """Those of the pod's running containers, by name."""
        running = self._running(pod)
        found = self._samples(running.values())
        return {name: found[id] for name, id in running.items() if id in found}

    def machine(self) -> Sample:
        """The counters of the whole machine."""
        return self._samples([NODE])[NODE]

    def _measurement(self, spans: Mapping[str, Span]) -> Measurement:
        window_s = max(now.at_s - base.at_s for base, now in spans.values())
        return Measurement(self._clock.now_s(), window_s, {name: used(*span) for name, span in spans.items()})

    def _running(self, pod: Object) -> dict[str, str]:
        """The ids of the pod's containers that run, sidecars included, by name."""
        present = self._records.of(pod.key).get(pod.meta.uid)
        if present is None:
            return {}
        names = [one["name"] for one in (*init_containers_of(pod), *containers_of(pod))]
        latest = [attempt for name in names if (attempt := present.latest(name)) is not None]
        return {attempt.container: attempt.id for attempt in latest if attempt.state == "running"}

    async def _measure(self, ids: Iterable[str]) -> dict[str, Span]:
        """By id, without those that end meanwhile."""
        wanted = list(ids)
        now_s = self._clock.monotonic_s()
        self._rates.forget_old(now_s)
        if any(self._rates.base(id, now_s) is None for id in wanted):
            for id, sample in self._samples(wanted).items():
                self._rates.keep(id, sample)
            await self._clock.sleep(SHORTEST_S)
        spans = {}
        for id, sample in self._samples(wanted).items():
            base = self._rates.base(id, sample.at_s)
            if base is not None:
                spans[id] = (base, sample)
            self._rates.keep(id, sample)
        return spans

    def _samples(self, ids: Iterable[str]) -> dict[str, Sample]:
        found = {}
        for id in ids:
            try:
                cpu_ns, memory_bytes = self._read(id)
            except CloudError:
                continue  # it has ended
            found[id] = Sample(self._clock.monotonic_s(), cpu_ns, memory_bytes)
        return found
