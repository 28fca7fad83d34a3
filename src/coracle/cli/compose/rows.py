"""A container as `ps` shows it: fields under the names that templates use; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from coracle.cli.compose import containers
from coracle.cli.gotemplate import Struct
from coracle.core.durations import ago

PS_TABLE = "{{.Name}}\\t{{.Image}}\\t{{.Command}}\\t{{.Service}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Ports}}"
PS_RAW = """container_id: {{.ID}}
image: {{.Image}}
command: {{.Command}}
created_at: {{.CreatedAt}}
state: {{- pad .State 1 0}}
status: {{- pad .Status 1 0}}
names: {{.Names}}
labels: {{- pad .Labels 1 0}}
ports: {{- pad .Ports 1 0}}
"""
PS_HEADS = {
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "Project": "PROJECT",
    "Service": "SERVICE",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
}
_COMMAND_LENGTH, _MOUNT_LENGTH = 20, 15


def row(summary: Mapping[str, Any], state: Mapping[str, Any], now_s: float, *, whole: bool) -> dict[str, Any]:
    """From Docker's summary and the `State` of its inspection.  `whole`: nothing is cut short."""
    labels = summary["Labels"]
    mounts = [mount.get("Name") or mount.get("Source") or "" for mount in summary.get("Mounts") or ()]
    published = publishers(summary.get("Ports") or ())
    created_s = float(summary["Created"])
    return {
        "Command": json.dumps(cut(summary["Command"], None if whole else _COMMAND_LENGTH), ensure_ascii=False),
        "CreatedAt": f"{datetime.fromtimestamp(created_s).astimezone():%Y-%m-%d %H:%M:%S %z %Z}",
        "ExitCode": state.get("ExitCode", 0),
        "Health": (state.get("Health") or {}).get("Status") or "",
        "ID": summary["Id"] if whole else summary["Id"][:12],
        "Image": summary["Image"],
        "Labels": ",".join(f"{name}={value}" for name, value in sorted(labels.items())),
        "LocalVolumes": str(sum(mount.get("Driver") == "local" for mount in summary.get("Mounts") or ())),
        "Mounts": ",".join(cut(mount, None if whole else _MOUNT_LENGTH) for mount in mounts),
        "Name": containers.name_of(summary),
        "Names": containers.name_of(summary),
        "Networks": ",".join(sorted((summary.get("NetworkSettings") or {}).get("Networks") or ())),
        "Ports": ports_text(published),
        "Project": labels.get(f"{containers.LABEL}project", ""),
        "Publishers": published,
        "RunningFor": f"{ago(now_s - created_s)} ago",
        "Service": containers.service_of(summary),
        "Size": "0B",
        "State": summary["State"],
        "Status": summary["Status"],
        "Label": lambda name: labels.get(name, ""),
    }


def cut(text: str, length: int | None) -> str:
    return text if length is None or len(text) <= length else text[: length - 1] + "…"


def publishers(ports: Iterable[Mapping[str, Any]]) -> list[Struct]:
    """Docker's `Ports`, in Compose's form, by the container's port."""
    return [
        Struct(
            URL=port.get("IP") or "",
            TargetPort=port["PrivatePort"],
            PublishedPort=port.get("PublicPort") or 0,
            Protocol=port["Type"],
        )
        for port in sorted(ports, key=lambda port: int(port["PrivatePort"]))
    ]


def ports_text(ports: Iterable[Mapping[str, Any]]) -> str:
    """`99/tcp, 0.0.0.0:8080->80/tcp`; neighbours are told as a range, `90-92/tcp`, as `docker ps` does."""
    groups: dict[tuple[str, str], list[list[int]]] = {}
    mapped = []
    for port in sorted(
        ports, key=lambda port: (port["TargetPort"], port["URL"], port["PublishedPort"], port["Protocol"])
    ):
        address, number, protocol = port["URL"], port["TargetPort"], port["Protocol"]
        if address and port["PublishedPort"] != number:
            mapped.append(f"{_host(address)}:{port['PublishedPort']}->{number}/{protocol}")
            continue
        ranges = groups.setdefault((address, protocol), [])
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    earlier = [_range(*key, *one) for key, ranges in groups.items() for one in ranges[:-1]]
    last = [_range(*key, *ranges[-1]) for key, ranges in groups.items()]
    return ", ".join([*earlier, *last, *mapped])


def _range(address: str, protocol: str, first: int, last: int) -> str:
    group = str(first) if first == last else f"{first}-{last}"
    return f"{_host(address)}:{group}->{group}/{protocol}" if address else f"{group}/{protocol}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def combined(states: Iterable[str]) -> str:
    """`exited(1), running(2)`."""
    counts: dict[str, int] = {}
    for state in sorted(states):
        counts[state] = counts.get(state, 0) + 1
    return ", ".join(f"{state}({count})" for state, count in counts.items())


def event_moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).replace(microsecond=nanoseconds % 10**9 // 1000)
