"""Removing images, by name, by id, or all that nobody needs: engine.removal decides, this does it.

What of an image is on disk goes by garbage collection, once the record is gone.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from coracle.core.errors import Conflict, NotFound
from coracle.core.object import Object
from coracle.core.store import Store
from coracle.engine.garbage import Garbage
from coracle.engine.imagenames import ImageNames
from coracle.engine.kinds import container as containers
from coracle.engine.kinds import image as images
from coracle.engine.removal import Removed, User, held, lone_layers, plan_removal
from coracle.image.references import parse_reference


class Removals:
    def __init__(self, store: Store, names: ImageNames, garbage: Garbage) -> None:
        self._store, self._names, self._garbage = store, names, garbage
        self._users: Counter[str] = Counter()  # ids of images that a container is being made of

    async def remove(self, reference: str, force: bool = False, *, prune: bool = True) -> Removed:
        """Take a name away; with the last one, or by id, the image goes; with `prune` its nameless parents too.

        Raises: NotFound, Malformed; Conflict (see engine.removal).
        """
        async with self._names.lock:
            image = self._names.get(reference)
            name = "" if self._names.find_named(reference) is None else parse_reference(reference).familiar
            present = {one.spec["id"]: one for one in self._names.list()}
            views = {id: held(one) for id, one in present.items()}
            plan = plan_removal(views, self._users_of_images(), image.spec["id"], name, force=force, prune=prune)
            self._refuse_busy(plan.deleted)
            changed = {images.key(id): partial(_keeping, names=names) for id, names in plan.left.items()}
            await self._names.records.write(changed=changed, gone=[images.key(id) for id in plan.deleted])
        layers, freed_bytes = lone_layers(present, plan.deleted)
        if plan.deleted:
            self._garbage.note()
        await self._garbage.collect()
        return Removed((*plan.records, *(("deleted", layer) for layer in layers)), freed_bytes)

    async def prune(self, wanted: Callable[[Object], bool], *, named: bool) -> Sequence[tuple[Object, Removed]]:
        """Remove the images without tags that nobody uses and `wanted` accepts; `named`: those with tags too."""
        parents = {image.spec["parent"] for image in self._names.list()}
        done = []
        for image in self._names.list():
            names = (*image.spec["references"], *image.spec["digests"])
            is_inner = not names and image.spec["id"] in parents
            if is_inner or (image.spec["references"] and not named) or not wanted(image):
                continue
            for name in names or (image.spec["id"],):
                with contextlib.suppress(Conflict, NotFound):  # a container has it; it went with another name
                    done.append((image, await self.remove(name)))
        return done

    @contextlib.contextmanager
    def in_use(self, image: Object) -> Iterator[None]:
        """While a container of this image is being journaled, it is not removed."""
        id = image.spec["id"]
        self._users[id] += 1
        try:
            yield
        finally:
            self._users[id] -= 1
            if not self._users[id]:
                del self._users[id]

    def _users_of_images(self) -> Sequence[User]:
        found = [entry.object() for entry in self._store.entries(containers.TYPE)]
        return [User(one.spec["image_id"], one.meta.name, one.status["state"] == "running") for one in found]

    def _refuse_busy(self, ids: Sequence[str]) -> None:
        for id in ids:
            if self._users[id]:
                short = id.removeprefix("sha256:")[:12]
                said = f"conflict: unable to delete {short} (cannot be forced) - a container of it is being created"
                raise Conflict(said, kind="Image", name=id)


def _keeping(image: Object, names: Sequence[str]) -> Object:
    gone = {*image.spec["references"], *image.spec["digests"]} - {*names}
    return images.without(image, gone)
