import asyncio
from dataclasses import replace

import pytest

from coracle.core import claims
from coracle.core.clock import LoopClock
from coracle.core.collection import Collection, Deletion
from coracle.core.errors import AlreadyExists, Conflict, Exhausted, Forbidden, Invalid, NotFound, invalid, required
from coracle.core.kind import Kind
from coracle.core.object import Key, Meta, Object
from coracle.core.schema import BOOLEAN, INTEGER, Schema, obj
from coracle.core.store import MemoryStore, Put
from coracle.core.tasks import running
from coracle.store.sqlite import SqliteStore
from coracle.testing.autojump import run


def _assign(obj, _old, reader):
    if "port" in obj.spec:
        return obj
    for port in range(1, 4):
        if not claims.holder(reader, f"port/{port}"):
            return obj.with_spec(port=port)
    raise Exhausted("no port left")


THING = Kind(
    name="Thing",
    plural="things",
    default=lambda obj: obj.with_spec(**{"size": 1, **obj.spec}),
    assign=_assign,
    validate=lambda obj: (
        [] if obj.spec["size"] >= 0 else [invalid("spec.size", obj.spec["size"], "must not be negative")]
    ),
    validate_change=lambda new, old, part: [required("spec.size")] if new.spec["size"] < old.spec["size"] else [],
    claims=lambda obj: [f"port/{obj.spec['port']}"],
    grace=lambda obj, asked: obj.spec.get("grace", 0) if asked is None else asked,
    subresources=frozenset({"status"}),
)
KEY = Key("default", "a")


def thing(name="a", **spec):
    return Object("Thing", Meta(name=name, namespace="default"), {"spec": spec})


def things(kind=THING, guards=()):
    return Collection(kind, MemoryStore(), LoopClock(), guards)


def test_zeros_of_an_earlier_version_are_no_change():
    """Here a spec cannot be changed at all; whether a thing is loud says nothing where it is not."""
    shape = obj(spec=Schema("object", fields={"loud": BOOLEAN, "port": INTEGER}, omitted=frozenset({"loud"})))
    kind = Kind(
        name="Thing",
        plural="things",
        schema=shape,
        validate_change=lambda new, old, part: [required("spec")] if new.spec != old.spec else [],
        subresources=frozenset({"status"}),
    )
    stored = thing(loud=False, port=1).with_body(status={"since": None})

    async def main():
        store = MemoryStore()
        await store.commit(Put(stored, expect=0))
        collection = Collection(kind, store, LoopClock())
        named = await collection.change(KEY, lambda old: old.with_meta(labels={"a": "b"}))
        assert named.spec == {"loud": False, "port": 1}
        told = await collection.update(thing(port=1).with_meta(labels={"a": "c"}))
        assert (told.spec, told.status, told.meta.generation) == ({"port": 1}, {"since": None}, named.meta.generation)
        with pytest.raises(Invalid):
            await collection.update(thing(port=1, loud=True))

    run(main())


def test_create_fills_in_and_stamps():
    async def main():
        made = await things().create(thing())
        assert made.spec == {"size": 1, "port": 1}
        assert made.meta.uid
        assert (made.meta.revision, made.meta.generation, made.meta.created) == (1, 1, "2023-11-14T22:13:20Z")

    run(main())


def test_every_broken_rule_is_told_and_nothing_is_stored():
    async def main():
        collection = things()
        with pytest.raises(Invalid) as caught:
            await collection.create(thing("Bad_Name", size=-1))
        assert [p.field for p in caught.value.problems] == ["metadata.name", "spec.size"]
        assert collection.list() == []
        assert claims.holder(collection._store, "port/1") == ""

    run(main())


def test_a_name_is_generated_until_one_is_free():
    async def main():
        collection = things(replace(THING, claims=lambda _obj: ()))
        for _ in range(20):
            made = await collection.create(thing("").with_meta(generate_name="a-"))
            assert len(made.meta.name) == 7

    run(main())


def test_a_claim_is_held_by_one_only_and_freed_with_its_holder():
    async def main():
        collection = things()
        await collection.create(thing("a", port=3))
        with pytest.raises(AlreadyExists, match="port/3 is already allocated to Thing default/a"):
            await collection.create(thing("b", port=3))
        assert collection.find(Key("default", "b")) is None
        await collection.change(KEY, lambda obj: obj.with_spec(port=4))
        await collection.create(thing("b", port=3))
        await collection.delete(KEY)
        await collection.create(thing("c", port=4))

    run(main())


