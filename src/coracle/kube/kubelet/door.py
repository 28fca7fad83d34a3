"""What the kubelet answers itself, behind nodes/proxy.

    /healthz                                         ok
    /pods, /runningpods/                             the pods of this node
    /stats/summary, /metrics/resource                what they use
    /metrics, /metrics/cadvisor                      how many there are, how full claims; as /metrics/resource
    /metrics/probes                                  what probes have found
    /configz                                         how the kubelet is set
    /containerLogs/{namespace}/{pod}/{container}     as pods/log
    /logs/{path}                                     the files below the host's /var/log

Source: kubelet's server; Kubernetes documentation, "Kubelet authentication/authorization" (its paths).
"""

from __future__ import annotations

import html
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from coracle.core.clock import Clock
from coracle.core.errors import NotFound
from coracle.core.informer import Informer
from coracle.core.object import Json, Key, Object
from coracle.core.tasks import offload
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.configuration import Settings
from coracle.kube.kubelet.configz import configz
from coracle.kube.kubelet.machine import read_stocks
from coracle.kube.kubelet.metering import Metering
from coracle.kube.kubelet.streams import PodStreams
from coracle.kube.kubelet.summary import (
    Use,
    Used,
    counts_exposition,
    exposition,
    probes_exposition,
    summary,
    volumes_exposition,
)
from coracle.kube.kubelet.volumes.metering import VolumeMeter, VolumeUse
from coracle.linux.rooted import open_in_root
from coracle.web.messages import Answer, Handler, Request, Response, Stream
from coracle.web.router import Router

LOGS = Path("/var/log")
LOG_BYTES = 16 * 1024 * 1024  # of a file below /logs: its end
_TEXT = "text/plain; charset=utf-8"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

Looks = Callable[[Object], Mapping[tuple[str, str, str], int]]
"""What the probes of a pod have found (`Notes.looks`)."""


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What `/containerLogs?tailLines=&follow=&previous=&timestamps=&limitBytes=` asks for (`streams.LogWish`)."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_at_s: float | None = None
    limit_bytes: int | None = None


def read_log_query(request: Request) -> LogQuery:
    flags = {name: request.query.get(name).lower() in ("true", "1") for name in ("follow", "previous", "timestamps")}
    numbers = [request.query.get(name) for name in ("tailLines", "limitBytes")]
    tail, limit = (int(text) if text.isdigit() and len(text) < 19 else None for text in numbers)
    return LogQuery(**flags, tail_lines=tail, limit_bytes=limit)


