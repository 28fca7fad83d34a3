import pytest

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
