"""Whose a pod is: what is kept, adopted and released, and what happens where somebody else was quicker."""

from __future__ import annotations

import pytest

from coracle.core.object import Key, Owner
from coracle.core.selectors import from_label_selector
from coracle.kube.controllers.ownership import OF_OWNERS, OF_PODS, Claims, Terms, claimed, concerned, settle, sort_out
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod, a_workload

WEB = from_label_selector({"matchLabels": {"app": "web"}})
OWNER = a_workload("ReplicaSet").with_meta(uid="mine")
GOING = OWNER.with_meta(deleting="2023-11-14T20:00:00Z")
MINE, OTHERS = Owner("apps/v1", "ReplicaSet", "web", "mine"), Owner("apps/v1", "ReplicaSet", "db", "other")
PLAIN = Owner("apps/v1", "ReplicaSet", "web", "mine", controller=False)


def pod(*owners, app="web", going=False):
    made = a_pod("p", {"app": app}).with_meta(owners=owners, uid="p")
    return made.with_meta(deleting="2023-11-14T20:00:00Z") if going else made


@pytest.mark.parametrize(
    ("owner", "owned", "orphans", "expected"),
    [
        pytest.param(OWNER, [pod(MINE)], [], "keep", id="what is mine and fits stays"),
        pytest.param(OWNER, [pod(MINE, app="db")], [], "release", id="what no longer fits goes"),
        pytest.param(OWNER, [pod(MINE, app="db", going=True)], [], "", id="what goes anyway is left alone"),
        pytest.param(OWNER, [pod(MINE, going=True)], [], "keep", id="what goes and fits is still mine"),
        pytest.param(OWNER, [pod(PLAIN, OTHERS)], [], "", id="what has me among its owners and another controller"),
        pytest.param(OWNER, [], [pod()], "adopt", id="an orphan that fits"),
        pytest.param(OWNER, [], [pod(app="db")], "", id="one that does not"),
        pytest.param(OWNER, [], [pod(going=True)], "", id="one that goes"),
        pytest.param(GOING, [], [pod()], "", id="who goes adopts nothing"),
        pytest.param(GOING, [pod(MINE)], [], "keep", id="and keeps what it has"),
        pytest.param(GOING, [pod(MINE, app="db")], [], "release", id="but for what no longer fits"),
    ],
)
def test_sorting_out(owner, owned, orphans, expected):
    given = (*owned, *orphans)
    assert sort_out(owner, owned, orphans, Terms(WEB).fits) == (Claims(**{expected: given}) if expected else Claims())


def test_more_than_labels_may_be_asked():
    terms = Terms(WEB, also=lambda obj: obj.meta.name == "other")
    assert sort_out(OWNER, [], [pod()], terms.fits) == Claims()


async def stage_with(*pods):
    stage = Stage({"Pod": OF_PODS, "ReplicaSet.apps": OF_OWNERS})
    await stage.rooms()
    for one in pods:
        made = await stage["Pod"].create(one.with_meta(uid="", deleting=""))
        if one.status:
            await stage["Pod"].change(made.key, lambda now, one=one: now.with_status(**one.status), "status")
    return stage


@pytest.mark.parametrize(
    ("meanwhile", "taken"),
    [
        pytest.param(None, True, id="nothing"),
        pytest.param(lambda one: one.with_meta(owners=(OTHERS,)), False, id="another was quicker"),
        pytest.param(lambda one: one.with_meta(owners=(MINE,)), True, id="it was taken before"),
    ],
)
def test_what_happens_between_deciding_and_adopting(meanwhile, taken):
    async def main():
        stage = await stage_with(pod())
        seen = stage["Pod"].get(Key("default", "p"))
        if meanwhile:
            await stage["Pod"].change(seen.key, meanwhile)
        found = await settle(OWNER, Claims(adopt=(seen,)), stage["Pod"], Terms(WEB))
        assert bool(found) is taken
        owners = stage["Pod"].get(seen.key).meta.owners
        assert owners == ((MINE,) if taken else (OTHERS,))

    run(main())


def test_one_that_is_gone_by_now_is_neither_adopted_nor_released():
    async def main():
        stage = await stage_with()
        assert await settle(OWNER, Claims(adopt=(pod(),), release=(pod(MINE),)), stage["Pod"], Terms(WEB)) == []

    run(main())


def test_one_that_is_released_keeps_its_other_owners():
    async def main():
        stage = await stage_with(pod(MINE, Owner("v1", "ConfigMap", "c", "c", controller=False), app="db"))
        seen = stage["Pod"].get(Key("default", "p"))
        released = Terms(WEB, released=lambda obj: obj.with_meta(annotations={"was": "released"}))
        await settle(OWNER, Claims(release=(seen,)), stage["Pod"], released)
        after = stage["Pod"].get(seen.key)
        assert ([ref.name for ref in after.meta.owners], after.meta.annotations) == (["c"], {"was": "released"})

    run(main())


@pytest.mark.parametrize(("living", "found"), [(True, []), (False, ["p"])])
def test_pods_that_have_ended_may_be_left_out(living, found):
    async def main():
        stage = await stage_with(pod(MINE).with_status(phase="Failed"))
        await stage.settle(0.1)
        terms = Terms(WEB, living=living)
        taken = await claimed(OWNER, stage.caches["Pod"], stage["Pod"], terms)
        assert [one.meta.name for one in taken] == found

    run(main())


def test_who_is_concerned_by_a_pod():
    async def main():
        stage = await stage_with()
        for name, app in (("web", "web"), ("db", "db"), ("more", "web")):
            made = a_workload("ReplicaSet", name, {"app": app})
            await stage["ReplicaSet"].create(made)
        keys = concerned(stage.caches["ReplicaSet.apps"], lambda one: from_label_selector(one.spec["selector"]))
        told: list[set[str]] = []
        stage.caches["Pod"].listen(lambda event: told.append({key.name for key in keys(event)}))
        await stage.settle(0.1)
        web = stage["ReplicaSet"].get(Key("default", "web"))
        await stage["Pod"].create(pod().with_meta(uid=""))
        await stage.settle(0.1)
        await stage["Pod"].change(Key("default", "p"), lambda one: one.with_meta(owners=(web.as_owner(),)))
        await stage.settle(0.1)
        await stage["Pod"].change(Key("default", "p"), lambda one: one.with_meta(owners=(), labels={"app": "db"}))
        await stage.settle(0.1)
        await stage["Pod"].delete(Key("default", "p"))
        await stage.settle(0.1)
        assert told == [{"web", "more"}, {"web"}, {"web", "db"}, set()]

    run(main())
