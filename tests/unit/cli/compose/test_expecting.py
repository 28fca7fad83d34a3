"""Whether more is to come of what does not run."""

import pytest

from coracle.cli.compose.expecting import is_expected


def container(slot, state):
    service, _, number = slot.rpartition("-")
    labels = {"com.docker.compose.service": service, "com.docker.compose.container-number": number}
    return {"Labels": labels, "State": state}


def declared(want="running", scale=1, going=None, borrowed=False, working_on=()):
    spec = {"going": going, "borrowed": borrowed, "services": {"web": {"want": want, "scale": scale}}}
    return {"spec": spec, "status": {"working_on": list(working_on)}}


@pytest.mark.parametrize(
    ("project", "present", "expected"),
    [
        (declared(), {"web-1": "running"}, True),
        (declared(), {"web-1": "exited"}, False),
        (declared(), {}, True),
        (declared(), {"web-1": "restarting"}, True),
        (declared(working_on=["web-1"]), {"web-1": "exited"}, True),
        (declared(working_on=["web-2"]), {"web-1": "exited"}, False),
        (declared(scale=2), {"web-1": "exited"}, True),
        (declared(scale=0), {}, False),
        (declared(want="stopped", working_on=["web-1"]), {"web-1": "running"}, False),
        (declared(going={"volumes": False}), {}, False),
        (declared(borrowed=True), {}, False),
    ],
)
def test_what_is_expected(project, present, expected):
    found = [container(slot, state) for slot, state in present.items()]
    assert is_expected(project, found) is expected


def test_only_the_services_that_are_asked_for_count():
    assert is_expected(declared(), [], ["web"])
    assert not is_expected(declared(), [], ["other"])
