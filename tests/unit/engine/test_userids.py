import pytest

from coracle.core.errors import Exhausted
from coracle.engine import userids
from coracle.engine.kinds.sandbox import users_claim
from coracle.linux.idmaps import COUNT


class Held:
    """A store in which these ranges are held, or all but one."""

    def __init__(self, *ranges, all_but=None):
        self.names, self.all_but = {users_claim(first) for first in ranges}, all_but

    def find(self, _kind, key):
        held = key.name in self.names if self.all_but is None else key.name != users_claim(self.all_but)
        return self if held else None

    def object(self):
        return self

    body = {"holder": "Sandbox other"}


def test_a_range_is_65536_ids_from_a_multiple_of_that_and_never_the_hosts_own():
    for name in ("a", "b", "pod-1"):
        first = userids.choose(name, Held())
        assert (first % COUNT, first >= COUNT, first + COUNT <= 2**31) == (0, True, True)


def test_what_somebody_holds_is_left_to_him():
    first = userids.choose("a", Held())
    assert userids.choose("a", Held(first)) == first % ((userids.RANGES) * COUNT) + COUNT
    assert userids.choose("a", Held(all_but=7 * COUNT)) == 7 * COUNT


def test_there_may_be_none_left():
    with pytest.raises(Exhausted):
        userids.choose("a", Held(all_but=0))
