import pytest

from coracle.linux.cgroups import Cgroup
from coracle.runtime.api import Resources
from coracle.runtime.conmon import groups

ASKED = Resources(memory_bytes=64 << 20, cpu_quota_us=50_000, cpu_shares=512)


@pytest.fixture
def group(tmp_path, monkeypatch):
    """(version) -> the group of a pod, its files written as by the kernel."""

    def make(version, *names):
        monkeypatch.setattr("coracle.linux.cgroups.is_version2", lambda path: version == 2)
        made = Cgroup("/cloud/pod1", tmp_path)
        for name in names:
            file = made.directory(name.partition(".")[0]) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("")
        return made

    return make


def written(group):
    return {path.name: path.read_text() for top in group.directories() for path in top.glob("*.*")}


V1 = ("cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us", "memory.limit_in_bytes")
V2 = ("cpu.weight", "cpu.max", "memory.max")


@pytest.mark.parametrize(
    ("version", "names", "asked", "values"),
    [
        (1, V1, ASKED, ("512", "100000", "50000", str(64 << 20))),
        (1, V1, Resources(), ("1024", "100000", "-1", "-1")),
        (2, V2, ASKED, ("20", "50000 100000", str(64 << 20))),
        (2, V2, Resources(), ("100", "max 100000", "max")),
    ],
)
def test_a_group_is_limited_in_either_version(group, version, names, asked, values):
    made = group(version, *names)
    groups.limit(made, asked)
    assert written(made) == dict(zip(names, values, strict=True))


def test_what_this_kernel_does_not_have_is_left_out(group):
    made = group(1, "cpu.shares")
    groups.limit(made, ASKED)
    assert written(made) == {"cpu.shares": "512"}


def test_a_group_goes_with_its_last_container(group, tmp_path):
    made = group(1)
    inner = [tmp_path / name / "cloud/pod1/c" for name in ("cpu", "memory")]
    for path in inner:
        path.mkdir(parents=True)
    groups.drop(made)
    assert all(path.exists() for path in inner)
    for path in inner:
        path.rmdir()
    groups.drop(made)
    assert not any(path.parent.exists() for path in inner)
    groups.drop(made)  # nothing to do
