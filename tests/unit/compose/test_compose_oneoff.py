"""A service as `run` changes it."""

import pytest

from coracle.compose.oneoff import Changes, changed
from coracle.compose.project import Project
from coracle.core.errors import Malformed

SERVICE = {
    "image": "x",
    "command": ["from", "file"],
    "entrypoint": ["file"],
    "user": "one",
    "working_dir": "/one",
    "environment": {"A": "file", "B": "file"},
    "labels": {"a": "file"},
    "ports": [{"target": 80, "published": "80"}],
    "cap_add": ["NET_ADMIN", "CHOWN"],
    "cap_drop": ["KILL"],
    "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
    "tty": True,
}


def run(**given):
    model = {"name": "p", "services": {"web": SERVICE, "db": {"image": "y"}}, "volumes": {"data": {"name": "p_data"}}}
    project = Project("p", "/dir", ("compose.yaml",), model, {}, ())
    found = changed(project, "web", Changes(**given))
    assert found.model["services"]["db"] == {"image": "y"}
    assert project.model["services"]["web"] is SERVICE
    return found.model


@pytest.mark.parametrize(
    ("given", "field", "found"),
    [
        ({}, "command", ["from", "file"]),
        ({"command": ["a"]}, "command", ["a"]),
        ({"entrypoint": "sh -c 'a b'"}, "entrypoint", ["sh", "-c", "a b"]),
        ({"entrypoint": "sh"}, "command", []),
        ({"entrypoint": "sh", "command": ["c"]}, "command", ["c"]),
        ({"entrypoint": ""}, "entrypoint", []),
        ({}, "user", "one"),
        ({"user": "two"}, "user", "two"),
        ({"working_dir": "/two"}, "working_dir", "/two"),
        ({"environment": {"A": "run"}}, "environment", {"A": "run", "B": "file"}),
        ({"labels": ["b=c=d"]}, "labels", {"a": "file", "b": "c=d"}),
        ({}, "ports", []),
        ({"service_ports": True}, "ports", SERVICE["ports"]),
        ({"publish": ["8080:80"]}, "ports", [{"mode": "ingress", "target": 80, "published": "8080", "protocol": "tcp"}]),
        ({"cap_add": ["KILL"]}, "cap_add", ["NET_ADMIN", "CHOWN", "KILL"]),
        ({"cap_add": ["KILL"]}, "cap_drop", []),
        ({"cap_drop": ["CHOWN"]}, "cap_add", ["NET_ADMIN"]),
        ({}, "tty", False),
        ({"tty": True}, "tty", True),
        ({"interactive": False}, "stdin_open", False),
    ],
)  # fmt: skip
def test_changes(given, field, found):
    assert run(**given)["services"]["web"][field] == found


def test_mounts_are_added_or_stand_in_for_the_files():
    model = run(volumes=["./src:/src:ro", "mine:/mine", "data:/too", "/else:/data"], directory="/here")
    mounts = {one["target"]: (one["type"], one.get("source")) for one in model["services"]["web"]["volumes"]}
    assert mounts == {
        "/src": ("bind", "/here/src"),
        "/mine": ("volume", "mine"),
        "/too": ("volume", "data"),
        "/data": ("bind", "/else"),
    }
    assert model["volumes"] == {"data": {"name": "p_data"}, "mine": {"name": "mine", "external": True}}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"labels": ["a"]}, "label must be set as KEY=VALUE"),
        ({"publish": ["x"]}, "invalid containerPort: x"),
        ({"volumes": ["a:b:c:d"]}, "too many colons"),
        ({"entrypoint": "a 'b"}, "invalid entrypoint"),
    ],
)
def test_what_cannot_be_read(given, why):
    with pytest.raises(Malformed, match=why):
        run(**given)
