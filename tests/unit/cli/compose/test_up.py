"""What `up` decides by itself: whose output is shown, when a container's end ends everything, what contradicts what."""

import re

import pytest
from click.testing import CliRunner

from coracle.cli.compose.attached import Attached, Verdict
from coracle.cli.compose.chosen import Chosen
from coracle.cli.compose.declaring import Outcome
from coracle.cli.compose.following import Ended
from coracle.cli.compose.making import Making, scales
from coracle.cli.compose.printing import Printer
from coracle.cli.compose.up import Attaching
from coracle.cli.failure import Failure
from coracle.cli.main import main
from coracle.compose.loader import Request, load

FILE = """
services:
  web: {image: x, depends_on: [db]}
  db: {image: x, attach: false}
  cache: {image: x}
"""


@pytest.fixture
def project():
    return load(
        Request(environment={}, working_directory="/p", files=["compose.yaml"]),
        lambda path: FILE if "compose" in path else "",
    )


@pytest.mark.parametrize(
    ("services", "options", "shown"),
    [
        pytest.param([], {}, ["cache", "web"], id="all but those that want not to be"),
        pytest.param(["web"], {}, ["web"], id="those that were named"),
        pytest.param(
            ["cache"], {"attach_dependencies": True}, ["cache"], id="without dependencies there is nothing more"
        ),
        pytest.param([], {"attach": ["db"]}, ["db"], id="only those asked for, even what wants not to be"),
        pytest.param([], {"no_attach": ["web"]}, ["cache"], id="without those that are not to be"),
        pytest.param(["web"], {"no_attach": ["web"]}, [], id="nobody"),
    ],
)
def test_whose_output_is_shown(project, services, options, shown):
    assert Attaching(**options).shown(project, services) == shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attach": ["cache", "no"]}, "cannot attach to services not included in up: cache, no"),
        ({"exit_code_from": "cache"}, "no such service: cache"),
    ],
)
def test_services_that_take_no_part(project, options, message):
    with pytest.raises(Failure, match=message):
        Attaching(**options).shown(project, ["web"])


ENDS = [Ended("c-1", "c", 0), Ended("a-1", "a", 3), Ended("b-1", "b", 143)]


@pytest.mark.parametrize(
    ("verdict", "stops_at", "code"),
    [
        pytest.param(Verdict(), None, 0, id="nobody's end matters"),
        pytest.param(Verdict("any"), 0, 0, id="the first end, with its code"),
        pytest.param(Verdict("failure"), 1, 3, id="the first failure, with its code"),
        pytest.param(Verdict("any", "b"), 0, 143, id="the first end, with the code of another that ends later"),
        pytest.param(Verdict("any", "b", {"c"}), 1, 143, id="the first end but those that the other waits for"),
        pytest.param(Verdict("any", "b", {"a", "c"}), 1, 143, id="the bad end of one that the other waits for"),
        pytest.param(Verdict("failure", "c"), 1, 0, id="the first failure, with the code of another that ended before"),
    ],
)
def test_when_everything_is_stopped(verdict, stops_at, code):
    asked = [verdict.hear(ended) for ended in ENDS]
    assert asked == [number == stops_at for number in range(len(ENDS))]
    assert verdict.code == code


def test_the_first_end_of_a_service_counts():
    verdict = Verdict("any", "a")
    for code in (7, 8):
        verdict.hear(Ended("a-1", "a", code))
    assert verdict.code == 7


class Empty(Chosen):
    """Of a cloud without containers."""

    def docker(self):
        return self

    def call(self, method, path, query):
        return []


def test_a_service_without_a_container_failed(tmp_path, project):
    chosen = Empty(Request(working_directory=str(tmp_path), environment={}))
    attached = Attached(chosen, project, Printer(colour=False), Verdict("any", "web"), [], [], 0.0)
    attached._stopped(Outcome())
    assert attached.verdict.code == 1


def test_scales():
    assert scales(["web=3", "db=0"], "wrong: {}") == {"web": 3, "db": 0}


