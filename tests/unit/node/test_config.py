"""Where a cloud may live."""

import pytest

from coracle.core.errors import Conflict
from coracle.node import config


@pytest.fixture
def run_path(tmp_path, monkeypatch):
    run_path = tmp_path / "run"
    monkeypatch.setattr(config, "RUN", run_path)
    monkeypatch.setattr(config, "_CHOSEN", run_path / ".chosen")
    return run_path


@pytest.mark.parametrize(
    "there",
    [[], ["kubelet.yaml", "registries.toml", "lost+found"], [".cloud.json.new"], ["store.sqlite", "images", "lock"]],
)
def test_a_directory_of_its_own(run_path, tmp_path, there):
    root = tmp_path / "root"
    root.mkdir()
    for name in there:
        (root / name).touch()
    made = config.settings_of(str(root), "lab", choose=True)
    assert made is not None
    assert made.root == root
    assert config.settings_of(str(root), "lab") == made
    assert config.settings_of(str(root), "lab", choose=True) == made  # also once it is full


@pytest.mark.parametrize("there", [["thesis.odt"], [".ssh"], ["kubelet.yaml", "src"]])
def test_nobody_elses_directory(run_path, tmp_path, there):
    root = tmp_path / "home"
    root.mkdir()
    for name in there:
        (root / name).touch()
    with pytest.raises(Conflict, match=r"home is not empty \((thesis.odt|\.ssh|src)\) and no cloud's: give --root a"):
        config.settings_of(str(root), "lab", choose=True)
    assert sorted(path.name for path in root.iterdir()) == sorted(there)
    assert not run_path.exists()


def test_no_directory(run_path, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Conflict, match="file is not a directory"):
        config.settings_of(str(tmp_path / "file"), "lab", choose=True)


@pytest.mark.parametrize(("ledger", "left"), [(None, []), ("", []), ('{"net/ipv4/ip_forward": {}}', ["sysctls.json"])])
def test_the_last_cloud_takes_the_machines_directory_along(run_path, tmp_path, ledger, left):
    for name in ("one", "two"):
        config.settings_of(str(tmp_path / name), name, choose=True)
    if ledger is not None:
        (run_path / config.SYSCTLS).write_text(ledger)
    config.unregister("one")
    assert config.clouds() == ["two"]
    config.unregister("two")
    assert (sorted(path.name for path in run_path.iterdir()) if run_path.exists() else []) == left
