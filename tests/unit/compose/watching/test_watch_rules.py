"""Which files a rule is about, and what is done about a burst of changes."""

import pytest

from coracle.compose.loader import Request, load
from coracle.compose.watching.bursts import LONGEST_S, QUIET_S, Burst
from coracle.compose.watching.decisions import decide, first
from coracle.compose.watching.rules import rules_of
from coracle.core.errors import Malformed, NotFound


@pytest.fixture
def watched(tmp_path):
    def run(text, services=()):
        def read(path):
            if path != "/p/compose.yaml":
                raise NotFound(path)
            return text.replace("BUILD", str(tmp_path))

        (tmp_path / "Dockerfile").write_text("FROM x")
        (tmp_path / ".dockerignore").write_text("docs\n**/*.tmp\n")
        request = Request(environment={}, working_directory="/p", files=["compose.yaml"])
        return rules_of(load(request, read), services)

    return run


@pytest.fixture
def rule(watched, tmp_path):
    def run(fields, path="BUILD"):
        entry = f"{{path: {path}, target: /app, action: sync{fields}}}"
        (found,) = watched(f"services: {{a: {{build: BUILD, develop: {{watch: [{entry}]}}}}}}").rules
        return found

    return run


@pytest.mark.parametrize(
    ("fields", "name", "place"),
    [
        ("", "a.py", "/app/a.py"),
        ("", "deep/er/a.py", "/app/deep/er/a.py"),
        ("", "docs/a", None),
        ("", "deep/x.tmp", None),
        ("", ".git/HEAD", None),
        ("", "deep/.git/HEAD", None),
        ("", ".gitignore", "/app/.gitignore"),
        ("", "a.py~", None),
        ("", ".a.py.swp", None),
        ("", ".#a.py", None),
        ("", "4913", None),
        ("", ".idea/workspace.xml", None),
        (", ignore: node_modules/", "node_modules/x/y", None),
        (", ignore: ['*.log', '!keep.log']", "a.log", None),
        (", ignore: ['*.log', '!keep.log']", "keep.log", "/app/keep.log"),
        (", include: '*.py'", "a.py", "/app/a.py"),
        (", include: '*.py'", "a.txt", None),
        (", include: '**/*.py', ignore: test", "test/a.py", None),
        (", include: '**/*.py', ignore: test", "src/a.py", "/app/src/a.py"),
    ],
)
def test_a_rule_brings_a_file_to_a_place_or_leaves_it(rule, tmp_path, fields, name, place):
    found, path = rule(fields), str(tmp_path / name)
    assert (found.place_of(path) if found.matches(path) else None) == place


def test_the_file_that_a_rule_names_is_its_own(rule, tmp_path):
    found = rule("", "BUILD/x.tmp")
    assert found.matches(str(tmp_path / "x.tmp"))
    assert found.place_of(str(tmp_path / "x.tmp")) == "/app"
    assert not found.matches(str(tmp_path / "x.tmp2"))


@pytest.mark.parametrize(
    ("fields", "name", "passed"),
    [
        ("", "src", False),
        ("", "docs", True),
        ("", ".git", True),
        (", ignore: node_modules/", "node_modules/deep", True),
        (", ignore: ['x', '!x/keep']", "x", False),
        ("", "../elsewhere", True),
        ("", "..", False),
    ],
)
def test_a_directory_is_passed_over_where_nothing_in_it_counts(rule, tmp_path, fields, name, passed):
    import os.path

    assert rule(fields).passes_over(os.path.normpath(tmp_path / name)) == passed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "services: {a: {image: x}}",
            "none of the selected services is configured for watch, consider setting an 'develop' section",
        ),
        (
            "services: {a: {image: x, develop: {watch: [{path: ., action: rebuild}]}}}",
            'can\'t watch service "a" with action rebuild without a build context',
        ),
        (
            "services: {a: {image: x, develop: {watch: [{path: ., action: sync}]}}}",
            'can\'t watch with action "sync" on service a without a target',
        ),
        (
            "services: {a: {image: x, develop: {watch: [{path: ., target: /x, action: sync+exec}]}}}",
            'can\'t watch with action "sync\\+exec" on service a without a command',
        ),
    ],
)
def test_what_cannot_be_watched_is_refused(watched, text, message):
    with pytest.raises(Malformed, match=f"^{message}$"):
        watched(text)


