"""On directories that look like hierarchies; the real ones are in tests/contract/test_runtime_inside.py."""

from __future__ import annotations

from coracle.linux.cgroups import Cgroup, children, layout

V1 = {
    "memory/c/x/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    "pids/c/x/cgroup.procs": "11\n12\n",
    "pids/c/x/below/cgroup.procs": "13\n",
}


def tree(top, files):
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    return top


def test_version_1_is_read_from_each_hierarchy(tmp_path):
    group = Cgroup("/c/x", tree(tmp_path, V1))
    assert group.oom_kills() == 3
    assert sorted(group.pids()) == [11, 12, 13]


def test_what_is_gone_reads_as_nothing_and_is_removed(tmp_path):
    group = Cgroup("/c/y", tree(tmp_path, V1))
    assert (group.oom_kills(), group.pids(), group.is_frozen()) == (0, [], False)
    assert group.remove()
    group.thaw()


def test_empty_groups_are_removed_in_every_hierarchy_and_full_ones_are_not(tmp_path):
    for name in ("cpu/c/x/deep", "memory/c/x", "pids/c"):
        (tmp_path / name).mkdir(parents=True)
    assert children("/c", tmp_path) == ["/c/x"]
    assert Cgroup("/c", tmp_path).remove()
    assert not any((tmp_path / name / "c").exists() for name in ("cpu", "memory", "pids"))
    tree(tmp_path, {"cpu/c/x/busy": ""})
    assert not Cgroup("/c", tmp_path).remove()


def test_a_tree_without_version_2_is_legacy(tmp_path):
    assert layout(tree(tmp_path, V1)) == "legacy"
