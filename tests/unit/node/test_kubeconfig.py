import stat

import pytest
import yaml

from coracle.core.errors import Conflict
from coracle.node import kubeconfig

OURS = {
    "clusters": [{"name": "coracle", "cluster": {"server": "https://127.0.0.1:6443"}}],
    "users": [{"name": "coracle", "user": {}}],
    "contexts": [{"name": "coracle", "context": {"cluster": "coracle", "user": "coracle"}}],
    "current-context": "coracle",
}
THEIRS = {
    "clusters": [
        {"name": "work", "cluster": {"server": "https://work"}},
        {"name": "coracle", "cluster": {"server": "old"}},
    ],
    "users": [{"name": "work", "user": {"token": "t"}}],
    "contexts": [{"name": "work", "context": {"cluster": "work", "user": "work"}}],
    "current-context": "work",
    "preferences": {"colors": True},
}


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    path = tmp_path / "kube" / "config"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(THEIRS))
    monkeypatch.setenv("KUBECONFIG", f"{path}:/elsewhere")
    return path


def test_ours_replaces_what_has_its_name_and_leaves_the_rest():
    result = kubeconfig.merged(THEIRS, OURS)
    assert [(c["name"], c["cluster"]["server"]) for c in result["clusters"]] == [
        ("work", "https://work"),
        ("coracle", "https://127.0.0.1:6443"),
    ]
    assert result["current-context"] == "coracle"
    assert result["preferences"] == {"colors": True}


def test_without_switching_the_current_context_stays():
    assert kubeconfig.merged(THEIRS, OURS, switch=False)["current-context"] == "work"


def test_merging_and_removing_leaves_the_users_file_as_it_was(theirs):
    before = dict(THEIRS, clusters=THEIRS["clusters"][:1])
    assert kubeconfig.merge_into_user(OURS) == theirs
    assert yaml.safe_load(theirs.read_text())["current-context"] == "coracle"
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o600
    kubeconfig.remove_from_user("coracle")
    left = yaml.safe_load(theirs.read_text())
    assert {name: left[name] for name in ("clusters", "users", "contexts")} == {
        name: before[name] for name in ("clusters", "users", "contexts")
    }
    assert [path.name for path in theirs.parent.iterdir()] == ["config"]


def test_a_file_that_we_made_goes_with_us(tmp_path, monkeypatch):
    path = tmp_path / "new" / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    kubeconfig.merge_into_user(OURS)
    assert yaml.safe_load(path.read_text())["contexts"] == OURS["contexts"]
    kubeconfig.remove_from_user("coracle")
    assert not path.parent.exists()


def test_what_is_no_kubeconfig_is_left_alone(theirs):
    theirs.write_text("clusters: [unclosed")
    with pytest.raises(Conflict, match="--no-kubeconfig"):
        kubeconfig.merge_into_user(OURS)
    assert theirs.read_text() == "clusters: [unclosed"


def test_what_was_chosen_within_our_context_stays():
    chosen = {"cluster": "coracle", "user": "old", "namespace": "shop"}
    result = kubeconfig.merged({"contexts": [{"name": "coracle", "context": chosen}]}, OURS)
    assert result["contexts"] == [{"name": "coracle", "context": {**chosen, "user": "coracle"}}]


@pytest.mark.parametrize(
    ("before", "current"),
    [
        (yaml.safe_dump(THEIRS), "work"),
        (yaml.safe_dump({**THEIRS, "current-context": "gone"}), "coracle"),
        ("clusters: [unclosed", "coracle"),
    ],
    ids=["a context of somebody's own", "a context that there is not", "what cannot be read"],
)
def test_the_clouds_own_file_keeps_the_context_that_was_chosen(tmp_path, before, current):
    path = tmp_path / "kubeconfig"
    path.write_text(before)
    kubeconfig.write_own(path, OURS)
    written = yaml.safe_load(path.read_text())
    assert written["current-context"] == current
    assert OURS["clusters"][0] in written["clusters"]


def test_the_clouds_own_file_is_not_written_where_it_says_all_that_already(tmp_path):
    """A daemon starts on a full disk."""
    path = tmp_path / "kubeconfig"
    kubeconfig.write_own(path, OURS)
    before = path.stat()
    kubeconfig.write_own(path, OURS)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
