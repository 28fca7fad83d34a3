"""What removing an image takes away, and what stands against it: pure.

    by a name   the name goes; with the last one the image, unless a container uses it
    by id       the image with all its names, where they are of one repository; else only by force
    pruning     a parent that nobody names, uses or stands on goes with its last child

Source: Docker's rules and words (moby daemon/images/image_delete.go), which `kubectl` users never see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from coracle.core.errors import Conflict
from coracle.core.object import Object


@dataclass(frozen=True, slots=True)
class Held:
    """An image as removal sees it.  `references` are tags ("nginx:latest"), then digests ("nginx@sha256:...")."""

    id: str
    references: tuple[str, ...] = ()
    parent: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """A container of an image."""

    image_id: str
    id: str
    is_running: bool


@dataclass(slots=True)
class Removal:
    """`records` in order: ("untagged", name) or ("deleted", id).  `left` is what remains of names, by id."""

    records: list[tuple[str, str]] = field(default_factory=list)
    left: dict[str, tuple[str, ...]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal did, as Docker tells it: `records` in order are ("untagged", name) and ("deleted", id of an image
    or chain id of a layer); `freed_bytes` is what the layers held."""

    records: tuple[tuple[str, str], ...] = ()
    freed_bytes: int = 0

    @property
    def untagged(self) -> tuple[str, ...]:
        return tuple(name for what, name in self.records if what == "untagged")

    @property
    def deleted(self) -> tuple[str, ...]:
        return tuple(id for what, id in self.records if what == "deleted")


def held(image: Object) -> Held:
    spec = image.spec
    return Held(spec["id"], (*spec["references"], *spec["digests"]), spec.get("parent", ""))


def plan_removal(
    images: Mapping[str, Held], users: Sequence[User], id: str, name: str = "", *, force: bool, prune: bool = True
) -> Removal:
    """Remove the image `id`, which was asked for by `name` ("": by its id).  Raises Conflict in Docker's words."""
    planner = _Planner(dict(images), users)
    planner.remove(id, name, force=force, prune=prune)
    return planner.done


def lone_layers(present: Mapping[str, Object], doomed: Sequence[str]) -> tuple[list[str], int]:
    """The layers that only these images have, the topmost first, and what they hold."""
    kept = {layer for id, image in present.items() if id not in doomed for layer in image.spec["chain_ids"]}
    lone: dict[str, int] = {}
    for id in doomed:
        spec = present[id].spec
        for layer, size in zip(reversed(spec["chain_ids"]), reversed(spec["layer_bytes"]), strict=True):
            if layer not in kept:
                lone[layer] = size
    return list(lone), sum(lone.values())


class _Planner:
    def __init__(self, images: dict[str, Held], users: Sequence[User]) -> None:
        self._images, self._users = images, users
        self.done = Removal()

    def remove(self, id: str, name: str, *, force: bool, prune: bool) -> None:
        references = self._images[id].references
        if name:
            self._refuse_dangling(id, name, references, force=force)
            self._untag(id, _with_lone_digests(name, references))
            if self._images[id].references:
                return
        elif _is_single(references):
            self._refuse_use(id, force=force)
            self._untag(id, references)
        self._delete(id, force=force, prune=prune, quiet=bool(name))

    def _refuse_dangling(self, id: str, name: str, references: Sequence[str], *, force: bool) -> None:
        """A container's image does not lose its last name unless that is forced."""
        user = next((user for user in self._users if user.image_id == id), None)
        if not force and user is not None and _is_single(references):
            said = (
                f"conflict: unable to remove repository reference {_quoted(name)} (must force) - "
                f"container {user.id[:12]} is using its referenced image {_short(id)}"
            )
            raise Conflict(said, kind="Image", name=id)

    def _refuse_use(self, id: str, *, force: bool) -> None:
        """Raises Conflict: the image has children or users (`force` helps against stopped ones)."""
        found = self._conflict(id, soft=not force, named=False)
        if found is not None:
            raise found

    def _conflict(self, id: str, *, soft: bool, named: bool) -> Conflict | None:
        """`soft`: also what force would help against; `named`: names count among that."""
        users = [user for user in self._users if user.image_id == id]
        running = [user for user in users if user.is_running]
        if any(image.parent == id for image in self._images.values()):
            return _refusal(id, "cannot be forced", "image has dependent child images")
        if running:
            return _refusal(id, "cannot be forced", f"image is being used by running container {running[0].id[:12]}")
        if soft and named and self._images[id].references:
            return _refusal(id, "must be forced", "image is referenced in multiple repositories")
        if soft and users:
            return _refusal(id, "must be forced", f"image is being used by stopped container {users[0].id[:12]}")
        return None

    def _delete(self, id: str, *, force: bool, prune: bool, quiet: bool) -> None:
        conflict = self._conflict(id, soft=not force, named=True)
        if conflict is not None:
            is_used = any(user.image_id == id for user in self._users)
            if quiet and (is_used or self._images[id].references or self._has_children(id)):
                return
            raise conflict
        self._untag(id, self._images[id].references)
        parent = self._images.pop(id).parent
        self.done.records.append(("deleted", id))
        self.done.deleted.append(id)
        self.done.left.pop(id, None)
        if prune and parent in self._images:
            self._delete(parent, force=False, prune=True, quiet=True)

    def _has_children(self, id: str) -> bool:
        return any(image.parent == id for image in self._images.values())

    def _untag(self, id: str, names: Sequence[str]) -> None:
        image = self._images[id]
        left = tuple(one for one in image.references if one not in names)
        self._images[id] = replace(image, references=left)
        self.done.left[id] = left
        self.done.records += [("untagged", name) for name in names if name in image.references]


def _with_lone_digests(name: str, references: Sequence[str]) -> tuple[str, ...]:
    """`name`, and with a repository's last tag the digests under which it was pulled."""
    repository = _repository(name)
    others = [one for one in references if one != name and _repository(one) == repository]
    if "@" in name or any("@" not in one for one in others):
        return (name,)
    return (name, *others)


def _is_single(references: Sequence[str]) -> bool:
    """All of one repository, and at most one of them a tag."""
    tags = [one for one in references if "@" not in one]
    return bool(references) and len(tags) <= 1 and len({_repository(one) for one in references}) == 1


def _repository(reference: str) -> str:
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def _refusal(id: str, how: str, why: str) -> Conflict:
    return Conflict(f"conflict: unable to delete {_short(id)} ({how}) - {why}", kind="Image", name=id)


def _short(id: str) -> str:
    return id.removeprefix("sha256:")[:12]


def _quoted(text: str) -> str:
    return '"' + text + '"'
