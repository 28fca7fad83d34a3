import pytest

from coracle.core.errors import Broken, Malformed
from coracle.core.object import Meta, Object
from coracle.docker.samples import Machine, Sample, shown
from coracle.docker.top import processes, words_of
from coracle.linux.counters import Link, links_of, machine_cpu_ns
from coracle.linux.usage import Io, Usage

MACHINE = Machine(processors=4, memory_bytes=8 << 30)
RECORD = Object("Container.engine", Meta(name="a" * 64), {"spec": {"name": "web"}, "status": {}}, "engine/v1")


def sample(at_s=1795424400.0, machine_ns=1000, **usage):
    return Sample(at_s, Usage(**usage), machine_ns, {"eth0": Link(1, 2, 3, 4, 5, 6, 7, 8)})


def test_two_samples_are_what_a_client_reckons_with():
    now = sample(cpu_ns=50, cpu_user_ns=30, cpu_kernel_ns=20, cpu_each_ns=(20, 30), pids=3, pids_limit=10)
    said = shown(RECORD, MACHINE, now, sample(at_s=1795424399.0, machine_ns=600, cpu_ns=40))
    assert (said["name"], said["id"]) == ("/web", "a" * 64)
    assert (said["read"], said["preread"]) == ("2026-11-23T09:00:00.000000Z", "2026-11-23T08:59:59.000000Z")
    assert said["cpu_stats"] == {
        "cpu_usage": {
            "total_usage": 50,
            "usage_in_usermode": 30,
            "usage_in_kernelmode": 20,
            "percpu_usage": [20, 30],
        },
        "system_cpu_usage": 1000,
        "online_cpus": 4,
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }
    assert said["precpu_stats"]["system_cpu_usage"] == 600
    assert said["pids_stats"] == {"current": 3, "limit": 10}
    assert said["networks"]["eth0"] == {
        **{"rx_bytes": 1, "rx_packets": 2, "rx_errors": 3, "rx_dropped": 4},
        **{"tx_bytes": 5, "tx_packets": 6, "tx_errors": 7, "tx_dropped": 8},
    }


def test_memory_is_limited_by_the_machine_where_nothing_else_does():
    assert shown(RECORD, MACHINE, sample(), None)["memory_stats"]["limit"] == 8 << 30
    limited = sample(memory_limit_bytes=1 << 20, memory_all_bytes=9, memory_stats={"inactive_file": 2})
    memory = shown(RECORD, MACHINE, limited, None)["memory_stats"]
    assert (memory["limit"], memory["usage"], memory["stats"]) == (1 << 20, 9, {"inactive_file": 2})


def test_disks_are_told_one_by_one():
    blocks = shown(RECORD, MACHINE, sample(io_bytes=(Io(8, 0, "read", 4096),)), None)["blkio_stats"]
    assert blocks["io_service_bytes_recursive"] == [{"major": 8, "minor": 0, "op": "read", "value": 4096}]
    assert blocks["io_serviced_recursive"] is None


def test_nothing_is_used_by_what_does_not_run():
    said = shown(RECORD, MACHINE, None, None)
    assert said["read"] == said["preread"] == "0001-01-01T00:00:00Z"
    assert (said["memory_stats"], said["pids_stats"]) == ({}, {})
    assert "networks" not in said
    assert said["cpu_stats"]["cpu_usage"]["total_usage"] == 0


def test_the_kernels_counters_are_there():
    before = machine_cpu_ns()
    assert before > 0
    assert machine_cpu_ns() >= before
    assert links_of(0) == {}
    assert "lo" not in links_of(1)


TABLE = "  PID USER     COMMAND\n   12 root     sleep  10\n   34 root     sh -c  x y\n    5 root     init\n"


def test_only_the_containers_processes_are_listed():
    assert processes(TABLE, {12, 34, 99}) == {
        "Titles": ["PID", "USER", "COMMAND"],
        "Processes": [["12", "root", "sleep  10"], ["34", "root", "sh -c  x y"]],
    }


def test_a_table_without_pids_cannot_be_used():
    with pytest.raises(Broken, match="Couldn't find PID field"):
        processes("USER COMMAND\nroot init\n", {1})


def test_options_of_ps():
    assert words_of("-o pid,comm  -e") == ["-o", "pid,comm", "-e"]
    assert words_of("-o pid=PID") == ["-o", "pid=PID"]
    for options in ("-o ppid=PID", "x" * 2000, "-e\0f"):
        with pytest.raises(Malformed):
            words_of(options)
