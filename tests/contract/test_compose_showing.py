"""What `coracle compose` shows of a project, beside what the real Compose v2 shows of the same one."""

import json
import re
import select
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from contract.composing import Compose, played

FILE = """
services:
  web:
    image: busybox
    init: true
    command: sleep 1000
    ports: ["28080:80", "28081-28083:81-83/udp", "127.0.0.1:29000-29001:29000-29001", "127.0.0.1:28090:90"]
    expose: [99]
    volumes: ["data:/data", "./:/very/long/path/in/it:ro", /anonymous]
  two: {image: busybox, init: true, command: 'sh -c "echo \\"quoted\\"; sleep 1000"', scale: 2}
  done: {image: busybox, command: "sh -c 'echo bye; exit 3'", container_name: showing-named}
  sick: {image: busybox, init: true, command: sleep 1000, healthcheck: {test: [CMD, "false"], interval: 1s, retries: 1}}
volumes: {data: }
"""

SAME = [
    ["ps"],
    ["ps", "--all", "--no-trunc"],
    ["ps", "-aq"],
    ["ps", "--services"],
    ["ps", "two", "web"],
    ["ps", "--status", "exited"],
    ["ps", "--status", "nonsense"],
    ["ps", "--filter", "status=running", "two"],
    ["ps", "--filter", "a=b"],
    ["ps", "--filter", "a"],
    ["ps", "--orphans=false"],
    ["ps", "nix"],
    ["ps", "--format", "table {{.Service}}\\t{{upper .State}}\\t{{.Size}}"],
    ["ps", "--format", "{{.Name}} {{.ExitCode}} {{.Health}} {{.Names}} {{.Mounts}} {{.LocalVolumes}} {{.Networks}} {{.Project}}"],
    ["ps", "--format", "{{range .Publishers}}{{.URL}}:{{.PublishedPort}}->{{.TargetPort}} {{end}}{{json .Publishers}}{{.Publishers}}"],
    ["ps", "--format", '{{if eq .Service "web"}}w{{else if ne .Health ""}}s{{else}}-{{end}}{{.Label "com.docker.compose.service"}}'],
    ["ps", "--format", '{{printf "%s-%d" .Name .ExitCode}}{{- /* no */ -}} {{ .CreatedAt | lower }}'],
    ["ps", "--format", "{{.Name"],
    ["ps", "--format", "{{end}}"],
    ["ps", "--format", "{{nix .Name}}"],
    ["ls", "--filter", "a=b"],
    ["ls", "--filter", "x"],
    ["images"],
    ["images", "-q"],
    ["images", "--format", "json", "web", "done"],
    ["images", "nix"],
    ["port", "web", "80"],
    ["port", "--protocol", "UDP", "web", "82"],
    ["port", "web", "99"],
    ["port", "web", "81"],
    ["port", "--index", "2", "two", "80"],
    ["port", "nix", "80"],
    ["port", "web", "x"],
    ["port", "web"],
    ["top", "done", "two", "web"],  # programs of a health check come and go
    ["top", "nix"],
    ["stats", "a", "b"],
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def busybox(cloud):
    cloud.docker("pull", "busybox")


@pytest.fixture
def theirs(docker, tmp_path):
    yield from played(docker, "v2", tmp_path)


@pytest.fixture
def both(docker, theirs, tmp_path):
    """(the real client, ours), of one project, which the real one has made."""
    theirs.file(FILE)
    theirs("up", "--detach")
    ours = Compose(docker, "ours", tmp_path)
    ours.project = ours.words[-1] = theirs.project
    docker("wait", "showing-named")
    docker.wait_for(lambda: "unhealthy" in theirs("ps", "sick"))
    return theirs, ours


def timeless(text):
    """Without how long something has been so, and what that does to the columns."""
    text = re.sub(r"Less than a second|About a minute|\d+ (second|minute)s?", "T", text)
    text = re.sub(r"\d\d:\d\d:\d\d", "HH:MM:SS", text)
    return re.sub(r" {2,}", "  ", text)


def outcome(compose, words):
    done = compose.attempt(*words)
    return done.returncode, timeless(done.stdout), timeless(done.stderr)


def test_a_project_is_shown_as_compose_v2_shows_it(both, tmp_path_factory):
    theirs, ours = both
    with ThreadPoolExecutor(4) as several:
        expected, found = (list(several.map(partial(outcome, one), SAME)) for one in both)
    differing = [one for one in zip(SAME, expected, found, strict=True) if one[1] != one[2]]
    assert differing == []
    rows = [sorted(map(json.loads, one("ps", "--all", "--format", "json").splitlines()), key=str) for one in both]
    for row in (row for each in rows for row in each):
        row["Labels"] = sorted(row["Labels"].split(","))  # in no order
        row["RunningFor"], row["Status"] = timeless(row["RunningFor"]), timeless(row["Status"])
    assert rows[0] == rows[1]
    listed = [json.loads(one("ls", "--all", "--format", "json", "--filter", f"name={theirs.project}")) for one in both]
    assert listed[0] == listed[1]
    assert theirs.project in ours("ls", "--quiet").split()
    elsewhere = tmp_path_factory.mktemp("nothing")
    theirs.folder = ours.folder = elsewhere  # no file: the labels tell
    for words in (["ps"], ["top", "two"], ["images"]):
        assert outcome(theirs, words) == outcome(ours, words)
    ours.words = ours.words[:-2]
    assert outcome(ours, ["ps"]) == (14, "", "no configuration file provided: not found\n")


def test_what_containers_use_is_shown_once_or_again_and_again(both):
    _, ours = both
    said = ours("stats", "--no-stream", "two")
    head, *rows = said.splitlines()
    assert re.split(" {2,}", head) == ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"]  # fmt: skip
    assert [re.split(" {2,}", row)[1] for row in rows] == [f"{ours.project}-two-1", f"{ours.project}-two-2"]
    for row in rows:
        assert re.search(r"\d+\.\d\d% +[\d.]+[KM]iB / [\d.]+GiB +\d+\.\d\d% +[\d.]+k?B / [\d.]+k?B .* 2$", row), row
    (told,) = map(json.loads, ours("stats", "--no-stream", "--format", "json", "sick").splitlines())
    assert told["Name"] == f"{ours.project}-sick-1"
    going_on = ours.popen("stats", "--format", "{{.Name}}", "sick")
    try:
        assert [going_on.stdout.readline() for _ in range(2)] == [f"{ours.project}-sick-1\n"] * 2
    finally:
        going_on.terminate()
        going_on.communicate()


def test_events_are_shown_as_they_happen(both, docker):
    theirs, ours = both
    (id,) = theirs.ids("web")
    listening = [one.popen("events", "--json", "web") for one in both]
    try:
        docker.wait_for(lambda: docker("kill", "--signal", "CONT", id) and all(map(_has_said, listening)))
        docker("kill", id)
        lines = [next(line for line in map(json.loads, one.stdout) if is_kill(line)) for one in listening]
    finally:
        for one in listening:
            one.terminate()
            one.communicate()
    assert lines[0] == lines[1]
    assert (lines[0]["service"], lines[0]["id"], lines[0]["attributes"]["image"]) == ("web", id, "busybox")
    told = ours("events", "--since", lines[0]["time"], "--until", "0s", "web")
    assert re.match(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{6}} container kill {id} \(image=busybox, name=", told)


def _has_said(process):
    return bool(select.select([process.stdout], [], [], 0.1)[0])


def is_kill(event):
    return event["action"] == "kill" and event["attributes"]["signal"] == "9"


def test_the_version(docker, tmp_path):
    ours = Compose(docker, "ours", tmp_path)
    number = ours("version", "--short").strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", number)
    assert json.loads(ours("version", "--format", "json")) == {"version": f"v{number}"}
    assert number in ours("version")
