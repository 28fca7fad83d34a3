"""The only writers' door: all objects of one kind.  Admits, stamps, commits.

Handlers and control loops write through the same verbs and are held to the same rules, which live with the kind.

    create   shape -> default -> guards -> assign -> validate -> late guards -> stamp -> commit (with the claims)
    update   the same with validate_change, for the whole object as a client sends it
    change   read, apply a function, update; again when somebody else was quicker
    delete   at once, or in two steps where the kind has a grace or the object finalizers
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from coracle.core import claims
from coracle.core.clock import Clock, rfc3339
from coracle.core.errors import AlreadyExists, Conflict, Invalid, NotFound, Problem
from coracle.core.kind import Kind, Problems, Reader
from coracle.core.names import generated, meta_problems
from coracle.core.object import Key, Object
from coracle.core.schema import Schema
from coracle.core.selectors import EVERYTHING, Selector
from coracle.core.store import Change, Delete, Entry, Put, Store

Propagation = Literal["Background", "Foreground", "Orphan"]
_TRIES = 50

# (verb, new, old, reader) -> the object to go on with.  For rules that span kinds (namespaces, quotas, admission).
Guard = Callable[[Literal["create", "update", "delete"], Object, Object | None, Reader], Object]


@dataclass(frozen=True, slots=True)
class Late:
    """A guard that is asked about what the kind's own rules have passed, and changes nothing of it."""

    guard: Guard


@dataclass(frozen=True, slots=True)
class Deletion:
    """How to delete.  `grace_s` None: the kind's default.  `uid`, `revision`: only if it is still that.

    `propagation` None: what was asked for before, by finalizers; else its dependents go after it.
    """

    grace_s: int | None = None
    uid: str = ""
    revision: int = 0
    propagation: Propagation | None = None


