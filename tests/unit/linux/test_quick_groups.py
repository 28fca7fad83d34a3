import pytest

from coracle.linux import quick_groups
from coracle.linux.quick_groups import options_of_version2

OTHER = "25 23 0:23 / /sys/fs/cgroup/memory rw,relatime shared:4 - cgroup cgroup rw,memory"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("24 23 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw", [], id="plain"),
        pytest.param(
            "24 23 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot",
            ["nsdelegate", "memory_recursiveprot"],
            id="as systemd mounts it",
        ),
        pytest.param("24 23 0:22 / /x rw - cgroup2 none rw,favordynmods", ["favordynmods"], id="quick already"),
        pytest.param("24 23 0:22 / /cgroup2 rw - tmpfs cgroup2 rw,size=4k", [], id="something of that name"),
    ],
)
def test_the_options_that_are_there_are_kept(line, expected):
    assert options_of_version2([OTHER, line]) == expected


def test_without_the_hierarchy_there_are_none():
    assert options_of_version2([OTHER]) == []


class Kernel:
    """A hierarchy whose options are what it was mounted with last."""

    def __init__(self, monkeypatch, options, failure=None):
        self.options, self.failure = list(options), failure
        monkeypatch.setattr(quick_groups, "_options", lambda: list(self.options))
        monkeypatch.setattr(quick_groups, "_set", self.set)

    def set(self, options):
        if self.failure is not None:
            raise self.failure
        self.options = list(options)


def test_what_we_set_is_taken_back(monkeypatch, tmp_path):
    kernel, mark = Kernel(monkeypatch, ["nsdelegate"]), tmp_path / "mark"
    quick_groups.make_moves_quick(mark)
    assert kernel.options == ["nsdelegate", "favordynmods"]
    quick_groups.make_moves_quick(mark)  # the next start finds it set
    quick_groups.take_back(mark)
    assert kernel.options == ["nsdelegate"]
    assert not mark.exists()


def test_what_somebody_else_has_set_stays(monkeypatch, tmp_path):
    kernel, mark = Kernel(monkeypatch, ["favordynmods"]), tmp_path / "mark"
    quick_groups.make_moves_quick(mark)
    quick_groups.take_back(mark)
    assert kernel.options == ["favordynmods"]


def test_a_kernel_without_it_is_left_alone(monkeypatch, tmp_path):
    kernel, mark = Kernel(monkeypatch, [], OSError(22, "Invalid argument")), tmp_path / "mark"
    quick_groups.make_moves_quick(mark)
    assert kernel.options == []
    assert not mark.exists()