@pytest.mark.parametrize("text", ["web", "web=", "web=-1", "web=x", "=3", "web=1.5", "web=²"])
def test_wrong_scales(text):
    with pytest.raises(Failure, match=re.escape(text) + "|invalid number"):
        scales([text], "wrong: {}")


# what is said before any file is read
CONTRADICTIONS = [
    (["up", "-d", "--abort-on-container-exit"], "--detach cannot be combined with --abort-on-container-exit"),
    (["up", "-d", "--attach", "a"], "--detach cannot be combined with"),
    (["up", "-d", "--watch"], "--detach cannot be combined with"),
    (["up", "--wait", "--attach", "a"], "--wait cannot be combined with"),
    (
        ["up", "--abort-on-container-exit", "--abort-on-container-failure"],
        "--abort-on-container-failure cannot be combined",
    ),
    (["up", "--attach", "a", "--attach-dependencies"], "cannot combine --attach and --attach-dependencies"),
    (["up", "--force-recreate", "--no-recreate"], "--force-recreate and --no-recreate are incompatible"),
    (["up", "--always-recreate-deps", "--no-recreate"], "--always-recreate-deps and --no-recreate are incompatible"),
    (["up", "-V", "--no-recreate"], "--no-recreate and --renew-anon-volumes are incompatible"),
    (["up", "--build", "--no-build"], "--build and --no-build are incompatible"),
    (["up", "--no-build", "--watch"], "--no-build and --watch are incompatible"),
    (["up", "--pull", "foo"], 'invalid --pull option "foo"'),
    (["up", "--menu"], "--menu is not supported"),
    (["create", "--build", "--no-build"], "--build and --no-build are incompatible"),
    (["down", "--rmi", "foo"], 'invalid value for --rmi: "foo"'),
    (["scale"], "requires at least 1 arg"),
    (["scale", "web"], "invalid scale specifier: web"),
    (["wait"], "requires at least 1 argument"),
    (["--progress", "foo", "config"], 'unsupported --progress value "foo"'),
    (["--ansi", "never", "--progress", "tty", "config"], "can't use --progress tty"),
    (["--ansi", "always", "--progress", "plain", "config"], "can't use --progress plain"),
    (["--compatibility", "config"], "--compatibility is not supported"),
    (["--dry-run", "kill"], "--dry-run is not supported by kill"),
]


@pytest.mark.parametrize(
    ("words", "message"), CONTRADICTIONS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_contradictions(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["compose", *words])
    assert done.exit_code == 1, done.output
    assert message in done.output


def test_an_error_is_json_where_progress_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["compose", "--progress", "json", "up"])
    assert (done.exit_code, done.output) == (
        14,
        '{"error":true,"message":"no configuration file provided: not found"}\n',
    )


@pytest.mark.parametrize(
    "variables", [{"COMPOSE_PROGRESS": "foo"}, {"COMPOSE_PARALLEL_LIMIT": "x"}, {"COMPOSE_COMPATIBILITY": "1"}]
)
def test_options_come_from_variables_too(variables, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    assert CliRunner().invoke(main, ["compose", "config"]).exit_code == 1


def test_orphans_are_removed_where_a_variable_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compose.yaml").write_text(FILE)
    both = {"COMPOSE_IGNORE_ORPHANS": "1", "COMPOSE_REMOVE_ORPHANS": "true"}
    done = CliRunner().invoke(main, ["compose", "up"], env=both)
    assert "cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans" in done.output


def test_what_the_options_of_making_say():
    plainly = Chosen(Request(environment={}, working_directory="/nowhere"))
    words = Making(force_recreate=True, scale=("web=2",)).words(plainly)
    assert words == {
        "scale": {"web": 2},
        "recreate": "force",
        "recreate_deps": "changed",
        "renew_volumes": False,
        "remove_orphans": False,
        "all_resources": False,
    }
    assert Making(no_recreate=True).words(plainly)["recreate_deps"] == "never"
