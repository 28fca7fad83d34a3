"""Containers and what they use, as rows of tables."""

import pytest

from coracle.cli.compose.rows import combined, cut, ports_text, publishers
from coracle.cli.compose.usage import usage


def port(inside, outside=0, address="", protocol="tcp"):
    found = {"PrivatePort": inside, "Type": protocol}
    return found | ({"PublicPort": outside, "IP": address} if outside else {})


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(80), port(81), port(82), port(90)], "80-82/tcp, 90/tcp"),
        ([port(80, 8080, "0.0.0.0"), port(99)], "99/tcp, 0.0.0.0:8080->80/tcp"),
        ([port(80, 80, "0.0.0.0"), port(81, 81, "0.0.0.0"), port(80, 80, "::"), port(81, 81, "::")], "0.0.0.0:80-81->80-81/tcp, [::]:80-81->80-81/tcp"),
        ([port(81, 8081, "0.0.0.0"), port(80, 8080, "0.0.0.0")], "0.0.0.0:8080->80/tcp, 0.0.0.0:8081->81/tcp"),
        ([port(53, 53, "127.0.0.1", "udp"), port(53, 53, "127.0.0.1")], "127.0.0.1:53->53/tcp, 127.0.0.1:53->53/udp"),
        ([port(80, 8080, "::")], "[::]:8080->80/tcp"),
    ],
)  # fmt: skip
def test_ports(ports, said):
    assert ports_text(publishers(ports)) == said


def test_states_are_counted():
    assert combined(["running", "exited", "running"]) == "exited(1), running(2)"


@pytest.mark.parametrize(("length", "said"), [(None, "abcdef"), (6, "abcdef"), (5, "abcd…")])
def test_what_is_too_long_is_cut(length, said):
    assert cut("abcdef", length) == said


def sample(**changes):
    return {
        "id": "0123456789abcdef",
        "name": "/demo-web-1",
        "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 4},
        "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
        "memory_stats": {"usage": 3 << 20, "limit": 8 << 20, "stats": {"total_inactive_file": 1 << 20}},
        "networks": {"eth0": {"rx_bytes": 1500, "tx_bytes": 10}, "eth1": {"rx_bytes": 500, "tx_bytes": 0}},
        "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 5}, {"op": "write", "value": 7}, {"op": "Total", "value": 12}]},
        "pids_stats": {"current": 2},
        **changes,
    }  # fmt: skip


def test_what_a_container_uses():
    assert usage(sample(), whole=False) == {
        "ID": "0123456789ab",
        "Container": "0123456789ab",
        "Name": "demo-web-1",
        "CPUPerc": "80.00%",
        "MemUsage": "2MiB / 8MiB",
        "MemPerc": "25.00%",
        "NetIO": "2kB / 10B",
        "BlockIO": "5B / 7B",
        "PIDs": "2",
    }


def test_a_container_that_does_not_run_uses_nothing():
    nothing = {"cpu_usage": {"total_usage": 0}}
    stopped = sample(cpu_stats=nothing, precpu_stats=nothing, memory_stats={}, blkio_stats={}, pids_stats={})
    del stopped["networks"]
    found = usage(stopped, whole=True)
    assert [found[name] for name in ("ID", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "PIDs")] == [
        "0123456789abcdef", "0.00%", "0B / 0B", "0.00%", "0B / 0B", "0"
    ]  # fmt: skip
