"""The validator is held to jsonschema, on every property of the specification with values of every type."""

import itertools

import pytest
from jsonschema import Draft7Validator

from coracle.compose import schema
from coracle.compose.source import read
from coracle.core.errors import Malformed

VALUES = [None, True, 1, 1.5, -1, "", "a", [], ["a"], [1], [["a"]], {}, {"a": 1}, {"a": None}, [{}], [{"source": "a"}], {"a": {"b": []}},
          {"x-a": 1}, {"context": "a"}, {"path": "a"}, [{"target": 1}], {"soft": 1}, {"a": {"soft": 1, "hard": 2}}]  # fmt: skip
PLACES = [("service", name) for name in schema.specification()["definitions"]["service"]["properties"]] + [
    (kind, name)
    for kind, definition in schema.specification()["definitions"].items()
    if kind != "service"
    for name in definition.get("properties", ())
]


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in PLACES}))
def test_the_same_is_allowed(kind):
    whole = schema.specification()
    part = {**whole["definitions"][kind], "definitions": whole["definitions"]}
    theirs = Draft7Validator(part)
    for name, value in itertools.product([name for of, name in PLACES if of == kind], VALUES):
        document = {name: value}
        wrong = [error for error in theirs.iter_errors(document) if error.validator != "uniqueItems"]
        assert bool(list(schema.problems(document, part))) == bool(wrong), document


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image: x\n    prots: []", r"^c\.yaml:4: services\.a additional property prots is not allowed \(did you mean ports\?\)"),
        ("privileged: 7", r"^c\.yaml:3: services\.a\.privileged must be a boolean or string"),
        ("ports: {a: 1}", r"^c\.yaml:3: services\.a\.ports must be a list"),
        ("ports:\n    - {target: 80}\n    - {targt: 80}", r"^c\.yaml:5: services\.a\.ports\.1 additional property targt"),
        ("depends_on: {b: {condition: nope}}", r"services\.a\.depends_on\.b\.condition must be one of"),
        ("ulimits: {nofile: {soft: 1}}", r"services\.a\.ulimits\.nofile hard is required"),
        ("build: {context: [a]}", r"services\.a\.build\.context must be a string"),
    ],
)  # fmt: skip
def test_the_message_names_line_path_and_what_would_be_right(text, message):
    document = read(f"services:\n  a:\n    {text}\n", "c.yaml")[0]
    with pytest.raises(Malformed, match=message):
        schema.check(document.value, document.places)


def test_an_unknown_key_at_the_top():
    document = read("servces: {}", "c.yaml")[0]
    with pytest.raises(Malformed, match=r"^c\.yaml:1: \(root\) additional property servces is not allowed"):
        schema.check(document.value, document.places)