@dataclass(frozen=True, slots=True)
class KubeletDoor:
    """Answers requests whose path is below nodes/{name}/proxy.  `pods`: the cache of Pods."""

    pods: Informer
    streams: PodStreams
    meter: Metering
    config: NodeConfig
    clock: Clock
    volumes: VolumeMeter
    looks: Looks
    settings: Settings = field(default_factory=Settings)

    @property
    def handler(self) -> Handler:
        router = Router()
        pages: dict[str, Handler] = {
            "/healthz": self._health,
            "/healthz/{check:path}": self._health,
            "/pods": self._pods,
            "/pods/": self._pods,
            "/runningpods/": self._running_pods,
            "/configz": self._settings,
            "/stats/summary": self._summary,
            "/metrics": self._counts,
            "/metrics/resource": self._resources,
            "/metrics/cadvisor": self._resources,
            "/metrics/probes": self._probes,
            "/containerLogs/{namespace}/{pod}/{container}": self._container_log,
            "/logs": self._host_log,
            "/logs/{path:path}": self._host_log,
        }
        for path, page in pages.items():
            router.add("GET", path, page)
        return router.dispatch

    async def _health(self, _request: Request) -> Answer:
        return Response(200, b"ok", content_type=_TEXT)

    async def _pods(self, _request: Request) -> Answer:
        return Response.of(200, _listed(self._here()))

    async def _running_pods(self, _request: Request) -> Answer:
        return Response.of(200, _listed(pod for pod in self._here() if self.meter.counters(pod)))

    async def _settings(self, _request: Request) -> Answer:
        stocks = await offload(read_stocks, self.config.disk_path)
        return Response.of(200, configz(self.config, self.settings, stocks))

    async def _summary(self, _request: Request) -> Answer:
        return Response.of(200, summary(replace(await self._used(), volumes=await self._volumes())))

    async def _resources(self, _request: Request) -> Answer:
        return Response(200, exposition(await self._used()).encode(), content_type=_PROMETHEUS)

    async def _probes(self, _request: Request) -> Answer:
        text = probes_exposition((pod, self.looks(pod)) for pod in self._here())
        return Response(200, text.encode(), content_type=_PROMETHEUS)

    async def _counts(self, _request: Request) -> Answer:
        text = counts_exposition(self.config.name, [len(self.meter.counters(pod)) for pod in self._here()])
        volumes = await self._volumes()
        claimed = [(pod.meta.namespace, use) for pod in self._here() for use in volumes[pod.meta.uid] if use.claim]
        return Response(200, f"{text}{volumes_exposition(claimed)}".encode(), content_type=_PROMETHEUS)

    async def _container_log(self, request: Request) -> Answer:
        params = request.params
        pod = self.pods.find(Key(params["namespace"], params["pod"]))
        if pod is None:
            raise NotFound(f'pod "{params["pod"]}" does not exist')
        lines = await self.streams.logs(pod, params["container"], read_log_query(request))
        return Stream(200, lines, content_type="text/plain")

    async def _host_log(self, request: Request) -> Answer:
        try:
            body, content_type = await offload(_read_log, request.params.get("path", ""))
        except OSError as error:
            raise NotFound("404 page not found") from error
        return Response(200, body, content_type=content_type)

    def _here(self) -> list[Object]:
        return [pod for pod in self.pods.list() if pod.spec.get("nodeName") == self.config.name]

    async def _volumes(self) -> dict[str, list[VolumeUse]]:
        """By the uids of the pods."""
        return {pod.meta.uid: await self.volumes.measured(pod) for pod in self._here()}

    async def _used(self) -> Used:
        pods = self._here()
        machine, measured = (await self.meter.node()).amounts[""], await self.meter.pods(pods)
        found = []
        for pod in pods:
            rates = measured[pod.meta.uid].amounts if pod.meta.uid in measured else {}
            uses = {
                name: Use(sample.cpu_ns, rates[name].cpu_nano, sample.memory_bytes)
                for name, sample in self.meter.counters(pod).items()
                if name in rates
            }
            found.append((pod, uses))
        whole = self.meter.machine()
        node = Use(whole.cpu_ns, machine.cpu_nano, whole.memory_bytes)
        stocks = await offload(read_stocks, self.config.disk_path)
        return Used(self.config.name, self.clock.now_s(), node, tuple(found), stocks=stocks)


def _listed(pods: Iterable[Object]) -> Json:
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [pod.to_json() for pod in pods]}


def _read_log(path: str) -> tuple[bytes, str]:
    """A file below /var/log, or a page of what a directory holds; and its content type.  Raises OSError."""
    root = os.open(LOGS, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = open_in_root(root, path or ".", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    finally:
        os.close(root)
    try:
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            return _directory(fd), "text/html; charset=utf-8"
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(path)
        with open(fd, "rb", closefd=False) as file:
            file.seek(max(0, found.st_size - LOG_BYTES))
            return file.read(LOG_BYTES), _TEXT
    finally:
        os.close(fd)


def _directory(fd: int) -> bytes:
    with os.scandir(fd) as entries:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in entries)
    lines = [f'<a href="{quote(name)}">{html.escape(name)}</a>\n' for name in names]
    return "".join(("<pre>\n", *lines, "</pre>\n")).encode("utf-8", "surrogateescape")
