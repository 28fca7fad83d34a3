"""Taking everything away, and remembering what has ended by itself."""

from dataclasses import replace

import pytest

from coracle.compose.projects import going
from coracle.compose.projects.memory import ended, volumes
from coracle.compose.projects.objects import Going, There
from coracle.testing.compose import STARTED, created, exited, present, running, spec, words

PAIR = {"db": {}, "web": {"depends_on": {"db": STARTED}}}
EVERYTHING = {"networks": {"demo_default": ""}, "volumes": ["demo_data"]}


def down(services=PAIR, undo=None, **how):
    return spec(services, services={}, going=Going(**how), undo=undo)


CASES = {
    "those that depend first": (down(), present(running("db"), running("web"), **EVERYTHING), ["Remove web-1"]),
    "then the others": (down(), present(running("db"), **EVERYTHING), ["Remove db-1"]),
    "then networks": (down(), present(**EVERYTHING), ["DropNetwork network default"]),
    "and volumes, if asked": (
        down(volumes=True),
        present(**EVERYTHING),
        ["DropNetwork network default", "DropVolume volume data"],
    ),
    "nothing is left": (down(), present(), []),
    "strangers and one-offs stay": (down(), present(running("old"), running("db", 0, one_off=True)), []),
    "unless they are asked for": (
        down(orphans=True),
        present(running("old"), running("db", 0, id="once", one_off=True)),
        ["Remove old-1", "Remove once"],
    ),
    "those that are kept stay, with strangers asked for": (
        down(orphans=True, kept=("web",)),
        present(running("db"), running("web"), running("old")),
        ["Remove db-1", "Remove old-1"],
    ),
    "and all is tried of what they may use": (
        down(volumes=True, kept=("web",)),
        present(running("web"), **EVERYTHING),
        ["DropNetwork network default", "DropVolume volume data"],
    ),
    "taken back: only what came since": (
        down(undo=There(containers={"id-db-1": "t1"}, networks=("demo_default",))),
        present(running("db"), running("web"), **EVERYTHING),
        ["Remove web-1"],
    ),
    "taken back: then what it used": (
        down(undo=There(containers={"id-db-1": "t1"}, networks=("demo_default",))),
        present(running("db"), **EVERYTHING),
        ["DropVolume volume data"],
    ),
    "taken back: everything, where nothing was there": (
        down(undo=There()),
        present(**EVERYTHING),
        ["DropNetwork network default", "DropVolume volume data"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_steps(case):
    declared, there, expected = CASES[case]
    found = going.plan(declared, there)
    assert words(found) == sorted(expected)
    assert found.pending == bool(expected)


def test_images_go_with_the_rest():
    assert words(going.plan(down(images="all"), present(), ["busybox"])) == ["DropImage image busybox"]


def test_what_others_use_is_given_up():
    found = going.plan(down(), present(**EVERYTHING), given_up={"network default"})
    assert (found.steps, found.pending) == ((), False)


def test_networks_wait_for_the_last_container_to_be_done_with():
    found = going.plan(down(), present(**EVERYTHING), busy={"db-1"})
    assert (found.steps, found.pending) == ((), True)


MEMORY = {
    "one that ended by itself": (exited("a", exit_code=3), {}, {"a-1": 3}),
    "one that was killed did not": (exited("a", exit_code=137), {}, {}),
    "nor one that ended with the machine": (exited("a", lost=True), {}, {}),
    "nor one that is to run again": (exited("a", id="again"), {}, {}),
    "nor one that never ran": (created("a"), {}, {}),
    "one that runs again": (running("a"), {"a-1": 3}, {}),
    "one that is gone is remembered": (running("b"), {"a-1": 3}, {"a-1": 3}),
    "one of another service is forgotten": (running("b"), {"c-1": 3}, {}),
    "a one-off is nobody's": (exited("a", one_off=True), {}, {}),
}


@pytest.mark.parametrize("case", MEMORY)
def test_memory(case):
    one, before, expected = MEMORY[case]
    declared = spec({"a": {}, "b": {}}, {"a": {"again": {"again": "t1"}}})
    assert ended(declared, present(one), before) == expected


def test_while_one_takes_the_others_place_nothing_is_noted():
    there = present(exited("a", created_at="1"), created("a", id="new", created_at="2"))
    assert ended(spec({"a": {}}), there, {}) == {}


def test_what_is_stopped_has_not_ended_by_itself():
    declared = spec({"a": {}}, {"a": {"want": "stopped"}})
    assert ended(declared, present(exited("a")), {}) == {}
    assert ended(replace(declared, services={}), present(exited("a")), {"a-1": 0}) == {}


V, W = {"/data": "v"}, {"/data": "w"}
VOLUMES = {
    "of a container that is there": ({}, [running("a", volumes=V)], {}, {"a-1": V}),
    "of one that is gone": ({}, [], {"a-1": V}, {"a-1": V}),
    "of the one in its place": ({}, [created("a", volumes=W)], {"a-1": V}, {"a-1": W}),
    "of as many as are missing": ({"scale": 2}, [running("a", 2, volumes=W)], {"a-1": V, "a-3": V}, {"a-2": W, "a-1": V}),
    "not of those that are too many": ({}, [running("a", 1)], {"a-2": V}, {}),
    "not of services that are not declared": ({}, [running("c", volumes=V)], {"c-2": V}, {}),
    "not of one-offs": ({}, [running("a", volumes=V, one_off=True)], {}, {}),
    "not of what is to go": ({}, [running("a", id="gone", volumes=V)], {}, {}),
}  # fmt: skip


@pytest.mark.parametrize("case", VOLUMES)
def test_anonymous_volumes_are_remembered(case):
    said, there, before, expected = VOLUMES[case]
    declared = spec({"a": {}}, {"a": said}, discard={"gone": False})
    assert volumes(declared, present(*there), before) == expected
