"""Records as the first version wrote them are read by this one."""

import asyncio
from ipaddress import IPv4Address, IPv4Network

from coracle.core.object import Meta, Object
from coracle.core.store import MemoryStore, Put
from coracle.engine.kinds import container as containers
from coracle.engine.kinds import image as images
from coracle.engine.kinds import sandbox as sandboxes
from coracle.engine.kinds.container import ContainerSpec, from_record
from coracle.engine.kinds.sandbox import DnsConfig, Endpoint, SandboxSpec
from coracle.engine.upgrades import upgrade
from coracle.net.api import Network


class Networks:
    def find(self, name):
        return Network(name, "cor0", IPv4Network("10.32.0.0/16"), IPv4Address("10.32.0.1"))


SANDBOX = {
    "spec": {
        "hostname": "web", "network": "pods", "host_network": False, "owner": "Pod default/web",
        "dns": {"servers": ["10.32.0.1"], "searches": [], "options": []}, "hosts": [], "shm_bytes": 67108864,
        "sysctls": {}, "share_pid": False,
    },
    "status": {"state": "ready", "address": "10.32.0.5", "netns_path": "/n", "ipcns_path": "", "utsns_path": ""},
}  # fmt: skip
CONTAINER = {
    "spec": {
        "name": "web", "sandbox": "pod", "image": "nginx", "argv": ["nginx"], "env": ["A=b"], "workdir": "/", "user": "",
        "groups": [], "mounts": [{"target": "/d", "source": "/s", "type": "bind", "options": [], "read_only": False}],
        "resources": {"memory_bytes": None, "pids": None}, "security": {"privileged": False, "add": [], "drop": []},
        "tty": False, "stdin": False, "stop_signal": "SIGTERM", "owner": "", "log_limit_bytes": 10, "oom_score_adj": 0,
        "pid_mode": "", "devices": [], "rlimits": {}, "image_id": "sha256:1",
    },
    "status": {"state": "running", "pid": 5},
}  # fmt: skip
IMAGE = {
    "spec": {
        "id": "sha256:" + "1" * 64, "references": ["nginx:latest"], "digests": [], "manifest": "sha256:" + "2" * 64,
        "size_bytes": 500, "chain_ids": ["sha256:a", "sha256:b"], "blobs": [], "config": {}, "created": "2026-01-01",
    }
}  # fmt: skip


def stored(kind, name, body):
    return Object(kind.name, Meta(name=name, uid="u-" + name), body, "engine/v1")


def upgraded(*objects):
    store = MemoryStore()

    async def run():
        await store.commit(*(Put(obj, 0) for obj in objects))
        await upgrade(store, Networks())
        revision = store.revision
        await upgrade(store, Networks())
        assert store.revision == revision  # what is of today's form is not written again

    asyncio.run(run())
    return store


def test_a_sandbox_of_one_network_has_an_endpoint():
    store = upgraded(stored(sandboxes.KIND, "pod", SANDBOX))
    record = store.find(sandboxes.TYPE, sandboxes.key("pod")).object()
    (plugged,) = record.status["endpoints"]
    assert (plugged["network"], plugged["address"], plugged["state"]) == ("pods", "10.32.0.5", "ready")
    assert (plugged["prefix"], plugged["gateway"], plugged["mac"]) == (16, "10.32.0.1", "02:42:0a:20:00:05")
    assert record.status["primary"] == "pods"
    spec = SandboxSpec(name="pod", endpoints=(Endpoint(network="pods"),), dns=DnsConfig(servers=("10.32.0.1",)))
    today = sandboxes.to_record(spec)
    assert set(today.spec) <= set(record.spec)
    assert set(record.spec["dns"]) == set(today.spec["dns"])
    assert record.spec["endpoints"] == today.spec["endpoints"]


def test_a_sandbox_of_the_host_has_none():
    body = {"spec": {**SANDBOX["spec"], "host_network": True}, "status": {**SANDBOX["status"], "address": ""}}
    record = upgraded(stored(sandboxes.KIND, "pod", body)).find(sandboxes.TYPE, sandboxes.key("pod")).object()
    assert record.status["endpoints"] == []


def test_a_container_has_every_field():
    record = upgraded(stored(containers.KIND, "c", CONTAINER)).find(containers.TYPE, containers.key("c")).object()
    today = containers.to_record("c", ContainerSpec(name="web", image="nginx"), "sha256:1")
    assert set(today.spec) <= set(record.spec)
    spec = from_record(record)
    assert (spec.name, spec.sandbox, spec.env, spec.made_by) == ("web", "pod", ("A=b",), "")


def test_an_image_has_sizes_and_a_platform():
    record = upgraded(stored(images.KIND, "1" * 64, IMAGE)).find(images.TYPE, images.key("1" * 64)).object()
    assert record.spec["layer_bytes"] == [500, 0]
    assert record.spec["platform"].startswith("linux/")
