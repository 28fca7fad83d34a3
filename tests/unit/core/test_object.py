import tracemalloc

from coracle.core.object import Meta, Object, decode, encode


def test_what_was_encoded_can_be_decoded():
    thing = Object("Thing", Meta(name="a", namespace="b", labels={"c": "d"}), {"spec": {"e": [1, None, "f"]}})
    assert decode(encode(thing)) == thing


def test_what_is_encoded_takes_no_more_memory_than_its_text():
    thing = Object("Thing", Meta(name="a"), {"spec": {"text": "x" * 200}})
    tracemalloc.start()
    try:
        kept = [encode(thing) for _ in range(100)]
        taken_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken_bytes < 2 * sum(map(len, kept))
