"""A node without Linux: the real kubelet and the real engine, on the fake runtime, network and snapshotter."""

import asyncio
import contextlib
from concurrent.futures import Executor, Future
from ipaddress import IPv4Address, IPv4Network

import pytest

from coracle.core import tasks
from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.informer import Informer
from coracle.core.object import Key, Meta, Object
from coracle.core.store import MemoryStore
from coracle.core.tasks import run_parts
from coracle.engine.containers import Containers
from coracle.engine.execs import Execs
from coracle.engine.files import Files
from coracle.engine.images import Images
from coracle.engine.kinds import image as images
from coracle.engine.logs import Logs
from coracle.engine.sandboxes import GivenNetworks, Sandboxes
from coracle.engine.scratch import Scratch
from coracle.image.blobs import BlobStore
from coracle.image.snapshots.fake import FakeSnapshotter
from coracle.kube.kinds import event, pod
from coracle.kube.kinds.catalogue import kinds
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.parts import Cluster, EngineServices, kubelet
from coracle.kube.kubelet.records import CONTAINER, INDEXES, SANDBOX, Records
from coracle.net.api import Network
from coracle.net.fake import FakeNet
from coracle.runtime.fake import FakeRuntime

KINDS = {kind.name: kind for kind in kinds()}
PODS = Network("pods", "cort0", IPv4Network("10.32.0.0/16"), IPv4Address("10.32.0.1"))
NODE = NodeConfig(name="node", address="192.0.2.2", cluster_dns="100.64.0.10", memory_bytes=8 << 30)


class Inline(Executor):
    """Blocking calls at once: virtual time does not wait for threads."""

    def submit(self, call, /, *arguments, **named):
        future = Future()
        try:
            future.set_result(call(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


class Machine:
    """What outlives a daemon: the store, the containers, the network and the files."""

    def __init__(self, root):
        self.root, self.store, self.clock = root, MemoryStore(), LoopClock()
        self.runtime, self.net = FakeRuntime(self.clock), FakeNet()
        self.net.networks[PODS.name] = PODS
        self.snapshotter = FakeSnapshotter(root / "snapshots")
        self.pods = Collection(pod.KIND, self.store, self.clock)
        self.events = Collection(event.KIND, self.store, self.clock)

    async def has_image(self, reference, **config):
        id = f"{abs(hash(reference)):064x}"[:64]
        spec = {
            "id": f"sha256:{id}", "references": [reference], "digests": [], "manifest": "", "size_bytes": 7,
            "chain_ids": [], "blobs": [], "created": "", "config": {"cmd": ["serve"], **config},
        }  # fmt: skip
        collection = Collection(images.KIND, self.store, self.clock)
        await collection.create(Object("Image", Meta(name=id), {"spec": spec}, images.API))

    @contextlib.asynccontextmanager
    async def daemon(self, *sources):
        """The engine and the kubelet, until the body ends."""
        store, clock, root = self.store, self.clock, str(self.root)
        found = Images(store, clock, BlobStore(self.root / "blobs"), self.snapshotter, sources)
        sandboxes = Sandboxes(store, clock, self.net, GivenNetworks([PODS]), root_path=root, run_path=f"{root}/run")
        sandboxes._is_whole = lambda record: record.status["netns_path"] in {"host", *self.net.namespaces}
        containers = Containers(store, clock, self.runtime, found, sandboxes, root_path=root)
        execs, logs = Execs(self.runtime, containers, sandboxes), Logs(containers)
        files = Files(containers, self.snapshotter)
        engine = EngineServices(sandboxes, containers, found, Scratch(root_path=root), execs, logs, files)
        caches = {type: Informer(type, store, INDEXES.get(type)) for type in ("Pod", CONTAINER, SANDBOX)}
        self.kubelet_records = Records(caches[SANDBOX], caches[CONTAINER])
        recorder = EventRecorder(self.events, clock, "kubelet", NODE.name)
        part = kubelet(engine, Cluster(caches, self.pods, store, recorder, clock), NODE)
        self.looks = part.looks
        async with asyncio.TaskGroup() as group:
            up = asyncio.Event()
            parts = [containers, *caches.values(), recorder, part]
            task = group.create_task(run_parts(parts, up.set))
            await up.wait()
            yield engine
            task.cancel()

    # -- looking -------------------------------------------------------------------------------------------------

    def collection(self, kind):
        return Collection(KINDS[kind], self.store, self.clock)

    async def create(self, name="web", *containers, labels=None, **spec):
        asked = containers or ({"name": "web", "image": "nginx:1"},)
        body = {"nodeName": NODE.name, "containers": list(asked), **spec}
        return await self.pods.create(Object("Pod", Meta(name=name, namespace="default"), {"spec": body}))

    def pod(self, name="web"):
        return self.pods.find(Key("default", name))

    def state(self, container="web", name="web"):
        """One word for a container's state: Running, or the reason why not."""
        one = next(one for one in self.pod(name).status["containerStatuses"] if one["name"] == container)
        ((word, details),) = one["state"].items()
        return details.get("reason", word)

    def said(self):
        """Reasons of the events so far, each once, in the order of their first time."""
        return list(
            dict.fromkeys(one.body["reason"] for one in sorted(self.events.list(), key=lambda e: e.meta.revision))
        )

    def messages(self, reason):
        return [one.body["message"] for one in self.events.list() if one.body["reason"] == reason]

    def records(self, type=CONTAINER):
        return [entry.object() for entry in self.store.entries(type)]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "_threads", Inline())
    return Machine(tmp_path)
