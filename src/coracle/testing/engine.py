"""A whole engine on fakes: real services, a real blob store and log files, an imagined kernel and network.

    async with engine.running():
        container = await engine.run_container("sleep", "5")

Several engines may stand on one FakeRuntime, FakeNet, store and directory, one after another: that is a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from coracle.core.clock import Clock, LoopClock
from coracle.core.object import Object
from coracle.core.store import MemoryStore, Store
from coracle.core.tasks import running
from coracle.engine.containers import Containers, ContainerSpec
from coracle.engine.execs import Execs
from coracle.engine.images import Images, Progress
from coracle.engine.logs import Logs
from coracle.engine.sandboxes import Endpoint, GivenNetworks, Sandboxes, SandboxSpec
from coracle.engine.scratch import Scratch
from coracle.engine.volumes import Volumes
from coracle.image.blobs import BlobStore
from coracle.image.config import ImageConfig, Settings
from coracle.image.digests import digest_of
from coracle.image.manifest import OCI_CONFIG, OCI_LAYER, Descriptor, Manifest, Platform
from coracle.image.references import Reference
from coracle.image.snapshots.api import Snapshotter
from coracle.image.snapshots.fake import FakeSnapshotter
from coracle.image.terms import PLAIN, Terms
from coracle.net.api import Network
from coracle.net.fake import FakeNet
from coracle.runtime.fake import FakeRuntime

PODS = Network("pods", "corbr0", IPv4Network("10.32.0.0/16"), IPv4Address("10.32.0.1"))

FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/false\n",
    "etc/group": "root:x:0:\nweb:x:34:\nvideo:x:44:root,web\n",
}


def layer(files: Mapping[str, str]) -> bytes:
    """An uncompressed layer with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o644
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def put_image(blobs: BlobStore, settings: Settings, *layers: Mapping[str, str]) -> str:
    """An image in the blob store; the digest of its manifest."""
    tars = [layer(files) for files in layers or (FILES,)]
    config = ImageConfig(Platform(), settings, tuple(digest_of(tar) for tar in tars)).encode()
    described = [Descriptor(OCI_LAYER, digest_of(tar), len(tar)) for tar in tars]
    manifest = Manifest(Descriptor(OCI_CONFIG, digest_of(config), len(config)), tuple(described)).encode()
    for data in (*tars, config, manifest):
        blobs.put(data)
    return digest_of(manifest)


class FakeSource:
    """Knows the images it is given by their short names; `failures` are raised first; `fetched` says what was asked."""

    def __init__(self, blobs: BlobStore, name: str = "catalogue", *, remote: bool = False) -> None:
        self.name, self.remote, self._blobs = name, remote, blobs
        self.images: dict[str, tuple[Settings, Sequence[Mapping[str, str]]]] = {}
        self.failures: list[Exception] = []
        self.fetched: list[str] = []

    def add(self, name: str, settings: Settings, *layers: Mapping[str, str]) -> None:
        self.images[name] = (settings, layers)

    async def fetch(self, reference: Reference, progress: Progress, terms: Terms = PLAIN) -> str | None:
        self.fetched.append(reference.familiar)
        progress("fetching", 0, 1)
        await asyncio.sleep(0)  # nothing comes from elsewhere at once
        if self.failures:
            raise self.failures.pop(0)
        found = self.images.get(reference.familiar)
        if found is None:
            return None
        progress("fetching", 1, 1)
        return put_image(self._blobs, found[0], *found[1])

    async def tags(self, reference: Reference, terms: Terms = PLAIN) -> Sequence[str]:
        names = (name.rpartition(":") for name in self.images)
        return [tag for name, _, tag in names if name == reference.familiar_name]


class FakeEngine:
    """The engine's services, joined.  `before`: the engine that ran here until it died."""

    def __init__(self, root: Path, before: FakeEngine | None = None, store: Store | None = None) -> None:
        self.root = root
        self.clock: Clock = before.clock if before else LoopClock()
        self.store: Store = before.store if before else store or MemoryStore()
        self.runtime: FakeRuntime = before.runtime if before else FakeRuntime(self.clock)
        self.net: FakeNet = before.net if before else FakeNet()
        self.blobs: BlobStore = before.blobs if before else BlobStore(root / "images")
        self.snapshotter: Snapshotter = before.snapshotter if before else FakeSnapshotter(root / "snapshots")
        self.source: FakeSource = before.source if before else self._make_source()
        self.net.networks[PODS.name] = PODS
        paths: dict[str, Any] = {"root_path": str(root / "state"), "run_path": str(root / "run")}
        self.images = Images(self.store, self.clock, self.blobs, self.snapshotter, [self.source])
        self.sandboxes = Sandboxes(self.store, self.clock, self.net, GivenNetworks([PODS]), None, **paths)
        self.containers = Containers(
            self.store, self.clock, self.runtime, self.images, self.sandboxes, root_path=paths["root_path"]
        )
        self.execs = Execs(self.runtime, self.containers, self.sandboxes)
        self.logs = Logs(self.containers)
        self.scratch = Scratch(root_path=paths["root_path"])
        self.volumes = Volumes(self.store, self.clock, **paths)

    def _make_source(self) -> FakeSource:
        source = FakeSource(self.blobs)
        source.add("busybox:latest", Settings(cmd=("sleep", "infinity"), env=("PATH=/bin",)))
        source.add("nginx:latest", Settings(entrypoint=("nginx",), cmd=("-g", "daemon off;"), stop_signal="SIGQUIT"))
        return source

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The engine at work, until the body ends (or dies: that is a crash)."""
        async with running(self.containers):
            yield

    async def run_container(self, *argv: str, name: str = "web", sandbox: str = "pod-1") -> Object:
        """A busybox container that has been started."""
        created = await self.create_container(*argv, name=name, sandbox=sandbox)
        return await self.containers.start(created.meta.name)

    async def create_container(self, *argv: str, name: str = "web", sandbox: str = "pod-1", **more: object) -> Object:
        await self.images.ensure("busybox")
        plugged = (Endpoint(network=PODS.name),)
        await self.sandboxes.ensure(SandboxSpec(name=sandbox, hostname="mypod", endpoints=plugged))
        spec = ContainerSpec(name=name, sandbox=sandbox, image="busybox", argv=argv or None)
        return await self.containers.create(replace(spec, **more))  # type: ignore[arg-type]
