"""What Go says of a document that a strategic patch left with a wrong type."""

from __future__ import annotations

import pytest

from coracle.core.restoring import fault
from coracle.core.schema import Schema, array_of, map_of, obj

KIND = obj(
    labels=map_of(Schema("string")),
    ports=array_of(obj(port=Schema("int32"), name=Schema("string"), open=Schema("bool"), at=Schema("time"))),
)


@pytest.mark.parametrize(
    ("doc", "said"),
    [
        ({"labels": {"a": "b"}, "ports": [{"port": 1}], "unknown": 1}, ""),
        ({"labels": None}, ""),
        ("x", "cannot restore struct from: string"),
        ({"labels": "x"}, "cannot restore map from string"),
        ({"labels": ["x"]}, "cannot restore map from slice"),
        ({"labels": {"a": 1}}, "cannot convert int64 to string"),
        ({"labels": {"a": True}}, "unrecognized type: string"),
        ({"labels": {"a": 1.5}}, "unrecognized type: string"),
        ({"ports": {"port": 1}}, "cannot restore slice from map"),
        ({"ports": [{}, 1]}, "cannot restore struct from: int64"),
        ({"ports": [{"port": "x"}]}, "unrecognized type: int32"),
        ({"ports": [{"port": 1.5}]}, "cannot convert float64 to int32"),
        ({"ports": [{"open": "yes"}]}, "unrecognized type: bool"),
        ({"ports": [{"at": "never"}]}, ""),
    ],
)
def test_the_first_wrong_type(doc, said):
    assert fault(KIND, doc) == said
