import json
import tracemalloc

from coracle.core.object import Meta, Object, Owner, decode, encode


def test_what_was_encoded_can_be_decoded():
    thing = Object("Thing", Meta(name="a", namespace="b", labels={"c": "d"}), {"spec": {"e": [1, None, "f"]}})
    assert decode(encode(thing)) == thing


def test_an_objects_document_is_made_of_what_json_has():
    meta = Meta(name="a", finalizers=("x/y",), owners=(Owner("v1", "Thing", "b", "u"),))
    doc = Object("Thing", meta).to_json()
    assert doc["metadata"]["finalizers"] == ["x/y"]
    assert json.loads(json.dumps(doc)) == doc


def test_what_is_encoded_takes_no_more_memory_than_its_text():
    thing = Object("Thing", Meta(name="a"), {"spec": {"text": "x" * 200}})
    tracemalloc.start()
    try:
        kept = [encode(thing) for _ in range(100)]
        taken_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken_bytes < 2 * sum(map(len, kept))
