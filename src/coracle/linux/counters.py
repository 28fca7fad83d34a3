"""Counters of the kernel: the machine's processor time, and the packets of a process's network.

Source: proc(5), /proc/stat and /proc/<pid>/net/dev.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_TIMES = 8  # user nice system idle iowait irq softirq steal; what follows is counted in user and nice already


@dataclass(frozen=True, slots=True)
class Link:
    """What went through a network interface since it was made."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


def machine_cpu_ns() -> int:
    """Time of all processors together, idle or not."""
    with open("/proc/stat") as file:
        return sum(int(word) for word in file.readline().split()[1 : 1 + _TIMES]) * _TICK_NS


def machine_busy_ns() -> int:
    """Time that all processors together have spent on something."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, *interrupts = (int(word) for word in file.readline().split()[1:_TIMES])
    return (user + nice + system + sum(interrupts)) * _TICK_NS


def links_of(pid: int) -> dict[str, Link]:
    """By name, without the loopback, of the network that a process is in; none where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines[2:]:
        name, _, values = line.partition(":")
        counts = [int(word) for word in values.split()]
        if name.strip() != "lo" and len(counts) >= 16:
            found[name.strip()] = Link(*counts[:4], *counts[8:12])
    return found
