import pytest

from coracle.core.errors import Invalid
from coracle.kube.kubelet.resizer import Resizer
from coracle.kube.kubelet.resizing import Regroup, Resize
from coracle.linux.usage import Usage
from coracle.runtime.api import Group, Resources
from coracle.testing.autojump import run
from suites.attempts import a_pod

MIB = 1 << 20
WIDE, NARROW = Group(name="g", resources=Resources(memory_bytes=64 * MIB)), Group(name="g")


class Hands:
    """Containers that use 10 MiB each, and an ear for events."""

    def __init__(self):
        self.done = []

    def usage(self, id):
        return Usage(memory_bytes=10 * MIB)

    async def update(self, id, resources):
        self.done.append((id, resources.memory_bytes))

    async def regroup(self, ids, group):
        if group is None:
            raise Invalid(message="no such group")
        self.done.append((ids, group.resources.memory_bytes))

    def emit(self, pod, type, reason, message, field=""):
        self.done.append((reason, field))


def carried_out(*resizes, regroup=None):
    hands = Hands()
    error = run(Resizer(hands, hands).resize(a_pod(), resizes, regroup))
    return error, hands.done


def to(bytes, had=64 * MIB):
    return Resize("web-0", "web", Resources(memory_bytes=bytes), had_bytes=had)


WHERE = "spec.containers{web}"


@pytest.mark.parametrize(
    ("resize", "done"),
    [
        (to(128 * MIB), [("web-0", 128 * MIB)]),
        (to(32 * MIB), [("web-0", 32 * MIB)]),
        (to(None), [("web-0", None)]),
        (to(5 * MIB, had=5 * MIB), [("web-0", 5 * MIB)]),
    ],
)
def test_a_container_is_given_what_it_fits_in(resize, done):
    assert carried_out(resize) == ("", [*done, ("ResizeCompleted", "")])


def test_a_container_is_not_given_less_than_it_uses():
    error, done = carried_out(to(5 * MIB))
    assert error == 'attempting to set container "web" memory limit (5242880) below current usage (10485760)'
    assert done == [("ResizeError", WHERE)]


def test_together_they_have_more_before_and_less_after():
    found = carried_out(to(32 * MIB), regroup=Regroup(("web-0",), WIDE, NARROW))
    assert found == ("", [(("web-0",), 64 * MIB), ("web-0", 32 * MIB), (("web-0",), None), ("ResizeCompleted", "")])
