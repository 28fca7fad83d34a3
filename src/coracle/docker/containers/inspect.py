"""GET /containers/{id}/json.

Source: Docker Engine API 1.50, "ContainerInspect"; docker.md 1.4 for what older versions expect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from coracle.core.object import Object
from coracle.docker.bodies import flag
from coracle.docker.containers import details, states
from coracle.docker.containers.finding import Finder
from coracle.docker.containers.views import DRIVER, Views
from coracle.docker.door import Route
from coracle.docker.mounts import shown
from coracle.docker.versions import Version, version_of
from coracle.engine.containers import Containers
from coracle.web.messages import Answer, Request, Response

ExecIds = Callable[[str], Sequence[str]]  # of a container

_CONFIG: Mapping[str, Any] = {
    "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False, "AttachStderr": False,
    "Tty": False, "OpenStdin": False, "StdinOnce": False, "Env": None, "Cmd": None, "Image": "", "Volumes": None,
    "WorkingDir": "", "Entrypoint": None, "OnBuild": None, "Labels": {},
}  # fmt: skip

_HOST_CONFIG: Mapping[str, Any] = {
    "Binds": None, "ContainerIDFile": "", "LogConfig": {"Type": "json-file", "Config": {}}, "NetworkMode": "bridge",
    "PortBindings": {}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": False,
    "VolumeDriver": "", "VolumesFrom": None, "ConsoleSize": [0, 0], "CapAdd": None, "CapDrop": None,
    "CgroupnsMode": "host", "Dns": [], "DnsOptions": [], "DnsSearch": [], "ExtraHosts": None, "GroupAdd": None,
    "IpcMode": "private", "Cgroup": "", "Links": None, "OomScoreAdj": 0, "PidMode": "", "Privileged": False,
    "PublishAllPorts": False, "ReadonlyRootfs": False, "SecurityOpt": None, "UTSMode": "", "UsernsMode": "",
    "ShmSize": 67108864, "Runtime": "crun", "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0,
    "CgroupParent": "", "BlkioWeight": 0, "BlkioWeightDevice": [], "BlkioDeviceReadBps": [],
    "BlkioDeviceWriteBps": [], "BlkioDeviceReadIOps": [], "BlkioDeviceWriteIOps": [], "CpuPeriod": 0, "CpuQuota": 0,
    "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0, "CpusetCpus": "", "CpusetMems": "", "Devices": [],
    "DeviceCgroupRules": None, "DeviceRequests": None, "MemoryReservation": 0, "MemorySwap": 0,
    "MemorySwappiness": None, "OomKillDisable": None, "PidsLimit": None, "Ulimits": [], "CpuCount": 0,
    "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0,
    "MaskedPaths": [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ],
    "ReadonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
}  # fmt: skip


class Inspect:
    """`cgroup_mode`: what CgroupnsMode is where nobody asked: "private" with cgroup v2, else "host"."""

    def __init__(
        self, finder: Finder, containers: Containers, views: Views, *, execs: ExecIds, cgroup_mode: str
    ) -> None:
        self._finder, self._containers, self._views = finder, containers, views
        self._execs = execs
        self._host_config_defaults = {**_HOST_CONFIG, "CgroupnsMode": cgroup_mode}

    def routes(self) -> Iterable[Route]:
        return (Route("GET", "/containers/{id}/json", self.inspect),)

    async def inspect(self, request: Request) -> Answer:
        record = self._finder.get(request.params["id"])
        answer = self._shown(record, version_of(request))
        if flag(request, "size"):
            answer |= await self._views.sizes(record)
        return Response.of(200, answer)

    def _shown(self, record: Object, version: Version) -> dict[str, Any]:
        argv = record.spec["argv"] or [""]
        settings = self._views.network_settings(record, version)
        return {
            "Id": record.meta.name,
            "Created": details.created_at(record),
            "Path": argv[0],
            "Args": list(argv[1:]),
            "State": self._state(record),
            "Image": record.spec["image_id"],
            "ResolvConfPath": self._views.file_path(record, "resolv.conf"),
            "HostnamePath": self._views.file_path(record, "hostname"),
            "HostsPath": self._views.file_path(record, "hosts"),
            "LogPath": self._containers.log_path(record.meta.name) if record.spec["keeps_log"] else "",
            "Name": f"/{record.spec['name']}",
            "RestartCount": int(details.life(record).get("RestartCount") or 0),
            "Driver": DRIVER,
            "Platform": "linux",
            "MountLabel": "",
            "ProcessLabel": "",
            "AppArmorProfile": "",
            "ExecIDs": self._execs(record.meta.name) or None,
            "HostConfig": self._host_config(record),
            "GraphDriver": self._views.graph_driver(record),
            "Mounts": shown(record),
            "Config": self._config(record, version),
            "NetworkSettings": settings,
        }

    def _state(self, record: Object) -> dict[str, Any]:
        state = states.inspected(record)
        health = self._views.health(record)
        return {**state, "Health": health} if health else state

    def _config(self, record: Object, version: Version) -> dict[str, Any]:
        spec = record.spec
        if not details.is_docker(record):
            own = {"Env": list(spec["env"]), "Cmd": list(spec["argv"] or ()), "Image": spec["image"]}
            own |= {"User": spec["user"], "WorkingDir": spec["workdir"], "Tty": spec["tty"], "OpenStdin": spec["stdin"]}
            return {**_CONFIG, **own, "Labels": dict(record.meta.labels), "Hostname": self._views.hostname(record)}
        config = {**_CONFIG, **details.config(record)}
        config["Hostname"] = config["Hostname"] or self._views.hostname(record)
        config["Entrypoint"] = config["Entrypoint"] or None
        if version < Version(1, 44) and "MacAddress" not in config:
            config["MacAddress"] = ""
        return config

    def _host_config(self, record: Object) -> dict[str, Any]:
        if details.is_docker(record):
            return {
                **self._host_config_defaults,
                **details.host_config(record),
                "NetworkMode": details.network_mode(record),
            }
        sandbox = f"container:{record.spec['sandbox']}"
        memory = int(record.spec["resources"].get("memory_bytes") or 0)
        return {**self._host_config_defaults, "NetworkMode": sandbox, "Memory": memory}