class _Head:
    """A Reader of the state that the next commit will be checked against."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, type: str, key: Key) -> Entry | None:
        return self._store.head(type, key)

    def entries(self, type: str, namespace: str | None = None) -> Iterable[Entry]:
        return self._store.entries(type, namespace)


class Collection:
    """The objects of one kind.  Raised by every verb: the errors of Store.commit with `kind` the kind's type."""

    def __init__(self, kind: Kind, store: Store, clock: Clock, guards: Sequence[Guard | Late] = ()) -> None:
        self.kind = kind
        self._store, self._clock = store, clock
        self._guards = tuple(guard for guard in guards if not isinstance(guard, Late))
        self._late = tuple(guard.guard for guard in guards if isinstance(guard, Late))
        self._head = _Head(store)

    # -- reading -------------------------------------------------------------------------------------------------

    def find(self, key: Key) -> Object | None:
        entry = self._store.find(self.kind.type, key)
        return entry.object() if entry is not None else None

    def get(self, key: Key) -> Object:
        """Raises NotFound."""
        found = self.find(key)
        if found is None:
            raise NotFound(kind=self.kind.type, name=key.name)
        return found

    def list(self, namespace: str | None = None, labels: Selector = EVERYTHING) -> Sequence[Object]:
        return [e.object() for e in self._store.entries(self.kind.type, namespace) if labels.accepts(e.labels)]

    def entries(self, namespace: str | None = None) -> Sequence[Entry]:
        """As `list`, without looking into them."""
        return self._store.entries(self.kind.type, namespace)

    # -- writing -------------------------------------------------------------------------------------------------

    async def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Admit and store a new object; returns it as stored.

        Raises: Invalid (every broken rule), AlreadyExists, and what the guards raise.
        """
        self._check_shape(obj)
        for _ in range(_TRIES):
            new = self._admit_new(obj)
            changes: list[Change] = [Put(new, expect=0)]
            changes += claims.changes(self._head, new, (), self.kind.claims(new))
            try:
                return await self._commit(new, changes, dry_run)
            except AlreadyExists as error:
                if obj.meta.name or error.name != new.meta.name:
                    raise
        raise AlreadyExists(kind=self.kind.type, name=obj.meta.generate_name)

    async def update(self, obj: Object, part: str = "main", *, dry_run: bool = False) -> Object:
        """Store `obj` in place of what is there.  `part` as in Kind.validate_change.

        "main" keeps the stored status where the kind has that subresource, "status" keeps all but it; another
        subresource decides for itself.

        Raises: Conflict where obj.meta.revision is not 0 and not the present one; Invalid; NotFound.
        """
        self._check_shape(obj)
        old = self._present(obj.key)
        if obj.meta.revision and obj.meta.revision != old.meta.revision:
            await self._store.settle()  # who is told to read again must find what is newer
            raise Conflict(kind=self.kind.type, name=obj.meta.name)
        if obj.meta.uid and obj.meta.uid != old.meta.uid:
            said = f"Precondition failed: UID in precondition: {obj.meta.uid}, UID in object meta: {old.meta.uid}"
            raise Conflict(said, kind=self.kind.type, name=obj.meta.name)
        return await self._replace(old, obj, part, dry_run)

    async def change(
        self, key: Key, how: Callable[[Object], Object], part: str = "main", *, dry_run: bool = False
    ) -> Object:
        """Apply `how` to the present state until nobody was quicker.  Nothing is written where nothing changes.

        Raises: NotFound, Invalid, and what `how` raises.
        """
        for _ in range(_TRIES):
            old = self._present(key)
            new = how(old)
            if new == old:
                return old
            try:
                return await self._replace(old, new, part, dry_run)
            except Conflict:
                continue
        raise Conflict(kind=self.kind.type, name=key.name)

    async def delete(
        self,
        key: Key,
        how: Deletion = Deletion(),
        *,
        missing_ok: bool = False,
        dry_run: bool = False,
    ) -> Object | None:
        """Remove, or begin to.  Returns the object as it was last, or as it is while it goes; None: it was missing.

        Raises: NotFound (unless missing_ok), Conflict (uid or revision differ).
        """
        for _ in range(_TRIES):
            entry = self._store.head(self.kind.type, key)
            if entry is None:
                if missing_ok:
                    return None
                raise NotFound(kind=self.kind.type, name=key.name)
            old = entry.object()
            check_preconditions(self.kind, old, how)
            for guard in (*self._guards, *self._late):
                guard("delete", old, old, self._head)
            try:
                return await self._delete(old, how, dry_run)
            except (Conflict, NotFound):
                continue
        raise Conflict(kind=self.kind.type, name=key.name)

    async def write(
        self,
        new: Sequence[Object] = (),
        changed: Mapping[Key, Callable[[Object], Object]] | None = None,
        gone: Iterable[Key] = (),
    ) -> Sequence[Object]:
        """Create, change and remove objects in one commit, in which a claim may pass from one to another.

        Returns the new ones, then the changed ones in the order of `changed`.  Nothing is held back by a grace or by
        finalizers.  Raises as create, change and delete.
        """
        for obj in new:
            self._check_shape(obj)
        for _ in range(_TRIES):
            pairs: list[tuple[Object | None, Object]] = [(None, self._admit_new(obj)) for obj in new]
            for key, how in (changed or {}).items():
                old = self._present(key)
                pairs.append((old, self._prepared(old, how(old), "main")))
            removed = [self._present(key) for key in gone]
            writes = [(old, obj) for old, obj in pairs if obj != old]
            changes: list[Change] = [Put(obj, expect=old.meta.revision if old else 0) for old, obj in writes]
            changes += [Delete(self.kind.type, old.key, expect=old.meta.revision) for old in removed]
            changes += claims.moves(
                self._head,
                [(obj, self.kind.claims(old) if old else (), self.kind.claims(obj)) for old, obj in writes]
                + [(old, self.kind.claims(old), ()) for old in removed],
            )
            if not changes:
                return [obj for _, obj in pairs]
            try:
                revision = await self._store.commit(*changes)
            except Conflict:
                continue
            return [obj if obj == old else obj.with_meta(revision=revision) for old, obj in pairs]
        raise Conflict(kind=self.kind.type, name="")

    # -- how -----------------------------------------------------------------------------------------------------

    def _present(self, key: Key) -> Object:
        entry = self._store.head(self.kind.type, key)
        if entry is None:
            raise NotFound(kind=self.kind.type, name=key.name)
        return entry.object()

    def _check_shape(self, obj: Object) -> None:
        if self.kind.schema is not None:
            self._refuse(obj, self.kind.schema.check(obj.body))

    def _refuse(self, obj: Object, problems: Sequence[Problem]) -> None:
        if problems:
            raise Invalid(problems, kind=self.kind.type, name=obj.meta.name or obj.meta.generate_name)

    def _admit_new(self, obj: Object) -> Object:
        meta = obj.meta
        name = meta.name or (generated(meta.generate_name) if meta.generate_name else "")
        new = obj.with_meta(
            name=name,
            uid=str(uuid.uuid4()),
            created=rfc3339(self._clock.now_s()),
            generation=1 if self.kind.counts_generations else 0,
            revision=0,
            deleting="",
            grace_s=None,
        )
        new = self.kind.default(new)
        for guard in self._guards:
            new = guard("create", new, None, self._head)
        new = self.kind.assign(new, None, self._head)
        self._refuse(new, self._broken_rules(new))
        for guard in self._late:
            guard("create", new, None, self._head)
        return new

    def _broken_rules(self, obj: Object) -> Problems:
        return meta_problems(obj, self.kind.name_rule, self.kind.namespaced) + self.kind.validate(obj)

    def _prepared(self, old: Object, obj: Object, part: str) -> Object:
        """What to store for `obj` in place of `old`.  Raises Invalid."""
        new = self._kept(old, obj, part)
        if part != "status":
            if new.body != old.body:
                old, new = self._as_kept_today(old), self._as_kept_today(new)
            new = self.kind.default(new)
            for guard in self._guards:
                new = guard("update", new, old, self._head)
            new = self.kind.assign(new, old, self._head)
        else:
            new = self.kind.default_status(new)
        new = self._counted(old, new, part)
        problems = self.kind.validate_change(new, old, part)
        if part == "status":
            self._refuse(new, problems)
            return new
        self._refuse(new, self._broken_rules(new) + problems)
        for guard in self._late:
            guard("update", new, old, self._head)
        return new

    async def _replace(self, old: Object, obj: Object, part: str, dry_run: bool) -> Object:
        new = self._prepared(old, obj, part)
        if new == old:
            return old
        if new.meta.deleting and not new.meta.grace_s and not self.kind.held(new):
            return await self._remove(new, old.meta.revision, dry_run)
        changes: list[Change] = [Put(new, expect=old.meta.revision)]
        changes += claims.changes(self._head, new, self.kind.claims(old), self.kind.claims(new))
        return await self._commit(new, changes, dry_run)

    def _kept(self, old: Object, obj: Object, part: str) -> Object:
        """What a client may change through `part`, on top of what it may not."""
        new = obj.with_meta(
            uid=old.meta.uid,
            created=old.meta.created,
            deleting=old.meta.deleting,
            grace_s=old.meta.grace_s,
            generate_name=old.meta.generate_name,
            generation=old.meta.generation,
            revision=old.meta.revision,
        )
        if part == "main" and "status" in self.kind.subresources:
            body = {name: value for name, value in new.body.items() if name != "status"}
            return Object(new.kind, new.meta, {**body, **_only_status(old)}, old.api)
        if part == "status":
            kept = {name: getattr(new.meta, name) for name in ("labels", "annotations", "finalizers", "extra")}
            body = {name: value for name, value in old.body.items() if name != "status"}
            return Object(old.kind, old.with_meta(**kept).meta, {**body, **_only_status(obj)}, old.api)
        return Object(new.kind, new.meta, new.body, old.api)

    def _as_kept_today(self, obj: Object) -> Object:
        """Without the zeros that say nothing, with which an earlier version may have stored it: they are no change."""
        if not isinstance(self.kind.schema, Schema):
            return obj
        body = {name: value for name, value in obj.body.items() if name != "status"}
        return Object(obj.kind, obj.meta, {**self.kind.schema.clean(body), **_only_status(obj)}, obj.api)

    def _counted(self, old: Object, new: Object, part: str) -> Object:
        if part in ("status", "binding") or not self.kind.counts_generations:
            return new
        asked = {name: value for name, value in new.body.items() if name != "status"}
        before = {name: value for name, value in old.body.items() if name != "status"}
        return new if asked == before else new.with_meta(generation=old.meta.generation + 1)

    async def _delete(self, old: Object, how: Deletion, dry_run: bool) -> Object:
        finalizers = _finalizers(old, how.propagation)
        grace_s = self.kind.grace(old, how.grace_s)
        if old.meta.deleting and old.meta.grace_s is not None:
            grace_s = min(grace_s, old.meta.grace_s)
        doomed = old.with_meta(finalizers=finalizers)
        if grace_s <= 0 and not self.kind.held(doomed):
            return await self._remove(old, old.meta.revision, dry_run)
        at = old.meta.deleting
        if not at or grace_s != old.meta.grace_s:
            at = rfc3339(self._clock.now_s() + grace_s)
        generation = old.meta.generation + (1 if self.kind.counts_generations and not old.meta.deleting else 0)
        doomed = self.kind.default(doomed.with_meta(deleting=at, grace_s=grace_s, generation=generation))
        if doomed == old:
            return old
        return await self._commit(doomed, [Put(doomed, expect=old.meta.revision)], dry_run)

    async def _remove(self, obj: Object, revision: int, dry_run: bool) -> Object:
        changes: list[Change] = [Delete(self.kind.type, obj.key, expect=revision, obj=obj)]
        present = self._present(obj.key)
        changes += claims.changes(self._head, obj, self.kind.claims(present), ())
        return await self._commit(obj, changes, dry_run)

    async def _commit(self, obj: Object, changes: Sequence[Change], dry_run: bool) -> Object:
        if dry_run:
            return obj
        revision = await self._store.commit(*changes)
        return obj.with_meta(revision=revision)


def _only_status(obj: Object) -> dict[str, object]:
    return {"status": obj.body["status"]} if "status" in obj.body else {}


def _finalizers(obj: Object, propagation: Propagation | None) -> tuple[str, ...]:
    """An object that is deleted in the foreground, or whose dependents stay, is held until the garbage loop is done.

    Somebody may change their mind about it, but for what takes its time to go.
    """
    if propagation is None or (obj.meta.deleting and obj.meta.grace_s):
        return obj.meta.finalizers
    kept = tuple(name for name in obj.meta.finalizers if name not in ("foregroundDeletion", "orphan"))
    if propagation == "Background":
        return kept
    return (*kept, "foregroundDeletion" if propagation == "Foreground" else "orphan")


def check_preconditions(kind: Kind, obj: Object, how: Deletion) -> None:
    """Raises Conflict where it is not what was meant to be deleted."""
    for what, asked, present in (("UID", how.uid, obj.meta.uid), ("ResourceVersion", how.revision, obj.meta.revision)):
        if asked and asked != present:
            said = f"Precondition failed: {what} in precondition: {asked}, {what} in object meta: {present}"
            raise Conflict(said, kind=kind.type, name=obj.meta.name)
