"""What a build request says, read with care."""

import base64
import json
from urllib.parse import urlencode

import pytest

from coracle.core.errors import CloudError
from coracle.docker.build.query import logins, read_query
from coracle.image.references import DEFAULT_REGISTRY
from coracle.web.messages import Request


def read(**query):
    return read_query(Request("POST", f"/build?{urlencode(query, doseq=True)}"))


def test_what_the_client_sends_by_itself():
    found = read(
        buildargs='{"A":"1","B":null}',
        cachefrom="[]",
        cgroupparent="",
        cpuperiod="0",
        cpuquota="0",
        cpusetcpus="",
        cpushares="0",
        dockerfile="Dockerfile",
        labels="{}",
        memory="0",
        memswap="0",
        networkmode="default",
        rm="1",
        shmsize="0",
        t=["a:1", "b"],
        target="",
        ulimits="null",
        version="1",
    )
    assert found.tags == ("a:1", "b")
    assert found.build_args == {"A": "1", "B": None}
    assert (found.remove, found.quiet, found.no_cache, found.pull) == (True, False, False, False)
    assert (found.shm_bytes, found.resources.memory_bytes, found.rlimits) == (64 << 20, None, {})


def test_limits():
    found = read(memory=str(64 << 20), cpuquota="50000", ulimits='[{"Name":"NOFILE","Soft":1,"Hard":-1}]', rm="0")
    assert found.resources.memory_bytes == 64 << 20
    assert found.resources.cpu_quota_us == 50_000
    assert found.rlimits == {"nofile": (1, 2**64 - 1)}
    assert not found.remove


@pytest.mark.parametrize(
    "query",
    [
        {"buildargs": "{"},
        {"buildargs": '{"": "x"}'},
        {"buildargs": '{"A=B": "x"}'},
        {"buildargs": '{"A": "x\\u0000"}'},
        {"labels": '{"a": 1}'},
        {"memory": "many"},
        {"memory": "-5"},
        {"ulimits": "{}"},
        {"ulimits": '[{"Name": 1}]'},
        {"t": "a@sha256:" + "0" * 64},
        {"t": "../x"},
        {"outputs": '[{"Type":"local"}]'},
        {"squash": "true"},
        {"version": "3"},
    ],
)
def test_what_is_refused(query):
    with pytest.raises(CloudError):
        read(**query)


def test_logins_by_registry():
    config = {
        "https://index.docker.io/v1/": {"username": "me", "password": "p"},
        "registry.test:5000": {"auth": base64.b64encode(b"you:q").decode()},
    }
    found = logins(base64.urlsafe_b64encode(json.dumps(config).encode()).decode())
    assert (found[DEFAULT_REGISTRY].username, found["registry.test:5000"].password) == ("me", "q")


@pytest.mark.parametrize("text", ["", "e30=", "not base64!", base64.b64encode(b"[1]").decode(), "{}"])
def test_logins_that_are_none(text):
    assert logins(text) == {}
