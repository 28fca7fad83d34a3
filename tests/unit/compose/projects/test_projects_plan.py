"""What is to be done about a project: declared and present -> steps."""

from dataclasses import replace

import pytest

from coracle.compose.create.networks import network_body
from coracle.compose.projects.objects import There, Trial
from coracle.compose.projects.plan import plan
from coracle.testing.compose import (
    COMPLETED,
    HEALTHY,
    RESTARTED,
    STARTED,
    created,
    exited,
    model,
    present,
    running,
    spec,
    words,
)

TRIAL = {"trial": Trial(there=There())}
WEB_ON_DB = {"db": {}, "web": {"depends_on": {"db": HEALTHY}}}
PAIR = {"db": {}, "web": {"depends_on": {"db": STARTED}}}

CASES = {
    "nothing is there: everything is made": (spec(PAIR), present(), ["Create db-1", "Create web-1"]),
    "what was made starts, dependencies first": (
        spec(PAIR),
        present(created("db"), created("web")),
        ["Start db-1"],
    ),
    "one that depends starts when the other has": (
        spec(PAIR),
        present(running("db"), created("web")),
        ["Start web-1"],
    ),
    "everything runs: nothing": (spec(PAIR), present(running("db"), running("web")), []),
    "a paused container runs": (spec({"a": {}}), present(running("a", state="paused")), []),
    "a restarting container is its policy's business": (spec({"a": {}}), present(running("a", state="restarting")), []),
    "one that ended by itself stays ended": (spec({"a": {}}), present(exited("a")), []),
    "one whose end was the machine's starts": (spec({"a": {}}), present(exited("a", lost=True)), ["Start a-1"]),
    "one whose run counts as over starts": (
        spec({"a": {}}, {"a": {"again": {"id-a-1": "t1"}}}),
        present(exited("a")),
        ["Start a-1"],
    ),
    "a later run of it does not count": (
        spec({"a": {}}, {"a": {"again": {"id-a-1": "t0"}}}),
        present(exited("a")),
        [],
    ),
    "the lowest free numbers are taken": (
        spec({"a": {}}, {"a": {"scale": 3}}),
        present(running("a", 2)),
        ["Create a-1", "Create a-3"],
    ),
    "the highest numbers go": (
        spec({"a": {}}, {"a": {"scale": 1}}),
        present(running("a", 1), running("a", 2), running("a", 3)),
        ["Remove a-2", "Remove a-3"],
    ),
    "those out of date go first": (
        spec({"a": {}}, {"a": {"scale": 1}}),
        present(running("a", 1, hash="old"), running("a", 2)),
        ["Remove a-1"],
    ),
    "scale 0 takes all away": (spec({"a": {}}, {"a": {"scale": 0}}), present(running("a")), ["Remove a-1"]),
    "one out of date is made anew": (spec({"a": {}}), present(running("a", hash="old")), ["Recreate a-1"]),
    "unless it is accepted": (
        spec({"a": {}}, {"a": {"accepts": ("old",)}}),
        present(running("a", hash="old")),
        [],
    ),
    "one that is to be made anew is, though up to date": (
        spec({"a": {}}, {"a": {"anew": ("id-a-1",)}}),
        present(running("a")),
        ["Recreate a-1"],
    ),
    "the second half of a change that was cut off": (
        spec({"a": {}}),
        present(running("a", hash="old", created_at="1"), created("a", id="new", created_at="2")),
        ["Replace a-1"],
    ),
    "a successor of no use goes": (
        spec({"a": {}}),
        present(running("a", created_at="1"), created("a", id="new", created_at="2", hash="other")),
        ["Remove a-1"],
    ),
    "a successor left alone takes the name": (
        spec({"a": {}}),
        present(created("a", name="0123_demo-a-1")),
        ["Rename a-1"],
    ),
    "stop: those that depend first": (
        spec(PAIR, {name: {"want": "stopped", "ends": {f"id-{name}-1": "t1"}} for name in PAIR}),
        present(running("db"), running("web")),
        ["Stop web-1"],
    ),
    "stop: then the others": (
        spec(PAIR, {name: {"want": "stopped", "ends": {f"id-{name}-1": "t1"}} for name in PAIR}),
        present(running("db"), exited("web")),
        ["Stop db-1"],
    ),
    "stopped is not undone by a start of somebody's": (
        spec({"a": {}}, {"a": {"want": "stopped", "ends": {"id-a-1": "t1"}}}),
        present(running("a", run="t2")),
        [],
    ),
    "a stopped one that is gone stays away": (spec({"a": {}}, {"a": {"want": "stopped"}}), present(), []),
    "created is made, not started": (spec({"a": {}}, {"a": {"want": "created"}}), present(created("a")), []),
    "restart: in the order of dependencies": (
        spec(PAIR, {name: {"again": {f"id-{name}-1": "t1"}} for name in PAIR}),
        present(running("db"), running("web")),
        ["Restart db-1"],
    ),
    "restart: then the dependents": (
        spec(PAIR, {name: {"again": {f"id-{name}-1": "t1"}} for name in PAIR}),
        present(running("db", run="t2"), running("web")),
        ["Restart web-1"],
    ),
    "one that starts anew with another stops before that is made anew": (
        spec(
            {"db": {}, "web": {"depends_on": {"db": RESTARTED}}},
            {"web": {"again": {"id-web-1": "t1"}, "ends": {"id-web-1": "t1"}}},
        ),
        present(running("db", hash="old"), running("web")),
        ["Stop web-1"],
    ),
    "and the other is made anew then": (
        spec(
            {"db": {}, "web": {"depends_on": {"db": RESTARTED}}},
            {"web": {"again": {"id-web-1": "t1"}, "ends": {"id-web-1": "t1"}}},
        ),
        present(running("db", hash="old"), exited("web")),
        ["Recreate db-1"],
    ),
    "on trial nothing starts before all is made": (
        spec({"a": {}, "b": {}}, **TRIAL),
        present(created("a")),
        ["Create b-1"],
    ),
    "later it does": (spec({"a": {}, "b": {}}), present(created("a")), ["Create b-1", "Start a-1"]),
    "discarded: those that depend first": (
        spec(PAIR, discard={"id-db-1": False, "id-web-1": False}, services={}),
        present(running("db"), running("web")),
        ["Remove web-1"],
    ),
    "containers of services that are not declared are left alone": (
        spec({"a": {}}, services={}),
        present(running("a"), running("stranger")),
        [],
    ),
    "one-off containers are left alone": (spec({"a": {}}), present(running("a"), running("a", 0, one_off=True)), []),
    "alone: it waits for nothing": (
        spec(WEB_ON_DB, {"web": {"alone": True}}),
        present(running("db", health="starting"), created("web")),
        ["Start web-1"],
    ),
    "of what is only known by its labels nothing is made": (
        spec({"a": {}}, {"a": {"hash": ""}}, borrowed=True),
        present(),
        [],
    ),
    "taken back: what came since goes": (
        spec({"a": {}, "b": {}}, services={}, undo=There(containers={"id-a-1": "t1"})),
        present(running("a"), running("b")),
        ["Remove b-1"],
    ),
    "a linked container has to be there first": (
        spec({"db": {}, "web": {"links": ["db"], "depends_on": {"db": RESTARTED}}}),
        present(),
        ["Create db-1"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_steps(case):
    declared, there, expected = CASES[case]
    assert words(plan(declared, there, {})) == sorted(expected)


WAITS = {
    "not healthy yet": ({"health": "starting"}, [], "Waiting", ""),
    "healthy": ({"health": "healthy"}, ["Start web-1"], "Healthy", ""),
    "unhealthy": ({"health": "unhealthy"}, [], "Error", "dependency failed to start: container demo-db-1 is unhealthy"),
    "no health check": (
        {},
        [],
        "Error",
        "dependency failed to start: container demo-db-1 has no healthcheck configured",
    ),
    "ended": (
        {"state": "exited", "exit_code": 3},
        [],
        "Error",
        "dependency failed to start: container demo-db-1 exited (3)",
    ),
}


@pytest.mark.parametrize("case", WAITS)
def test_waiting_for_health(case):
    more, steps, word, failure = WAITS[case]
    found = plan(spec(WEB_ON_DB), present(running("db", **more), created("web")), {})
    assert words(found) == steps
    assert found.waits == (("Container demo-db-1", word),)
    doubtful = "has no healthcheck" in failure
    assert (found.doubts if doubtful else found.failures) == ((failure,) if failure else ())
    assert (found.failures if doubtful else found.doubts) == ()


ENDS = {
    "still running": (running("job"), [], ""),
    "done": (exited("job"), ["Start web-1"], ""),
    "failed": (exited("job", exit_code=2), [], 'service "job" didn\'t complete successfully: exit 2'),
}


@pytest.mark.parametrize("case", ENDS)
def test_waiting_for_completion(case):
    job, steps, failure = ENDS[case]
    declared = spec({"job": {}, "web": {"depends_on": {"job": COMPLETED}}})
    found = plan(declared, present(job, created("web")), {})
    assert words(found) == steps
    assert found.failures == ((failure,) if failure else ())


def test_a_job_that_is_to_run_again_is_not_done():
    declared = spec({"job": {}, "web": {"depends_on": {"job": COMPLETED}}}, {"job": {"again": {"id-job-1": "t1"}}})
    found = plan(declared, present(exited("job"), created("web")), {})
    assert words(found) == ["Start job-1"]
    assert found.pending


def test_a_dependency_that_is_not_required_is_dispensed_with():
    declared = spec({"db": {}, "web": {"depends_on": {"db": {**HEALTHY, "required": False}}}})
    found = plan(declared, present(running("db", health="unhealthy"), created("web")), {})
    assert words(found) == ["Start web-1"]
    said = 'Skipped: optional dependency "db" failed to start: container demo-db-1 is unhealthy'
    assert found.skipped == (("Container demo-db-1", said),)
    assert not found.failures


def test_a_dependency_of_scale_0_is_not_waited_for():
    declared = spec(WEB_ON_DB, {"db": {"scale": 0}})
    assert words(plan(declared, present(created("web")), {})) == ["Start web-1"]


def test_a_dependency_that_is_not_there_is_named():
    declared = spec(WEB_ON_DB)
    declared = replace(declared, services={"web": declared.services["web"]})
    found = plan(declared, present(created("web")), {})
    assert found.failures == ("web is missing dependency db",)


def test_one_that_ended_by_itself_is_not_made_anew():
    declared = spec({"a": {}}, {"a": {"scale": 3}})
    assert words(plan(declared, present(running("a", 1)), {"a-2": 0})) == ["Create a-3"]


GONE = {
    "one that was done before it was removed": (0, ["Start web-1"], ()),
    "one that had failed": (2, [], ('service "job" didn\'t complete successfully: exit 2',)),
}


@pytest.mark.parametrize("case", GONE)
def test_a_job_that_was_removed_after_it_ended_is_remembered(case):
    code, steps, failures = GONE[case]
    declared = spec({"job": {}, "web": {"depends_on": {"job": COMPLETED}}})
    found = plan(declared, present(created("web")), {"job-1": code})
    assert (words(found), found.failures) == (steps, failures)


def test_networks_and_volumes_come_first():
    services = {"a": {"networks": {"front": None}, "volumes": [{"type": "volume", "source": "data", "target": "/d"}]}}
    things = {"networks": {"front": {"name": "demo_front"}}, "volumes": {"data": {"name": "demo_data"}}}
    declared = spec(services, model={**model(**services), **things})
    assert words(plan(declared, present(), {})) == ["MakeNetwork network front", "MakeVolume volume data"]
    made = present(networks={"demo_front": ""}, volumes=["demo_data"])
    assert words(plan(declared, made, {})) == ["Create a-1"]


def test_what_others_made_is_used():
    services = {"a": {"networks": {"front": None}, "volumes": [{"type": "volume", "source": "data", "target": "/d"}]}}
    things = {"networks": {"front": {"name": "shared"}}, "volumes": {"data": {"name": "mine"}}}
    declared = spec(services, model={**model(**services), **things})
    there = replace(present(), other_networks={"shared"}, other_volumes={"mine"})
    assert words(plan(declared, there, {})) == ["Create a-1"]


def test_networks_and_volumes_that_none_uses_come_when_asked_for():
    things = {
        "networks": {"n": {"name": "demo_n"}},
        "volumes": {"v": {"name": "demo_v"}, "w": {"name": "w", "external": True}},
    }
    declared = replace(spec({}), model={**model(), **things})
    assert words(plan(declared, present(), {})) == []
    asked = replace(declared, all_resources=True)
    assert words(plan(asked, present(), {})) == ["MakeNetwork network n", "MakeVolume volume v"]


def test_a_network_that_is_another_one_now_is_made_anew_when_nobody_runs_on_it():
    services = {"a": {"networks": {"front": None}}}
    declared = spec(services, model={**model(**services), "networks": {"front": {"name": "demo_front"}}})
    hash = network_body(declared.model, "front")["Labels"]["io.coracle.compose.hash"]
    stale, on_it = {"demo_front": "old"}, {"networks": ("demo_front",), "hash": "old"}
    found = plan(declared, present(running("a", **on_it), networks=stale), {})
    assert words(found) == ["Stop a-1"]
    assert words(plan(declared, present(exited("a", **on_it), networks=stale), {})) == ["DropNetwork network front"]
    there = present(exited("a", **on_it), networks=stale)
    assert words(plan(declared, there, {}, busy={"a-1"})) == []  # it says that it ended, and is not done with it yet
    assert words(plan(declared, present(exited("a", **on_it)), {})) == ["MakeNetwork network front"]
    assert words(plan(declared, present(exited("a", **on_it), networks={"demo_front": hash}), {})) == ["Recreate a-1"]


def test_one_made_of_anothers_parts_is_made_anew_with_it():
    services = {"db": {}, "web": {"network_mode": "service:db", "depends_on": {"db": RESTARTED}}}
    declared = spec(services)
    first = plan(declared, present(running("db")), {})
    assert words(first) == ["Create web-1"]
    label = first.steps[0].hash
    there = present(running("db"), running("web", hash=label))
    assert words(plan(declared, there, {})) == []
    other = present(running("db", id="another"), running("web", hash=label))
    assert words(plan(declared, other, {})) == ["Recreate web-1"]
    assert words(plan(declared, present(running("web", hash=label)), {})) == ["Create db-1"]
