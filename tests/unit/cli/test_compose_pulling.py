"""Bringing in and sending images: what is skipped and why, what fails and who may, what is said of layers."""

import io
import json

import pytest

from coracle.cli.compose.chosen import Chosen
from coracle.cli.compose.progress import Event
from coracle.cli.compose.pulling import pull_images, pullable, push_images
from coracle.cli.docker.client import Refused
from coracle.compose.building import Present
from coracle.compose.loader import Request, load

FILE = """
name: demo
services:
  a: {image: "one:1"}
  b: {image: "one:1"}
  c: {build: .}
  d: {image: two, build: .}
  e: {image: "three:3", pull_policy: missing}
  f: {image: latest, pull_policy: missing}
  g: {image: four, pull_policy: never}
"""
REQUEST = Request({}, "/p", files=["compose.yaml"])
PROJECT = load(REQUEST, lambda path: FILE)
LAYER = {"id": "l1", "status": "Downloading", "progress": "[=> ] 1B/2B", "progressDetail": {"current": 1, "total": 2}}


class Said:
    def __init__(self):
        self.events = []

    def say(self, event):
        self.events.append(event)

    def close(self):
        pass

    def of(self, name):
        return [(event.text, event.status, event.state) for event in self.events if event.id == name]


class Docker:
    """Answers with the lines that are given for an image; a text is its refusal."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def send(self, method, path, query, pieces, headers):
        name = query.get("fromImage") or path.split("/")[2]
        self.asked.append((method, path, query))
        answer = self.answers.get(name, [])
        if isinstance(answer, str):
            raise Refused(answer, 404)
        return io.BytesIO(b"".join(json.dumps(line).encode() + b"\r\n" for line in answer))


def one_by_one():
    return Chosen(REQUEST, parallel=1)


@pytest.mark.parametrize(
    ("options", "wanted", "skipped"),
    [
        ({}, ["a", "d", "e", "f"], {"b": "Skipped - Image is already being pulled by a", "g": "Skipped"}),
        ({"ignore_buildable": True}, ["a", "e", "f"], {"d": "Skipped - Image can be built"}),
        ({"policy": "always"}, ["a", "d", "e", "f", "g"], {"c": "Skipped - No image to be pulled"}),
        ({"policy": "missing"}, ["d", "e", "f", "g"], {"a": "Skipped - Image is already present locally"}),
    ],
)
def test_what_is_brought_in(options, wanted, skipped):
    said, present = Said(), {"one:1": Present("sha256:1"), "latest": Present("sha256:2")}
    assert pullable(PROJECT, list(PROJECT.services), present, said, **options) == wanted
    assert {name: said.of(name) for name in skipped} == {name: [(text, "", "done")] for name, text in skipped.items()}


def test_an_image_that_is_there_is_left_alone():
    said = Said()
    assert pullable(PROJECT, ["e"], {"three:3": Present("sha256:1")}, said) == []
    assert said.of("e") == [("Skipped - Image is already present locally", "", "done")]


def test_layers_are_told_beneath_their_service():
    done = {"id": "l1", "status": "Pull complete", "progressDetail": {}}
    docker, said = Docker({"one": [{"status": "Pulling from one", "id": "1"}, LAYER, done]}), Said()
    assert pull_images(one_by_one(), docker, PROJECT, ["a"], said, layers=True) == {}
    assert docker.asked == [("POST", "/images/create", {"fromImage": "one", "tag": "1", "platform": None})]
    assert said.events == [
        Event("a", "", text="Pulling"),
        Event("l1", "[=> ] 1B/2B", "working", "Downloading", parent="a"),
        Event("l1", "", "done", "Pull complete", parent="a"),
        Event("a", "", "done", "Pulled"),
    ]


def test_failures_are_collected():
    """One that can be built is only warned of; an error in the middle counts as one at the start."""
    docker, said = Docker({"two": "denied", "one": [LAYER, {"error": "broken", "errorDetail": {}}]}), Said()
    failures = pull_images(one_by_one(), docker, PROJECT, ["a", "d", "e"], said, layers=False)
    assert failures == {"a": "broken", "d": "denied"}
    assert said.of("a") == [("Pulling", "", "working"), ("Error", "broken", "error")]
    assert said.of("d") == [("Pulling", "", "working"), ("Warning", "denied", "warning")]
    assert said.of("e") == [("Pulling", "", "working"), ("Pulled", "", "done")]


def test_a_dry_run_asks_nobody():
    docker = Docker({"one": "denied"})
    assert pull_images(Chosen(REQUEST, dry_run=True), docker, PROJECT, ["a"], Said(), layers=True) == {}
    assert not docker.asked


def test_only_what_is_built_under_a_name_is_pushed():
    docker, said = Docker({}), Said()
    assert push_images(one_by_one(), docker, PROJECT, list(PROJECT.services), said) == {}
    assert docker.asked == [("POST", "/images/two/push", {"tag": "latest"})]
    assert said.of("c") == [("Skipped", "", "done")]
    assert said.of("d")[-1] == ("Pushed", "", "done")
    assert push_images(one_by_one(), Docker({"two": "denied"}), PROJECT, ["d"], Said()) == {"d": "denied"}
