"""What a container uses, from a sample of Docker's statistics; pure.

Source: Docker's documentation of `docker stats` and of GET /containers/{id}/stats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.cli.output import binary_bytes, human_bytes

TABLE = "{{.ID}}\\t{{.Name}}\\t{{.CPUPerc}}\\t{{.MemUsage}}\\t{{.MemPerc}}\\t{{.NetIO}}\\t{{.BlockIO}}\\t{{.PIDs}}"
HEADS = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}


def usage(sample: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """The row of a table, under the names that templates use."""
    memory = sample.get("memory_stats") or {}
    used, limit = _memory_bytes(memory), int(memory.get("limit") or 0)
    networks = (sample.get("networks") or {}).values()
    received, sent = (sum(int(one[name]) for one in networks) for name in ("rx_bytes", "tx_bytes"))
    read, written = _block_bytes(sample)
    id = sample["id"] if whole else sample["id"][:12]
    return {
        "BlockIO": f"{human_bytes(read)} / {human_bytes(written)}",
        "CPUPerc": f"{_processor_percent(sample):.2f}%",
        "Container": id,
        "ID": id,
        "MemPerc": f"{100 * used / limit if limit else 0:.2f}%",
        "MemUsage": f"{binary_bytes(used)} / {binary_bytes(limit)}",
        "Name": str(sample["name"]).removeprefix("/"),
        "NetIO": f"{human_bytes(received)} / {human_bytes(sent)}",
        "PIDs": str((sample.get("pids_stats") or {}).get("current") or 0),
    }


def _processor_percent(sample: Mapping[str, Any]) -> float:
    """100 is one processor, busy all the time between this sample and the one before it."""
    now, before = sample["cpu_stats"], sample["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = (now.get("system_cpu_usage") or 0) - (before.get("system_cpu_usage") or 0)
    processors = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or ())
    return 100 * processors * used / passed if used > 0 and passed > 0 else 0.0


def _memory_bytes(memory: Mapping[str, Any]) -> int:
    """Without what the kernel only keeps of files, and would give away."""
    used, details = int(memory.get("usage") or 0), memory.get("stats") or {}
    for name in ("total_inactive_file", "inactive_file"):
        inactive = int(details.get(name) or 0)
        if 0 < inactive < used:
            return used - inactive
    return used


def _block_bytes(sample: Mapping[str, Any]) -> tuple[int, int]:
    """(read, written)"""
    found = {"read": 0, "write": 0}
    for one in (sample.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ():
        if one["op"].lower() in found:
            found[one["op"].lower()] += int(one["value"])
    return found["read"], found["write"]
