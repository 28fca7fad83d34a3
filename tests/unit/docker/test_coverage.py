"""docs/docker-coverage.md says what is so: its operations are the door's, its fields are taken as it says."""

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from coracle.core.errors import CloudError
from coracle.core.object import Meta, Object
from coracle.docker.bodies import Fields
from coracle.docker.containers.specs import read_request
from coracle.docker.parts import docker

ROOT = Path(__file__).parents[3]
SOURCE = tomllib.loads((ROOT / "docs/docker-coverage.toml").read_text())


def network(name):
    spec = {
        "name": name,
        "id": "0" * 64,
        "subnet": "10.99.0.0/24",
        "details": {"IPAM": {"Config": [{"Subnet": "10.99.0.0/24"}]}},
    }
    return Object("Network", Meta(name=name), {"spec": spec}, "engine/v1")


def read(config=None, host=None, endpoint=None):
    body: dict[str, Any] = {"Image": "busybox", **(config or {})}
    body["HostConfig"] = {"NetworkMode": "own" if endpoint else "default", **(host or {})}
    if endpoint:
        body["NetworkingConfig"] = {"EndpointsConfig": {"own": endpoint}}
    return read_request(Fields(body), network)


def fields(section):
    return [pytest.param(name, field, id=name) for name, field in SOURCE[section].items() if field["says"] != "ignored"]


def check(name, field, kept, asked):
    if field["says"] == "warned":
        assert any(name in warning for warning in asked.warnings), asked.warnings
    else:
        assert not asked.warnings
        assert kept.get(name), f"{name} is forgotten: {kept}"


@pytest.mark.parametrize(("name", "field"), fields("config"))
def test_config_is_taken_as_the_page_says(name, field):
    asked = read(config={name: field["sample"]})
    check(name, field, asked.config, asked)


@pytest.mark.parametrize(("name", "field"), fields("host"))
def test_host_config_is_taken_as_the_page_says(name, field):
    host = {name: field["sample"], **field.get("beside", {})}
    if field["says"] == "refused":
        with pytest.raises(CloudError):
            read(host=host)
        return
    asked = read(host=host)
    check(name, field, asked.host, asked)


@pytest.mark.parametrize(("name", "field"), fields("endpoint"))
def test_endpoints_are_taken_as_the_page_says(name, field):
    asked = read(endpoint={name: field["sample"]})
    check(name, field, asked.networking["EndpointsConfig"]["own"], asked)


def test_operations_are_those_of_the_door():
    """Parameters have names of their own here; which operations there are is what counts."""
    served = {f"{route.method} {anonymous(route.pattern)}" for route in docker(cast(Any, nobody())).door.routes}
    written = {anonymous(operation) for operation in SOURCE["operations"]}
    assert served == written


def anonymous(path):
    return re.sub(r"\{[^}]*\}", "{}", path)


class nobody(SimpleNamespace):
    """Services that nobody asks for anything while areas are put together."""

    def __getattr__(self, name):
        return nobody()

    def __getitem__(self, name):
        return nobody()

    def __call__(self, *words, **named):
        return nobody()


def test_the_page_is_up_to_date():
    script = (ROOT / "scripts/docker-coverage").read_text()
    names: dict[str, Any] = {"__name__": "page", "__file__": str(ROOT / "scripts/docker-coverage")}
    exec(compile(script, "docker-coverage", "exec"), names)
    assert (ROOT / "docs/docker-coverage.md").read_text() == names["page"](SOURCE), "run scripts/docker-coverage"
