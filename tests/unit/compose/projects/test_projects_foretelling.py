"""What a dry run says: the whole way from what there is to what is declared."""

from dataclasses import replace

import pytest

from coracle.compose.projects.foretelling import foretold
from coracle.compose.projects.objects import Going
from coracle.testing.compose import COMPLETED, HEALTHY, RESTARTED, created, exited, present, running, spec

APPLICATION = {
    "db": {"volumes": [{"type": "volume", "source": "data", "target": "/d"}], "networks": {"default": None}},
    "job": {"depends_on": {"db": HEALTHY}},
    "web": {"depends_on": {"db": HEALTHY, "job": COMPLETED}},
}
THINGS = {"networks": {"default": {"name": "demo_default"}}, "volumes": {"data": {"name": "demo_data"}}}


def declared(**more):
    found = spec(APPLICATION, **more)
    return replace(found, model={**found.model, **THINGS})


def told(spec, present, **more):
    *lines, end = foretold(spec, present, {}, **more)
    assert end == {"end": {"exit_code": 0, "error": ""}}
    return [f"{one['id'].removeprefix('Container demo-')} {one['text']}" for one in lines if one["state"] == "done"]


CASES = {
    "from nothing": (
        declared(),
        present(),
        ["Network demo_default Created", 'Volume "demo_data" Created', "job-1 Created", "web-1 Created", "db-1 Created",
         "db-1 Started", "job-1 Started", "web-1 Started"],
    ),
    "nothing differs": (spec({"a": {}, "b": {}}), present(running("a"), running("b")), []),
    "one differs": (spec({"a": {}, "b": {}}), present(running("a", hash="old"), running("b")), ["a-1 Recreated", "a-1 Started"]),
    "one differs, and others start anew with it": (
        spec({"a": {}, "b": {"depends_on": {"a": RESTARTED}}}, {"b": {"again": {"id-b-1": "t1"}, "ends": {"id-b-1": "t1"}}}),
        present(running("a", hash="old"), running("b")),
        ["b-1 Stopped", "a-1 Recreated", "a-1 Started", "b-1 Started"],
    ),
    "too many": (spec({"a": {}}), present(running("a"), running("a", 2)), ["a-2 Stopped", "a-2 Removed"]),
    "to stop": (spec({"a": {}}, {"a": {"want": "stopped", "ends": {"id-a-1": "t1"}}}), present(running("a")), ["a-1 Stopped"]),
    "to restart": (spec({"a": {}}, {"a": {"again": {"id-a-1": "t1"}}}), present(running("a")), ["a-1 Started"]),
    "only to make": (spec({"a": {}}, {"a": {"want": "created"}}), present(), ["a-1 Created"]),
    "away with it": (
        declared(going=Going(volumes=True)),
        present(running("web"), exited("job"), created("db"), networks={"demo_default": ""}, volumes=["demo_data"]),
        ["web-1 Stopped", "web-1 Removed", "job-1 Removed", "db-1 Removed", "Network demo_default Removed",
         "Volume demo_data Removed", "Image demo-web:latest Removed"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_would_be_done(case):
    wanted, there, expected = CASES[case]
    images = ["demo-web"] if wanted.going else []
    assert told(wanted, there, images=images) == expected
