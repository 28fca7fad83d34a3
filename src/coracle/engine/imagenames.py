"""Image records by what they are called: ids, tags, digests.  The only writer of Image records, with engine.removals.

A name is a claim, so that it means one image; giving it to another takes it from the first in the same commit.
Source: distribution/reference; Docker's documentation, "docker tag"; docker.md 1.2.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence

from coracle.core import claims
from coracle.core.clock import Clock, rfc3339
from coracle.core.collection import Collection as Records
from coracle.core.errors import Malformed, NotFound
from coracle.core.object import Key, Object
from coracle.core.store import Store
from coracle.engine.kinds import image as images
from coracle.engine.kinds.image import Unpacked
from coracle.image.references import Reference, parse_reference

_HEX = re.compile(r"(sha256:)?[0-9a-f]{1,64}")


class ImageNames:
    """`lock` is held by who writes: what a removal has planned does not change under it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.records = Records(images.KIND, store, clock)
        self.lock = asyncio.Lock()

    def list(self) -> Sequence[Object]:
        return self.records.list()

    def find(self, reference: str) -> Object | None:
        """By name, name@digest, id, or the beginning of an id that only one image has.  Raises Malformed."""
        named = self.find_named(reference)
        if named is not None or not _HEX.fullmatch(reference):
            return named
        start = reference.removeprefix("sha256:")
        whole = self.records.find(images.key(start))
        if whole is not None:
            return whole
        found = [e for e in self._store.entries(images.TYPE) if e.key.name.startswith(start)]
        return found[0].object() if len(found) == 1 else None

    def get(self, reference: str) -> Object:
        """Raises NotFound, Malformed."""
        found = self.find(reference)
        if found is None:
            name = reference if _HEX.fullmatch(reference) else parse_reference(reference).familiar
            raise NotFound(kind="Image", name=name)
        return found

    def find_named(self, text: str) -> Object | None:
        """By name or name@digest only."""
        if _HEX.fullmatch(text) and (text.startswith("sha256:") or len(text) == 64):
            return None
        reference = parse_reference(text)
        if reference.digest:
            whole = f"{reference.familiar_name}@{reference.digest}"
            return next((image for image in self.list() if whole in image.spec["digests"]), None)
        entry = self._store.find(claims.TYPE, Key("", images.name_claim(str(reference))))
        return self.records.find(Key("", str(entry.object().body["holder"]).rpartition(" ")[2])) if entry else None

    async def tag(self, source: str, target: str) -> Object:
        """Give an image one more name, taking it from whoever had it.  Raises NotFound, Malformed."""
        name = parse_reference(target)
        if name.digest:
            raise Malformed("refusing to create a tag with a digest reference")
        async with self.lock:
            return await self._give(self.get(source).key, name)

    async def note_digest(self, reference: str, digest: str) -> None:
        """A registry has the image of that name under this manifest now."""
        name = parse_reference(reference)
        async with self.lock:
            await self._give(self.get(reference).key, name, digest)

    async def add(self, unpacked: Unpacked, name: Reference | None, *, parent: str = "", digest: str = "") -> Object:
        """The record of an image whose layers are there; the same image again only gets the name, if there is one.

        `digest`: of the manifest that a registry has under this name; "" where none does.
        """
        key = images.key(unpacked.manifest.config.digest)
        async with self.lock:
            present = self.records.find(key)
            new = images.to_record(unpacked, parent) if present is None else None
            if name is not None:
                return await self._give(key, name, digest, new=new)
            return present or await self.records.create(images.to_record(unpacked, parent))

    async def _give(self, key: Key, name: Reference, digest: str = "", *, new: Object | None = None) -> Object:
        """One commit takes the name from whoever had it and gives it to `key`; with the lock held.

        `new`: the record of `key` where it has none yet.
        """
        at = rfc3339(self._clock.now_s())
        changed: dict[Key, Callable[[Object], Object]] = {}
        loser = self.find_named(str(name)) if not name.digest else None
        if loser is not None and loser.key != key:
            changed[loser.key] = lambda now: images.without(now, [name.familiar])
        if new is not None:
            return (await self.records.write([images.with_name(new, name, at, digest=digest)], changed))[0]
        changed[key] = lambda now: images.with_name(now, name, at, digest=digest)
        return (await self.records.write(changed=changed))[-1]