def test_simultaneous_creations_get_different_claims():
    async def main():
        collection = things()
        made = await asyncio.gather(*[collection.create(thing(name)) for name in "abc"])
        assert sorted(obj.spec["port"] for obj in made) == [1, 2, 3]
        with pytest.raises(Exhausted):
            await collection.create(thing("d"))

    run(main())


def test_an_update_from_a_stale_revision_is_refused():
    async def main():
        collection = things()
        first = await collection.create(thing())
        await collection.update(first.with_spec(size=2))
        with pytest.raises(Conflict):
            await collection.update(first.with_spec(size=3))
        assert collection.get(KEY).spec["size"] == 2

    run(main())


def test_who_is_told_of_a_conflict_reads_what_was_newer(tmp_path):
    async def main():
        store = SqliteStore(tmp_path)
        async with running(store), asyncio.TaskGroup() as group:
            collection = Collection(THING, store, LoopClock())
            first = await collection.create(thing())
            group.create_task(collection.update(first.with_spec(size=2)))
            await asyncio.sleep(0)  # on its way to the disk
            with pytest.raises(Conflict):
                await collection.update(first.with_spec(size=3))
            assert collection.get(KEY).spec["size"] == 2

    asyncio.run(main())


def test_a_dry_run_of_a_change_starts_from_what_is_on_its_way_to_the_disk(tmp_path):
    async def main():
        store = SqliteStore(tmp_path)
        async with running(store), asyncio.TaskGroup() as group:
            collection = Collection(THING, store, LoopClock())
            await collection.create(thing())
            group.create_task(collection.change(KEY, lambda obj: obj.with_spec(size=2)))
            await asyncio.sleep(0)
            tried = await collection.change(KEY, lambda obj: obj.with_spec(port=3), dry_run=True)
        assert (tried.spec, collection.get(KEY).spec) == ({"size": 2, "port": 3}, {"size": 2, "port": 1})

    asyncio.run(main())


def test_generation_counts_what_is_asked_not_what_is():
    async def main():
        collection = things()
        await collection.create(thing())
        changed = await collection.change(KEY, lambda obj: obj.with_status(n=1), "status")
        assert (changed.meta.generation, changed.status) == (1, {"n": 1})
        changed = await collection.change(KEY, lambda obj: obj.with_spec(size=5).with_status(n=2))
        assert (changed.meta.generation, changed.status) == (2, {"n": 1})
        changed = await collection.change(KEY, lambda obj: obj.with_spec(size=9).with_status(n=3), "status")
        assert (changed.spec["size"], changed.status) == (5, {"n": 3})

    run(main())


def test_what_does_not_change_is_not_written():
    async def main():
        collection = things()
        made = await collection.create(thing())
        assert (await collection.change(KEY, lambda obj: obj.with_spec(size=1))).meta.revision == made.meta.revision

    run(main())


def test_simultaneous_changes_all_count():
    async def main():
        collection = things()
        await collection.create(thing(size=0))

        def more(obj):
            return obj.with_spec(size=obj.spec["size"] + 1)

        await asyncio.gather(*[collection.change(KEY, more) for _ in range(20)])
        assert collection.get(KEY).spec["size"] == 20

    run(main())


def test_rules_for_changes_hold():
    async def main():
        collection = things()
        await collection.create(thing(size=3))
        with pytest.raises(Invalid):
            await collection.change(KEY, lambda obj: obj.with_spec(size=2))

    run(main())


def test_a_graceful_deletion_goes_in_two_steps():
    async def main():
        collection = things()
        await collection.create(thing(grace=30))
        going = await collection.delete(KEY)
        assert (going.meta.deleting, going.meta.grace_s) == ("2023-11-14T22:13:50Z", 30)
        assert (await collection.delete(KEY)).meta.revision == going.meta.revision
        sooner = await collection.delete(KEY, Deletion(grace_s=5))
        assert sooner.meta.grace_s == 5
        assert (await collection.delete(KEY, Deletion(grace_s=60))).meta.grace_s == 5
        await collection.delete(KEY, Deletion(grace_s=0))
        assert collection.find(KEY) is None

    run(main())


def test_finalizers_hold_an_object_until_the_last_is_gone():
    async def main():
        collection = things()
        await collection.create(thing().with_meta(finalizers=("example.com/hold",)))
        assert (await collection.delete(KEY)).meta.deleting
        await collection.change(KEY, lambda obj: obj.with_meta(finalizers=()))
        assert collection.find(KEY) is None
        assert claims.holder(collection._store, "port/1") == ""

    run(main())


