"""Revisions: which one is wanted, which are old, and what happens where a name is taken."""

from __future__ import annotations

import pytest

from coracle.core.object import Key
from coracle.kube.controllers import history
from coracle.kube.controllers.history import Wanted, new_revision, outdated, wanted
from coracle.kube.kinds import daemonset
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_workload


def an_agent(image="agent", **status):
    daemons = daemonset.default(a_workload("DaemonSet", "agent", {"app": "agent"})).with_meta(uid="u")
    container = {**daemons.spec["template"]["spec"]["containers"][0], "image": image}
    spec = {**daemons.spec["template"]["spec"], "containers": [container]}
    return daemons.with_spec(template={**daemons.spec["template"], "spec": spec}).with_body(status=status)


def revision(number, image="agent", name=None):
    made = new_revision(an_agent(image), number)
    return made.with_meta(name=name or f"agent-{number}", created=f"2023-11-1{number}")


@pytest.mark.parametrize(
    ("revisions", "found", "number"),
    [
        pytest.param([], None, 1, id="the first"),
        pytest.param([revision(1, "old")], None, 2, id="a new one"),
        pytest.param([revision(1, "old"), revision(2)], "agent-2", 2, id="the one there is"),
        pytest.param([revision(1), revision(2, "new")], "agent-1", 3, id="an earlier one becomes the newest"),
        pytest.param([revision(2), revision(1, "old"), revision(1)], "agent-2", 2, id="of equal ones the newest"),
    ],
)
def test_which_revision_is_wanted(revisions, found, number):
    todo = wanted(an_agent(), revisions)
    assert (todo.found.meta.name if todo.found else None, todo.number) == (found, number)
    assert isinstance(todo, Wanted)


def test_a_revision_with_zeros_of_an_earlier_version_is_the_one_there_is():
    kept = revision(1)
    template = kept.body["data"]["spec"]["template"]
    spec = {**template["spec"], "hostNetwork": False, "volumes": []}
    kept = kept.with_body(data={"spec": {"template": {**template, "spec": spec}}})
    assert wanted(an_agent(), [kept]) == Wanted(kept, 1)


@pytest.mark.parametrize(
    ("live", "limit", "gone"),
    [
        pytest.param(set(), 2, ["agent-1"], id="beyond those that are kept the oldest"),
        pytest.param({"agent-1"}, 1, ["agent-2"], id="none that pods are of"),
        pytest.param(set(), 0, ["agent-1", "agent-2", "agent-3"], id="none is kept"),
        pytest.param(set(), 3, [], id="enough"),
        pytest.param(set(), -1, [], id="all are kept"),
    ],
)
def test_which_revisions_go(live, limit, gone):
    revisions = [revision(3), revision(1), revision(2)]
    assert [one.meta.name for one in outdated(revisions, live, limit)] == gone


def test_a_revision_brings_its_template_back():
    made = revision(1)
    assert history.template_of(made) == an_agent().spec["template"]
    assert made.body["data"]["spec"]["template"]["$patch"] == "replace"


@pytest.mark.parametrize(
    "data",
    ["x", [], {"spec": []}, {"spec": {"template": 5}}, {"spec": {"template": {"spec": {"containers": 5}}}}],
)
def test_data_that_is_no_template_is_none(data):
    assert history.template_of(revision(1).with_body(data=data)) == {}
    assert wanted(an_agent(), [revision(1).with_body(data=data)]).found is None


@pytest.mark.parametrize(("labels", "hash"), [({}, "by-hand"), ({history.HASH: "abc"}, "abc")])
def test_one_that_somebody_made_is_known_by_its_name(labels, hash):
    async def main():
        stage = Stage()
        await stage.rooms()
        owner = await stage["DaemonSet"].create(an_agent())
        made = await stage["ControllerRevision"].create(revision(1, name="by-hand").with_meta(labels=labels))
        found = await history.settled(owner, [made], stage["ControllerRevision"])
        assert (found.meta.labels[history.HASH], found.body["revision"]) == (hash, 1)

    run(main())


def test_where_a_name_is_taken_another_is_tried():
    async def main():
        stage = Stage()
        await stage.rooms()
        owner = await stage["DaemonSet"].create(an_agent())
        revisions = stage["ControllerRevision"]
        taken = new_revision(owner, 1)
        await revisions.create(taken.with_meta(owners=()).with_body(data={}))
        names = [taken.meta.name]
        for _ in range(2):
            assert await history.settled(owner, [], revisions) is None
            await history.count_collision(owner, stage["DaemonSet"])
            owner = stage["DaemonSet"].get(Key("default", "agent"))
            names.append(new_revision(owner, 1).meta.name)
            await revisions.create(new_revision(owner, 1).with_meta(owners=()).with_body(data={}))
        assert owner.status["collisionCount"] == 2
        assert len(set(names)) == 3

    run(main())
