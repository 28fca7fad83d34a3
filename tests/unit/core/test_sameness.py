from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.kind import Kind
from coracle.core.object import Meta, Object
from coracle.core.sameness import change_same, delete_same
from coracle.core.store import MemoryStore
from coracle.testing.autojump import run


def test_only_the_object_that_was_looked_at_is_changed_or_removed():
    async def main():
        things = Collection(Kind(name="Thing", plural="things"), MemoryStore(), LoopClock())
        thing = Object("Thing", Meta(name="a", namespace="default"), {"spec": {"size": 1}})
        seen = await things.create(thing)
        changed = await change_same(things, seen, lambda present: present.with_spec(size=2))
        assert changed is not None
        assert things.get(seen.key).spec == {"size": 2}

        await things.delete(seen.key)
        assert await change_same(things, seen, lambda present: present.with_spec(size=3)) is None
        await things.create(thing)
        assert await change_same(things, seen, lambda present: present.with_spec(size=3)) is None
        await delete_same(things, seen)
        assert things.get(seen.key).spec == {"size": 1}
        await delete_same(things, things.get(seen.key))
        assert things.find(seen.key) is None
        await delete_same(things, seen)

    run(main())
