import pytest

from coracle.docker.events import Event
from coracle.docker.filters import Filters
from coracle.docker.streams.events import is_wanted

ID = "ab" * 32


def event(type="container", action="start", id=ID, **attributes):
    return Event(type, action, id, attributes, 0, b"")


START = event(name="web", image="nginx:1.25", tier="front")


@pytest.mark.parametrize(
    ("filters", "told", "wanted"),
    [
        ({}, START, True),
        ({"event": ["start"]}, START, True),
        ({"event": ["sta"]}, START, False),
        ({"event": ["exec_create"]}, event(action="exec_create: sh -c ls"), True),
        ({"event": ["health_status"]}, event(action="health_status: healthy"), True),
        ({"event": ["health_status: healthy"]}, event(action="health_status: unhealthy"), False),
        ({"type": ["container"]}, START, True),
        ({"type": ["image", "network"]}, START, False),
        ({"container": ["web"]}, START, True),
        ({"container": ["we"]}, START, True),
        ({"container": [ID[:12]]}, START, True),
        ({"container": ["b"]}, START, False),
        ({"container": ["web"]}, event("network", "connect", "c" * 64, container="web", name="front"), True),
        ({"network": ["front"]}, event("network", "connect", "c" * 64, container="web", name="front"), True),
        ({"network": ["front"]}, START, False),
        ({"image": ["nginx:1.25"]}, START, True),
        ({"image": ["nginx"]}, START, True),
        ({"image": ["ngin"]}, START, False),
        ({"image": ["localhost:5000/a"]}, event("image", "push", "x", name="localhost:5000/a:1"), True),
        ({"image": ["sha256:12"]}, event("image", "delete", "sha256:12"), True),
        ({"label": ["tier"]}, START, True),
        ({"label": ["tier=front", "tier=back"]}, START, False),
        ({"scope": ["local"]}, START, True),
        ({"scope": ["swarm"]}, START, False),
        ({"event": ["start"], "container": ["db"]}, START, False),
    ],
)
def test_what_passes(filters, told, wanted):
    assert is_wanted(Filters({name: tuple(values) for name, values in filters.items()}), told) == wanted