def test_deleting_in_the_foreground_leaves_the_work_to_the_garbage_loop():
    async def main():
        collection = things()
        await collection.create(thing())
        assert (await collection.delete(KEY, Deletion(propagation="Foreground"))).meta.finalizers == (
            "foregroundDeletion",
        )

    run(main())


MINE, WAITS, STAYS = "example.com/hold", "foregroundDeletion", "orphan"


@pytest.mark.parametrize(
    ("present", "asked", "left"),
    [
        pytest.param((MINE,), [None], (MINE,), id="nothing asked"),
        pytest.param((MINE,), ["Foreground"], (MINE, WAITS), id="its dependents first"),
        pytest.param((MINE,), ["Orphan"], (MINE, STAYS), id="its dependents stay"),
        pytest.param((MINE, STAYS), [None], (MINE, STAYS), id="asked for before it was deleted"),
        pytest.param((MINE, STAYS), ["Background"], (MINE,), id="and then not"),
        pytest.param((MINE,), ["Foreground", None], (MINE, WAITS), id="asked for once"),
        pytest.param((MINE,), ["Foreground", "Background"], (MINE,), id="another mind"),
        pytest.param((MINE,), ["Foreground", "Orphan"], (MINE, STAYS), id="yet another"),
    ],
)
def test_what_becomes_of_dependents_is_held_in_finalizers(present, asked, left):
    async def main():
        collection = things()
        await collection.create(thing().with_meta(finalizers=present))
        for propagation in asked:
            last = await collection.delete(KEY, Deletion(propagation=propagation))
        assert last.meta.finalizers == left

    run(main())


def test_what_takes_its_time_to_go_goes_as_it_was_asked_at_first():
    async def main():
        collection = things()
        await collection.create(thing(grace=30))
        await collection.delete(KEY, Deletion(propagation="Foreground"))
        last = await collection.delete(KEY, Deletion(propagation="Background"))
        assert last.meta.finalizers == (WAITS,)

    run(main())


def test_preconditions_of_a_deletion():
    async def main():
        collection = things()
        await collection.create(thing())
        with pytest.raises(Conflict, match="UID in precondition: other"):
            await collection.delete(KEY, Deletion(uid="other"))
        with pytest.raises(NotFound):
            await collection.delete(Key("default", "b"))
        assert await collection.delete(Key("default", "b"), missing_ok=True) is None

    run(main())


def test_a_guard_may_refuse():
    def closed(verb, new, old, reader):
        raise Forbidden(f"no {verb}")

    async def main():
        with pytest.raises(Forbidden, match="no create"):
            await things(guards=(closed,)).create(thing())

    run(main())


def test_a_dry_run_changes_nothing():
    async def main():
        collection = things()
        assert (await collection.create(thing(), dry_run=True)).spec["port"] == 1
        assert collection.list() == []

    run(main())


def test_a_claim_passes_from_one_to_another_in_one_commit():
    async def main():
        collection = things()
        one, two = await collection.create(thing("a")), await collection.create(thing("b"))
        swapped = await collection.write(
            changed={
                one.key: lambda now: now.with_spec(port=two.spec["port"]),
                two.key: lambda now: now.with_spec(port=one.spec["port"]),
            }
        )
        assert [obj.meta.revision for obj in swapped] == [3, 3]
        assert claims.holder(collection._store, "port/1") == "Thing default/b"
        assert claims.holder(collection._store, "port/2") == "Thing default/a"
        assert claims.held_by(collection._store, "port/2", one.meta.uid)
        made = await collection.write([thing("c", port=1)], {two.key: lambda now: now.with_spec(port=9)})
        assert [obj.meta.name for obj in made] == ["c", "b"]
        assert claims.holder(collection._store, "port/1") == "Thing default/c"

    run(main())


def test_several_changes_happen_together_or_not_at_all():
    async def main():
        collection = things()
        one = await collection.create(thing("a"))
        with pytest.raises(AlreadyExists, match="port/1 is already allocated to Thing default/a"):
            await collection.write([thing("b", port=1)], {one.key: lambda now: now.with_spec(size=7)})
        assert (collection.get(KEY).spec["size"], len(collection.list())) == (1, 1)
        await collection.write([thing("b", port=1)], gone=[KEY])
        assert [obj.meta.name for obj in collection.list()] == ["b"]
        assert claims.holder(collection._store, "port/1") == "Thing default/b"
        assert await collection.write() == []

    run(main())
