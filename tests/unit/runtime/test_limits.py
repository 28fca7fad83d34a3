from __future__ import annotations

import pytest

from coracle.core.errors import Invalid
from coracle.runtime.api import Resources
from coracle.runtime.conmon.host import lacking
from coracle.runtime.limits import resources
from coracle.runtime.machine import Host, HostDevice

HOST = Host(devices={"/dev/sda": HostDevice("b", 8, 0)})


def test_every_limit_has_its_word():
    asked = Resources(
        memory_bytes=1,
        memory_swap_bytes=-1,
        memory_reservation_bytes=3,
        memory_swappiness=0,
        oom_kill_disable=True,
        cpu_quota_us=4,
        cpu_shares=5,
        cpu_realtime_runtime_us=6,
        cpu_realtime_period_us=7,
        cpuset_cpus="0-1",
        cpuset_mems="0",
        pids=8,
        blkio_weight=9,
        blkio_weight_device=(("/dev/sda", 10),),
        blkio_read_bps=(("/dev/sda", 11),),
        blkio_write_bps=(("/dev/sda", 12),),
        blkio_read_iops=(("/dev/sda", 13),),
        blkio_write_iops=(("/dev/sda", 14),),
    )
    disk = {"major": 8, "minor": 0}
    assert resources(asked, HOST) == {
        "memory": {"limit": 1, "swap": -1, "reservation": 3, "swappiness": 0, "disableOOMKiller": True},
        "cpu": {
            "shares": 5,
            "quota": 4,
            "period": 100_000,
            "realtimeRuntime": 6,
            "realtimePeriod": 7,
            "cpus": "0-1",
            "mems": "0",
        },
        "pids": {"limit": 8},
        "blockIO": {
            "weight": 9,
            "weightDevice": [{**disk, "weight": 10}],
            "throttleReadBpsDevice": [{**disk, "rate": 11}],
            "throttleWriteBpsDevice": [{**disk, "rate": 12}],
            "throttleReadIOPSDevice": [{**disk, "rate": 13}],
            "throttleWriteIOPSDevice": [{**disk, "rate": 14}],
        },
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(Resources(), {}, id="nothing"),
        pytest.param(Resources(cpu_period_us=50_000), {"cpu": {"period": 50_000}}, id="a period alone"),
        pytest.param(Resources(pids=-1), {}, id="any number of processes"),
        pytest.param(Resources(pids=0), {"pids": {"limit": 0}}, id="no process"),
    ],
)
def test_what_is_not_limited_is_not_said(asked, expected):
    assert resources(asked, HOST) == expected


def test_what_the_machine_lacks_is_left_out():
    asked = Resources(memory_swappiness=5, oom_kill_disable=True, memory_bytes=7, blkio_read_bps=(("/dev/sda", 1),))
    host = Host(lacking=frozenset({"memory_swappiness", "oom_kill_disable", "blkio_read_bps"}))
    assert resources(asked, host) == {"memory": {"limit": 7}}


def test_a_disk_that_is_none_is_refused():
    with pytest.raises(Invalid, match="not a device"):
        resources(Resources(blkio_read_bps=(("/dev/sdb", 1),)), HOST)


def test_a_machine_is_asked_for_what_it_has(tmp_path):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.swappiness").write_text("60")
    found = lacking(tmp_path, unified=False)
    assert "memory_swappiness" not in found
    assert {"memory_swap_bytes", "blkio_weight", "cpu_realtime_period_us"} <= found
    assert lacking(tmp_path, unified=True) == {
        "memory_swappiness",
        "oom_kill_disable",
        "cpu_realtime_runtime_us",
        "cpu_realtime_period_us",
    }
