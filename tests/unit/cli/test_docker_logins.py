"""Who Docker's client is to registries, by its configuration."""

import base64
import json

import pytest

from coracle.cli.docker.logins import login_header, logins, logins_header

BOTH = base64.b64encode(b"me:sec:ret").decode()


def decoded(header):
    return json.loads(base64.urlsafe_b64decode(header))


@pytest.fixture
def environment(tmp_path):
    def written(text):
        (tmp_path / "config.json").write_text(text if isinstance(text, str) else json.dumps(text))
        return {"DOCKER_CONFIG": str(tmp_path)}

    return written


@pytest.mark.parametrize(
    ("auths", "registry", "login"),
    [
        ({"r.example:5": {"auth": BOTH}}, "r.example:5", ("me", "sec:ret")),
        ({"https://r.example": {"auth": BOTH}}, "r.example", ("me", "sec:ret")),
        ({"https://index.docker.io/v1/": {"auth": BOTH}}, "docker.io", ("me", "sec:ret")),
        ({"r.example": {"auth": BOTH}}, "other.example", (None, None)),
        ({"r.example": {"auth": "!"}}, "r.example", (None, None)),
        ({"r.example": {"username": "u", "password": "p"}}, "r.example", ("u", "p")),
    ],
)
def test_one_registry(environment, auths, registry, login):
    found = decoded(login_header(registry, environment({"auths": auths}))["X-Registry-Auth"])
    assert (found.get("username"), found.get("password")) == login


def test_all_registries(environment):
    given = environment({"auths": {"a": {"auth": BOTH}, "b": {"identitytoken": "t"}, "c": 5}})
    found = decoded(logins_header(given)["X-Registry-Config"])
    assert found["a"] == {"serveraddress": "a", "username": "me", "password": "sec:ret"}
    assert found["b"] == {"serveraddress": "b", "identitytoken": "t"}
    assert set(found) == {"a", "b"}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"auths": 5}', '{"auths": null}'])
def test_a_configuration_that_says_nothing(environment, text):
    assert logins(environment(text)) == {}


def test_no_configuration(tmp_path):
    assert logins({"HOME": str(tmp_path)}) == {}
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {"a": {}}}))
    assert set(logins({"HOME": str(tmp_path)})) == {"a"}
