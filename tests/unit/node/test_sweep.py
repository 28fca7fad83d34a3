from pathlib import Path

import pytest

from coracle.node import config, sweep


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", range(3))
def test_a_purge_that_is_interrupted_leaves_what_can_be_purged_again(tmp_path, monkeypatch, after):
    monkeypatch.setattr(config, "RUN", tmp_path / "run")
    monkeypatch.setattr(config, "_CHOSEN", tmp_path / "run" / ".chosen")
    root, elsewhere, gone = tmp_path / "root", tmp_path / "elsewhere", []
    made = config.settings_of(str(root), "lab", choose=True)
    elsewhere.mkdir()
    for name in ("images", "snapshots"):
        (root / name / "deep").mkdir(parents=True)
    (root / "store.sqlite").touch()
    (root / "link").symlink_to(elsewhere)
    remove_tree = sweep.remove_tree

    def remove(path: Path) -> None:
        if len(gone) == after:
            raise Killed
        gone.append(path)
        remove_tree(path)

    monkeypatch.setattr(sweep, "remove_tree", remove)
    with pytest.raises(Killed):
        sweep.purge(made)
    assert len([name for name in ("images", "snapshots") if (root / name).exists()]) == 2 - after
    assert config.settings_of(str(root), "lab") == made
    assert elsewhere.exists()
