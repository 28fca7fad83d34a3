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
