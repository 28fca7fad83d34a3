"""Messages by tables: which fields are read, and which of them count when they are zero."""

from __future__ import annotations

import pytest

from coracle.wire.protobuf import As, Map, read


def field(number, value):
    """One field: a number as a varint below 128, anything else as counted bytes."""
    if isinstance(value, int):
        return bytes((number << 3, value))
    return bytes((number << 3 | 2, len(value))) + value


TABLE = {
    1: ("name", "string"), 2: ("size", "int"), 3: ("on", "bool"), 4: ("inner", {1: ("x", "string")}),
    5: ("many", ["string"]), 6: ("labels", Map("string")), 7: ("quiet", "text"), 8: ("few", "number"),
    9: ("off", "flag"), 10: ("shaped", As({1: ("x", "string")}, lambda found: found["x"].upper())),
}  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (field(1, b"web") + field(2, 7) + field(3, 1), {"name": "web", "size": 7, "on": True}),
        (field(1, b"") + field(2, 0) + field(3, 0), {"name": "", "size": 0, "on": False}),
        (field(7, b"") + field(8, 0) + field(9, 0), {}),
        (field(7, b"a") + field(8, 1) + field(9, 1), {"quiet": "a", "few": 1, "off": True}),
        (field(4, field(1, b"y")), {"inner": {"x": "y"}}),
        (field(5, b"a") + field(5, b"b"), {"many": ["a", "b"]}),
        (field(6, field(1, b"k") + field(2, b"v")), {"labels": {"k": "v"}}),
        (field(10, field(1, b"y")), {"shaped": "Y"}),
        (field(15, b"unknown"), {}),
    ],
)
def test_read(raw, expected):
    assert read(raw, TABLE) == expected


@pytest.mark.parametrize("raw", [b"\x0a", b"\x0a\x05ab", b"\x08", b"\x0b"])
def test_what_is_no_message_is_refused(raw):
    with pytest.raises(ValueError, match="cut short"):
        read(raw, TABLE)
