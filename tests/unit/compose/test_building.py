"""Which images are brought in and built, in which order, and what is asked of the builder."""

import pytest

from coracle.compose.building import BuildOptions, Present, build_query, buildable, to_build, to_pull
from coracle.compose.loader import Request, load
from coracle.core.errors import Malformed

NOW_S = 1_800_000_000.0
AN_HOUR_OLD, TWO_DAYS_OLD = (
    Present("sha256:1", "2027-01-15T07:00:00.123456789Z"),
    Present("sha256:1", "2027-01-13T08:00:00Z"),
)


def project(services):
    text = f"name: demo\nservices:\n{services}"
    return load(Request({}, "/p", files=["compose.yaml"]), lambda path: text)


@pytest.mark.parametrize(
    ("policy", "override", "present", "pulled"),
    [
        ("", "", None, True),
        ("", "", AN_HOUR_OLD, False),
        ("missing", "", AN_HOUR_OLD, False),
        ("always", "", AN_HOUR_OLD, True),
        ("never", "", None, False),
        ("build", "", None, False),
        ("daily", "", AN_HOUR_OLD, False),
        ("daily", "", TWO_DAYS_OLD, True),
        ("daily", "", None, True),
        ("weekly", "", TWO_DAYS_OLD, False),
        ("every_30m", "", AN_HOUR_OLD, True),
        ("every_2h", "", AN_HOUR_OLD, False),
        ("refresh", "", TWO_DAYS_OLD, True),
        ("daily", "", Present("sha256:1"), True),
        ("never", "always", AN_HOUR_OLD, True),
        ("always", "never", None, False),
    ],
)
def test_when_an_image_is_brought_in(policy, override, present, pulled):
    given = project(f"  a: {{image: x{f', pull_policy: {policy}' if policy else ''}}}\n")
    there = {"x": present} if present else {}
    assert to_pull(given, ["a"], there, NOW_S, override) == (["a"] if pulled else [])


def test_an_image_is_brought_in_once():
    given = project("  a: {image: x}\n  b: {image: x}\n  c: {build: .}\n")
    assert to_pull(given, ["a", "b", "c"], {}, NOW_S) == ["a"]


def test_a_policy_that_is_none():
    with pytest.raises(Malformed, match="invalid pull_policy every_5w5"):
        to_pull(project("  a: {image: x, pull_policy: every_5w5}\n"), ["a"], {"x": AN_HOUR_OLD}, NOW_S)


BUILT = "  a: {build: ., depends_on: [c]}\n  b: {image: x}\n  c: {build: ./c, image: y}\n  d: {build: ., image: y}\n"


@pytest.mark.parametrize(
    ("build", "override", "present", "built"),
    [
        (None, "", {}, ["c", "a"]),
        (None, "", {"demo-a": AN_HOUR_OLD}, ["c"]),
        (None, "", {"demo-a": AN_HOUR_OLD, "y": AN_HOUR_OLD}, []),
        (None, "build", {"demo-a": AN_HOUR_OLD, "y": AN_HOUR_OLD}, ["c", "a"]),
        (True, "", {"demo-a": AN_HOUR_OLD, "y": AN_HOUR_OLD}, ["c", "a"]),
        (False, "", {}, []),
    ],
)
def test_what_is_built_first(build, override, present, built):
    given = project(BUILT)
    assert to_build(given, given.services, present, build, override) == built


def test_only_the_services_that_are_asked_for():
    assert to_build(project(BUILT), ["a"], {}) == ["a"]
    assert buildable(project(BUILT), "y")
    assert not buildable(project(BUILT), "x")


def test_the_builders_query():
    given = project(
        "  a: {image: i, platform: linux/amd64, build: {context: ., args: [A=1, B=2], labels: [l=1], tags: [t, i], "
        "target: s, network: host, no_cache: true, shm_size: 1m, extra_hosts: ['h:1.2.3.4', 'i=::1'], "
        "ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}}}\n"
    )
    query = build_query(given, "a", "Dockerfile", BuildOptions({"B": "3"}, pull=True, memory_bytes=7))
    assert {key: value for key, value in query.items() if value not in (None, False)} == {
        "version": "1",
        "t": ("i", "t"),
        "dockerfile": "Dockerfile",
        "buildargs": {"A": "1", "B": "3"},
        "labels": {"l": "1", "com.docker.compose.image.builder": "classic"},
        "target": "s",
        "networkmode": "host",
        "extrahosts": "h:1.2.3.4,i:::1",
        "shmsize": 1 << 20,
        "ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}, {"Name": "nproc", "Soft": 3, "Hard": 3}],
        "platform": "linux/amd64",
        "memory": 7,
        "nocache": True,
        "pull": True,
        "rm": True,
        "forcerm": True,
    }
    plain = build_query(project("  a: {build: .}\n"), "a", "D")
    assert (plain["t"], plain["platform"], plain["nocache"], plain["pull"]) == (("demo-a",), None, False, False)
