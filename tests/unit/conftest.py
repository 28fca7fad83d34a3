"""What holds in every unit test."""

import orjson
import pytest

from coracle.core import store
from coracle.core.object import Object, decode


@pytest.fixture(autouse=True)
def nobody_changes_what_others_read(monkeypatch):
    """The store's objects are shared by all who look at them."""
    read = {}

    def remembering(raw):
        read[raw] = found = decode(raw)
        return found

    monkeypatch.setattr(store, "decode", remembering)
    yield
    assert all(found == Object.from_json(orjson.loads(raw)) for raw, found in read.items())


def pytest_make_parametrize_id(val, argname):
    """Bytes that nobody can read name no test: what packs them may write the time into them, and each of several
    processes that run the tests would know them by another name."""
    return argname if isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable()) else None