def test_what_is_mounted_need_not_be_brought(watched):
    text = """\
services:
  a:
    image: x
    volumes: ['./src:/src']
    develop:
      watch:
        - {path: ./src/deep, action: sync, target: /src/deep}
        - {path: ./src, action: restart}
"""
    found = watched(text)
    assert found.warnings == ["path '/p/src/deep' also declared by a bind mount volume, this path won't be monitored!"]
    assert [rule.action for rule in found.rules] == ["restart"]


MANY = """\
services:
  a:
    build: BUILD
    develop:
      watch:
        - {path: BUILD/src, action: sync, target: /src}
        - {path: BUILD/src/conf, action: sync+restart, target: /conf}
        - {path: BUILD/src/hook, action: sync+exec, target: /hook, exec: {command: reload}}
        - {path: BUILD/Dockerfile, action: rebuild}
  b:
    image: x
    develop:
      watch:
        - {path: BUILD/src, action: restart}
        - {path: BUILD/start, action: sync, target: /s, initial_sync: true}
"""


def paths(tmp_path, *names):
    return {str(tmp_path / name) for name in names}


def test_a_burst_becomes_each_thing_once(watched, tmp_path):
    work = decide(watched(MANY).rules, paths(tmp_path, "src/one", "src/conf/two", "src/hook/three", "src/hook/four"))
    assert work.rebuild == []
    assert sorted(work.sync) == ["a"]
    assert work.sync["a"][str(tmp_path / "src/conf/two")] == ["/src/conf/two", "/conf/two"]
    assert len(work.sync["a"]) == 4
    assert work.restart == ["a", "b"]
    assert [(service, hook["command"]) for service, hook in work.hooks] == [("a", ["reload"])]


def test_a_build_makes_up_for_everything_else(watched, tmp_path):
    work = decide(watched(MANY).rules, paths(tmp_path, "src/conf/two", "Dockerfile"))
    assert (work.rebuild, work.sync, work.restart, work.hooks) == (["a"], {}, ["b"], [])


def test_a_burst_that_is_nobodys_asks_for_nothing(watched, tmp_path):
    work = decide(watched(MANY).rules, paths(tmp_path, "other", "src/.x.swp"))
    assert (work.rebuild, work.sync, work.restart, work.hooks) == ([], {}, [], [])


def test_only_what_asks_for_it_is_brought_at_first(watched, tmp_path):
    present = paths(tmp_path, "src/one", "start/two", "start/Dockerfile", "start/compose.yaml")
    assert first(watched(MANY).rules, present).sync == {"b": {str(tmp_path / "start/two"): ["/s/two"]}}


def test_services_can_be_chosen(watched):
    assert {rule.service for rule in watched(MANY, ["b"]).rules} == {"b"}


def test_a_burst_is_over_when_it_is_quiet():
    burst = Burst()
    assert burst.wait_s(0) is None
    burst.add(["a"], 10)
    burst.add(["b"], 10 + QUIET_S / 2)
    assert burst.wait_s(10 + QUIET_S) == pytest.approx(QUIET_S / 2)
    assert burst.wait_s(10 + QUIET_S * 2) == 0
    assert burst.take() == {"a", "b"}
    assert burst.wait_s(20) is None


def test_a_burst_that_goes_on_is_taken_up_all_the_same():
    burst = Burst()
    for step in range(100):
        burst.add(["a"], step * QUIET_S / 2)
    assert burst.wait_s(LONGEST_S) == 0


def test_nothing_begins_no_burst():
    burst = Burst()
    burst.add([], 5)
    assert burst.wait_s(5) is None
