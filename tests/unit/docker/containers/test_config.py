import pytest

from coracle.core.errors import Malformed
from coracle.docker.bodies import Fields
from coracle.docker.containers.config import argv, merged, read_config, read_healthcheck
from coracle.image.config import Healthcheck, Settings

IMAGE = Settings(entrypoint=("/ep",), cmd=("foo", "bar"), env=("PATH=/bin", "LANG=C"), user="web", workdir="/srv",
                 ports=("80/tcp",), volumes=("/data",), stop_signal="SIGQUIT", labels={"a": "image", "b": "image"},
                 healthcheck=Healthcheck(("CMD", "true"), interval_ns=5, retries=2))  # fmt: skip


def whole(**body):
    return merged(read_config(Fields({"Image": "x", **body})), IMAGE)


@pytest.mark.parametrize(
    ("body", "runs"),
    [
        ({}, ("/ep", "foo", "bar")),
        ({"Cmd": ["zoo"]}, ("/ep", "zoo")),
        ({"Cmd": "zoo"}, ("/ep", "zoo")),
        ({"Entrypoint": ["/x"]}, ("/x",)),
        ({"Entrypoint": "/x", "Cmd": ["y"]}, ("/x", "y")),
        ({"Entrypoint": [""], "Cmd": ["y"]}, ("y",)),
        ({"Entrypoint": [], "Cmd": ["y"]}, ("y",)),
        ({"Entrypoint": None, "Cmd": None}, ("/ep", "foo", "bar")),
    ],
)
def test_entrypoint_and_command_over_the_images(body, runs):
    assert argv(whole(**body)) == runs


def test_an_entrypoint_taken_away_leaves_nothing_to_run():
    with pytest.raises(Malformed, match="no command specified"):
        whole(Entrypoint=[""])


def test_the_rest_over_the_images():
    config = whole(Env=["LANG=de", "NEW=1", "PATH"], Labels={"a": "own"}, ExposedPorts={"81": {}}, Volumes={"/v": {}})
    assert config["Env"] == ["LANG=de", "NEW=1", "PATH"]
    assert config["Labels"] == {"a": "own", "b": "image"}
    assert set(config["ExposedPorts"]) == {"80/tcp", "81/tcp"}
    assert set(config["Volumes"]) == {"/data", "/v"}
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("web", "/srv", "SIGQUIT")
    assert whole(User="me", WorkingDir="/x", StopSignal="9")["User"] == "me"


def test_health_checks_are_filled_up_from_the_images():
    assert whole(Healthcheck={"Interval": 7_000_000})["Healthcheck"] == {
        "Test": ["CMD", "true"],
        "Interval": 7_000_000,
        "Retries": 2,
    }
    assert whole(Healthcheck={"Test": ["NONE"]})["Healthcheck"]["Test"] == ["NONE"]


def test_empty_values_are_left_out_but_a_stop_timeout_of_nothing():
    assert read_config(Fields({"Image": "x", "Tty": False, "Env": [], "StopTimeout": 0})) == {
        "Image": "x",
        "StopTimeout": 0,
    }


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"Env": ["=x"]}, "invalid environment variable: =x"),
        ({"Env": ["A=\0"]}, "invalid environment variable"),
        ({"Cmd": ["a\0b"]}, "invalid Cmd: a word holds a NUL byte"),
        ({"Hostname": "x" * 64}, "invalid hostname"),
        ({"Hostname": "a\nb"}, "invalid hostname"),
        ({"Domainname": "a b"}, "invalid domainname"),
        ({"WorkingDir": "rel"}, "the working directory 'rel' is invalid, it needs to be an absolute path"),
        ({"StopSignal": "FISH"}, "invalid signal: FISH"),
        ({"Cmd": [1]}, "Cmd must be a list of strings"),
        ({"Env": "A"}, "Env must be a list of strings, got a string"),
        ({"Labels": ["a"]}, "Labels must be an object"),
        ({"Tty": "yes"}, "Tty must be a boolean, got a string"),
        ({"StopTimeout": 1.5}, "StopTimeout must be an integer"),
        ({"ExposedPorts": {"99999": {}}}, "invalid port specification"),
    ],
)
def test_what_is_refused(body, said):
    with pytest.raises(Malformed) as refused:
        read_config(Fields({"Image": "x", **body}))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ({"Test": ["RUN", "x"]}, "Unknown healthcheck type"),
        ({"Interval": 1000}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"Timeout": -5}, "Timeout in Healthcheck cannot be less than 1ms"),
        ({"StartPeriod": 1}, "StartPeriod in Healthcheck cannot be less than 1ms"),
        ({"StartInterval": 1}, "StartInterval in Healthcheck cannot be less than 1ms"),
        ({"Retries": -1}, "Retries in Healthcheck cannot be negative"),
    ],
)
def test_health_checks_that_are_refused(check, said):
    with pytest.raises(Malformed) as refused:
        read_healthcheck(Fields(check))
    assert said in str(refused.value)
