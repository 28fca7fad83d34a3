"""On directories that look like hierarchies; the real ones are in tests/contract/test_runtime_inside.py."""

from __future__ import annotations

import pytest

from coracle.linux.cgroups import Cgroup
from coracle.linux.usage import Io, Usage, read_usage

V1 = {
    "memory/x/memory.usage_in_bytes": "5000",
    "memory/x/memory.max_usage_in_bytes": "6000",
    "memory/x/memory.limit_in_bytes": "9223372036854771712",
    "memory/x/memory.failcnt": "7",
    "memory/x/memory.stat": "cache 10\ntotal_inactive_file 2000\n",
    "cpuacct/x/cpuacct.usage": "123456",
    "cpuacct/x/cpuacct.usage_user": "100000",
    "cpuacct/x/cpuacct.usage_sys": "23456",
    "cpuacct/x/cpuacct.usage_percpu": "123000 456 \n",
    "cpu/x/cpu.stat": "nr_periods 9\nnr_throttled 8\nthrottled_time 70\n",
    "pids/x/pids.current": "4",
    "pids/x/pids.max": "max",
    "blkio/x/blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n8:0 Write 1\nTotal 4097\n",
    "blkio/x/blkio.throttle.io_serviced_recursive": "8:0 Read 1\nTotal 1\n",
}
V2 = {
    "x/memory.current": "5000",
    "x/memory.peak": "6000",
    "x/memory.max": "8192",
    "x/memory.stat": "file 10\ninactive_file 2000\n",
    "x/memory.events": "low 0\nmax 7\noom_kill 1\n",
    "x/cpu.stat": "usage_usec 123\nuser_usec 100\nsystem_usec 23\nnr_periods 9\nnr_throttled 8\nthrottled_usec 7\n",
    "x/pids.current": "4",
    "x/pids.max": "20",
    "x/io.stat": "8:0 rbytes=4096 wbytes=1 rios=1 wios=2 dbytes=0 dios=0\n",
}


def group(top, files, *, version2=False):
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    made = Cgroup("/x", top)
    made.version2 = version2
    return made


def test_version_1_tells_all_of_it(tmp_path):
    assert read_usage(group(tmp_path, V1)) == Usage(
        memory_bytes=3000,
        memory_all_bytes=5000,
        memory_peak_bytes=6000,
        memory_failures=7,
        memory_stats={"cache": 10, "total_inactive_file": 2000},
        cpu_ns=123456,
        cpu_user_ns=100000,
        cpu_kernel_ns=23456,
        cpu_each_ns=(123000, 456),
        cpu_periods=9,
        cpu_throttled_periods=8,
        cpu_throttled_ns=70,
        pids=4,
        io_bytes=(Io(8, 0, "read", 4096), Io(8, 0, "write", 1)),
        io_operations=(Io(8, 0, "read", 1),),
    )


def test_version_2_tells_the_same_but_for_single_processors(tmp_path):
    assert read_usage(group(tmp_path, V2, version2=True)) == Usage(
        memory_bytes=3000,
        memory_all_bytes=5000,
        memory_peak_bytes=6000,
        memory_limit_bytes=8192,
        memory_failures=7,
        memory_stats={"file": 10, "inactive_file": 2000},
        cpu_ns=123000,
        cpu_user_ns=100000,
        cpu_kernel_ns=23000,
        cpu_periods=9,
        cpu_throttled_periods=8,
        cpu_throttled_ns=7000,
        pids=4,
        pids_limit=20,
        io_bytes=(Io(8, 0, "read", 4096), Io(8, 0, "write", 1), Io(8, 0, "discard", 0)),
        io_operations=(Io(8, 0, "read", 1), Io(8, 0, "write", 2), Io(8, 0, "discard", 0)),
    )


def test_limits_of_version_1_are_told_where_there_are_any(tmp_path):
    limited = {**V1, "memory/x/memory.limit_in_bytes": "8192", "pids/x/pids.max": "10"}
    used = read_usage(group(tmp_path, limited))
    assert (used.memory_limit_bytes, used.pids_limit) == (8192, 10)


@pytest.mark.parametrize("version2", [False, True])
def test_what_is_gone_uses_nothing(tmp_path, version2):
    assert read_usage(group(tmp_path, {}, version2=version2)) == Usage()


@pytest.mark.parametrize(
    ("version2", "name", "text", "frozen"),
    [
        (False, "freezer/x/freezer.state", "FROZEN\n", True),
        (False, "freezer/x/freezer.state", "THAWED\n", False),
        (True, "x/cgroup.freeze", "1\n", True),
        (True, "x/cgroup.freeze", "0\n", False),
    ],
)
def test_a_paused_group_is_known(tmp_path, version2, name, text, frozen):
    assert group(tmp_path, {name: text}, version2=version2).is_frozen() is frozen
