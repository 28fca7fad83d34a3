"""docs/kubernetes-coverage.md tells of every kind that is served, and of no field that there is not."""

import runpy
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts/kubernetes-coverage"), run_name="coverage")
SOURCE = tomllib.loads((ROOT / "docs/kubernetes-coverage.toml").read_text())


def test_the_page_is_what_the_script_writes():
    assert (ROOT / "docs/kubernetes-coverage.md").read_text() == SCRIPT["page"](SOURCE)


def test_every_kind_is_named_and_no_other():
    assert set(SOURCE["kinds"]) == set(SCRIPT["fields_of_kinds"]())


def test_every_field_that_is_named_is_one():
    known = SCRIPT["fields_of_kinds"]() | SCRIPT["fields_of_parts"](SOURCE["parts"])
    said = SOURCE["kinds"] | SOURCE["parts"]
    named = {(type, name) for type, words in said.items() for names in words.values() for name in names}
    named |= {tuple(note.split(" ")) for note in SOURCE["notes"]}
    assert [pair for pair in named if pair[1] not in known[pair[0]]] == []
