"""Steps that were done before, by what they depended on.  The only writer of BuildStep records.

A key is the digest of the state that a step stood on (its id: every file, every setting, the whole history), the
instruction with its variables replaced, and the content that it took.  Two steps that could differ have different keys,
so that nobody's image can pass for another's (CVE-2024-24557).

Steps are committed together, after their layers are on the disk: at the end of a build, and after one that took long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import orjson

from coracle.core.clock import Clock, from_rfc3339, rfc3339
from coracle.core.collection import Collection
from coracle.core.object import Key, Object
from coracle.core.store import Store
from coracle.engine.builds import state as states
from coracle.engine.builds.layers import LayerMaker
from coracle.engine.builds.state import State
from coracle.engine.kinds import buildstep
from coracle.image.digests import PREFIX, digest_of

NOTE_S = 60.0  # a use is noted when the last note is older
LIMIT_BYTES = 20 << 30


def key_of(state: State, *parts: Any) -> str:
    """The key of a step after `state` that depends on `parts` (JSON; the order of names says nothing)."""
    platform = str(state.config.platform)
    return digest_of(orjson.dumps([state.id, platform, *parts], option=orjson.OPT_SORT_KEYS)).removeprefix(PREFIX)


@dataclass(slots=True)
class Steps:
    """The steps of one build that wait to be committed."""

    new: dict[str, dict[str, Any]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def add(self, key: str, parent: State, state: State, text: str, source: str = "") -> None:
        before = {layer.digest for layer in parent.layers}
        size = sum(layer.size_bytes for layer in state.layers if layer.digest not in before)
        about = {"parent": parent.id, "text": text[:4096], "source": source, "size_bytes": size}
        self.new[key] = {**about, **state.to_json()}


class Cache:
    def __init__(self, store: Store, clock: Clock, layers: LayerMaker) -> None:
        self._records = Collection(buildstep.KIND, store, clock)
        self._clock, self._layers = clock, layers
        self._turn = asyncio.Lock()  # builds at once may have done the same step

    def find(self, key: str, steps: Steps) -> State | None:
        """The outcome of a step that was done before, if its layers are still here."""
        if key in steps.new:
            return states.from_json(steps.new[key])
        record = self._records.find(buildstep.key(key))
        if record is None:
            return None
        found = states.from_json(record.spec)
        if not (self._layers.has(found.chain) and self._layers.has_blobs(found)):
            return None
        steps.used.add(key)
        return found

    async def commit(self, steps: Steps) -> None:
        """Keep what a build has done, and note what it has used.  Raises Unavailable (the store)."""
        taken = Steps(steps.new, steps.used)
        steps.new, steps.used = {}, set()
        if taken.new:
            await self._layers.sync()
        async with self._turn:
            await self._commit(taken)

    async def _commit(self, steps: Steps) -> None:
        now_s = self._clock.now_s()
        at = rfc3339(now_s)
        present = {name for name in steps.new if self._records.find(buildstep.key(name)) is not None}
        new = [buildstep.to_record(name, spec, at) for name, spec in steps.new.items() if name not in present]
        changed = {buildstep.key(name): _used(at) for name in steps.used if self._is_stale(name, now_s)}
        changed |= {buildstep.key(name): _replaced(steps.new[name], at) for name in present}
        if new or changed:
            await self._records.write(new, changed)

    def _is_stale(self, name: str, now_s: float) -> bool:
        record = self._records.find(buildstep.key(name))
        return record is not None and now_s - from_rfc3339(record.status["used_at"]) > NOTE_S

    def list(self) -> Sequence[Object]:
        """The steps, the least recently used first."""
        return sorted(self._records.list(), key=lambda record: str(record.status["used_at"]))

    def held(self) -> tuple[Set[str], Set[str]]:
        """Chain ids and digests of the layers that the steps keep: see Images.keep_for."""
        specs = [record.spec for record in self._records.list()]
        chains = {one for spec in specs for one in spec["chain_ids"]}
        return chains, {layer["digest"] for spec in specs for layer in spec["layers"]}

    async def remove(self, records: Iterable[Object]) -> None:
        """Forget these steps; their layers go when nothing else has them."""
        async with self._turn:
            doomed = [record.key for record in records if self._records.find(record.key) is not None]
            if doomed:
                await self._records.write(gone=doomed)

    async def shrink(self, limit_bytes: int = LIMIT_BYTES) -> bool:
        """Forget the steps that were not used for longest, until the rest fits.  Whether there were any."""
        present = self.list()
        total = sum(layer_bytes(present).values())
        doomed = []
        for record in present:
            if total <= limit_bytes:
                break
            total -= int(record.spec["size_bytes"])
            doomed.append(record)
        await self.remove(doomed)
        return bool(doomed)


def layer_bytes(records: Iterable[Object]) -> Mapping[str, int]:
    """What the steps' own layers hold, by chain id, each once."""
    found: dict[str, int] = {}
    for record in records:
        if record.spec["size_bytes"]:
            top = record.spec["layers"][-1]
            found[top["digest"]] = int(top["size_bytes"])
    return found


def _used(at: str) -> Any:
    return lambda now: now.with_status(used_at=at, uses=now.status["uses"] + 1)


def _replaced(spec: Mapping[str, Any], at: str) -> Any:
    return lambda now: now.with_spec(**spec).with_status(used_at=at)


__all__ = ["LIMIT_BYTES", "Cache", "Key", "Steps", "key_of", "layer_bytes"]
