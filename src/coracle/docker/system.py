"""What the engine says of itself: ping, version, info.

Source: Docker Engine API 1.50, "System"; moby api/types/system.Info; reference docker.md 1.1, 1.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from coracle.core.clock import Clock, rfc3339_micro
from coracle.core.errors import Unsupported
from coracle.core.store import Store
from coracle.core.tasks import offload
from coracle.docker.door import Route
from coracle.docker.host import Host, architecture, backing_filesystem, machine
from coracle.docker.versions import NEWEST, OLDEST, version_of
from coracle.engine.kinds import container as containers
from coracle.engine.kinds import image as images
from coracle.web.messages import Answer, Request, Response

ENGINE = "28.2.2"  # the dockerd whose behaviour this is: clients compare it

_HUB: dict[str, Any] = {"Name": "docker.io", "Mirrors": [], "Secure": True, "Official": True}


class System:
    def __init__(self, store: Store, clock: Clock, host: Host) -> None:
        self._store, self._clock, self._host = store, clock, host

    def routes(self) -> Iterable[Route]:
        return (
            Route("GET", "/_ping", self.ping),
            Route("HEAD", "/_ping", self.ping),
            Route("GET", "/version", self.version),
            Route("GET", "/info", self.info),
            Route("POST", "/session", self.unspoken),
            Route("POST", "/grpc", self.unspoken),
        )

    async def ping(self, request: Request) -> Answer:
        headers = {
            "Builder-Version": "1",
            "Swarm": "inactive",
            "Cache-Control": "no-cache, no-store, must-revalidate",
            "Pragma": "no-cache",
        }
        body = b"" if request.method == "HEAD" else b"OK"
        return Response(200, body, headers, "text/plain; charset=utf-8")

    async def unspoken(self, request: Request) -> Answer:
        raise Unsupported("BuildKit's protocol is not spoken here: set DOCKER_BUILDKIT=0", status=501)

    async def version(self, _request: Request) -> Answer:
        host, facts = self._host, machine()
        common = {
            "ApiVersion": str(NEWEST),
            "MinAPIVersion": str(OLDEST),
            "Os": "linux",
            "Arch": architecture(),
            "KernelVersion": facts["KernelVersion"],
            "GitCommit": "",
            "GoVersion": "",
            "BuildTime": "",
        }
        details = {**common, "Experimental": "false"}
        components = [
            {"Name": "Engine", "Version": ENGINE, "Details": details},
            {"Name": "coracle", "Version": host.version, "Details": {}},
            *({"Name": name, "Version": version, "Details": {}} for name, version in host.programs.items()),
        ]
        platform = {"Name": f"Coracle {host.version}"}
        return Response.of(200, {"Platform": platform, "Version": ENGINE, "Components": components, **common})

    async def info(self, request: Request) -> Answer:
        facts = await offload(self._facts)
        if version_of(request) < (1, 49):
            del facts["FirewallBackend"]
        return Response.of(200, facts)

    def _facts(self) -> dict[str, Any]:
        host = self._host
        return {
            "ID": host.id,
            **self._counts(),
            "Images": len(self._store.entries(images.TYPE)),
            **machine(),
            **host.proxies,
            **_ABILITIES,
            "Driver": "overlay2",
            "DriverStatus": [
                ["Backing Filesystem", backing_filesystem(host.root_path)],
                ["Supports d_type", "true"],
                ["Using metacopy", "false"],
                ["Native Overlay Diff", "true"],
                ["userxattr", "false"],
            ],
            "SystemTime": rfc3339_micro(self._clock.now_s()),
            "CgroupDriver": "cgroupfs",
            "CgroupVersion": str(host.cgroups),
            "DockerRootDir": host.root_path,
            "ServerVersion": ENGINE,
            "Runtimes": {host.runtime: {"path": host.runtime}},
            "DefaultRuntime": host.runtime,
            "SecurityOptions": ["name=seccomp,profile=builtin", *(["name=cgroupns"] if host.cgroups == 2 else [])],
            "ContainerdCommit": {"ID": ""},
            "RuncCommit": {"ID": host.programs.get(host.runtime, "")},
            "InitCommit": {"ID": ""},
            "Labels": [f"io.coracle.cloud={host.name}"],
        }

    def _counts(self) -> Mapping[str, int]:
        states = [_state(entry.object().status) for entry in self._store.entries(containers.TYPE)]
        running, paused = states.count("running"), states.count("paused")
        return {
            "Containers": len(states),
            "ContainersRunning": running,
            "ContainersPaused": paused,
            "ContainersStopped": len(states) - running - paused,
        }


def _state(status: Mapping[str, Any]) -> str:
    return "paused" if status.get("paused") else str(status["state"])


_ABILITIES: dict[str, Any] = {
    "Plugins": {
        "Volume": ["local"],
        "Network": ["bridge", "host", "null"],
        "Authorization": None,
        "Log": ["json-file", "local", "none"],
    },
    "MemoryLimit": True,
    "SwapLimit": True,
    "CpuCfsPeriod": True,
    "CpuCfsQuota": True,
    "CPUShares": True,
    "CPUSet": True,
    "PidsLimit": True,
    "OomKillDisable": False,
    "Debug": False,
    "NGoroutines": 0,
    "NEventsListener": 0,
    "LoggingDriver": "json-file",
    "IndexServerAddress": "https://index.docker.io/v1/",
    "RegistryConfig": {
        "AllowNondistributableArtifactsCIDRs": None,
        "AllowNondistributableArtifactsHostnames": None,
        "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128"],
        "IndexConfigs": {"docker.io": _HUB},
        "Mirrors": [],
    },
    "GenericResources": None,
    "ExperimentalBuild": False,
    "Swarm": {
        "NodeID": "",
        "NodeAddr": "",
        "LocalNodeState": "inactive",
        "ControlAvailable": False,
        "Error": "",
        "RemoteManagers": None,
    },
    "LiveRestoreEnabled": True,
    "Isolation": "",
    "InitBinary": "docker-init",
    "FirewallBackend": {"Driver": "nftables"},
    "CDISpecDirs": [],
    "Warnings": None,
}
