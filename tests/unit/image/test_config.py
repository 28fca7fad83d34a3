import orjson
import pytest

from coracle.core.errors import Invalid, Malformed
from coracle.image.config import Healthcheck, History, ImageConfig, Settings, parse_config
from coracle.image.digests import digest_of
from coracle.image.manifest import Platform

FULL = ImageConfig(
    Platform("linux", "arm64", "v8"),
    Settings(
        ("/entry",), ("a", "b"), ("PATH=/bin", "X=a=b"), "33:33", "/srv", ("53/udp", "80/tcp"), ("/data",), "SIGQUIT",
        {"a": "b"}, Healthcheck(("CMD", "true"), 1, 2, 3, 4, 5), ("/bin/sh", "-c"), ("RUN x",),
    ),
    (digest_of(b"a"), digest_of(b"b")),
    (History("2026-01-01T00:00:00Z", "RUN x"), History(comment="c", empty_layer=True)),
    "2026-01-01T00:00:00Z",
    "me",
)  # fmt: skip


def test_a_configuration_survives_the_round_trip():
    assert parse_config(FULL.encode()) == FULL


def parse(**config):
    return parse_config(orjson.dumps({"architecture": "amd64", "os": "linux", "config": config, "rootfs": {}})).settings


def test_a_lone_text_is_one_word():
    assert parse(Entrypoint="/bin/x y", Cmd=None) == Settings(entrypoint=("/bin/x y",))


def test_nothing_said_means_nothing_set():
    assert parse_config(b'{"rootfs": {"type": "layers"}, "config": null}').settings == Settings()


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"WorkingDir": "/proc/self/fd/7"}, id="a directory that leads to the host"),
        pytest.param({"WorkingDir": "/a/../proc/1/cwd"}, id="the same by a detour"),
        pytest.param({"WorkingDir": "proc/self"}, id="the same, relative"),
        pytest.param({"User": "4294967296"}, id="a user that wraps around to root"),
        pytest.param({"User": "-1"}, id="a negative user"),
        pytest.param({"User": "0:99999999999"}, id="a huge group"),
        pytest.param({"User": "root\n"}, id="a user with a newline"),
        pytest.param({"User": ":0"}, id="a group without a user"),
        pytest.param({"User": "a:b:c"}, id="too many parts"),
        pytest.param({"Volumes": {"/": {}}}, id="the root as a volume"),
        pytest.param({"Volumes": {"../x": {}}}, id="a relative volume"),
        pytest.param({"Volumes": {"/a/../..": {}}}, id="a volume above"),
        pytest.param({"Env": ["A=b\0c"]}, id="a NUL"),
        pytest.param({"Env": ["A"]}, id="a variable without a value"),
        pytest.param({"Env": ["=b"]}, id="a variable without a name"),
        pytest.param({"ExposedPorts": {"http": {}}}, id="a port by name"),
        pytest.param({"Env": ["A=b"] * 10_001}, id="too much"),
        pytest.param({"Env": "A=b"}, id="a text as a list"),
        pytest.param({"Cmd": [1]}, id="a number as a word"),
        pytest.param({"Labels": {"a": 1}}, id="a number as a label"),
        pytest.param({"Labels": []}, id="a list as labels"),
        pytest.param({"Healthcheck": {"Interval": "5s"}}, id="a time as a text"),
        pytest.param({"StopSignal": 5}, id="a signal as a number"),
    ],
)
def test_a_trap_is_refused(config):
    with pytest.raises((Malformed, Invalid)):
        parse(**config)


@pytest.mark.parametrize(
    "doc",
    [
        [],
        {"rootfs": {"type": "vm"}},
        {"rootfs": {"diff_ids": ["x"]}},
        {"rootfs": {"diff_ids": [digest_of(b"")] * 501}},
        {"history": [{}] * 10_001},
        {"history": ["x"]},
        {"os": 5},
        {"config": "x"},
    ],
)
def test_what_is_no_configuration_is_refused(doc):
    with pytest.raises((Malformed, Invalid)):
        parse_config(orjson.dumps(doc))
