"""What is left over on the host, while clouds come and go."""

import pytest

from coracle.node import leftovers
from coracle.node.config import tag_of


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ([[], []], 3),
        ([["home"], ["home"]], 0),
        ([[], ["home"]], 0),  # it has come up meanwhile
        ([["home"], []], 0),  # it has gone down meanwhile
        ([["other"], ["other"]], 3),
    ],
)
def test_what_belongs_to_no_cloud(monkeypatch, tmp_path, known, found):
    answers = iter(known)
    monkeypatch.setattr(leftovers, "clouds", lambda: next(answers))
    monkeypatch.setattr(leftovers, "_LINKS", tmp_path)
    monkeypatch.setattr(leftovers, "children", lambda _path: ["/coracle/home"])
    monkeypatch.setattr(leftovers.nftables, "tables", lambda family: ["coracle-home", "mine"] if family == "ip" else [])
    for name in (f"{tag_of('home')}0", "eth0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "netdev_group").write_text("0\n")
    assert len(leftovers.find()) == found
