"""Health ports: opened, counted and closed as services ask."""

import asyncio
import json
import socket
from ipaddress import IPv4Address

from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.informer import Informer
from coracle.core.loop import Again
from coracle.core.object import Key, Meta, Object
from coracle.core.store import Delete, MemoryStore, Put
from coracle.core.tasks import running
from coracle.kube.kinds import event
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.proxy.endpoints import INDEXES, SLICE, Backends, Place
from coracle.kube.proxy.health import RETRY_S, HealthPorts, answer
from coracle.testing.kube import a_service
from suites.ports import free_port

WEB = Key("default", "web")


def test_what_is_said():
    said = answer(WEB, 2)
    assert (said.status, said.headers["X-Load-Balancing-Endpoint-Weight"]) == (200, "2")
    assert json.loads(said.body) == {
        "service": {"namespace": "default", "name": "web"},
        "localEndpoints": 2,
        "serviceProxyHealthy": True,
    }
    assert answer(WEB, 0).status == 503


async def asked(port):
    """The status line's code; 0 where nobody listens."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return 0
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    said = await reader.read()
    writer.close()
    return int(said.split()[1])


def a_slice(**conditions):
    endpoints = [{"addresses": ["10.32.0.5"], "nodeName": "n1", "conditions": conditions}]
    meta = Meta(name="web-1", namespace="default", labels={"kubernetes.io/service-name": "web"})
    return Object("EndpointSlice", meta, {"addressType": "IPv4", "endpoints": endpoints}, "discovery.k8s.io/v1")


def a_balancer(port):
    return a_service(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=port)


def test_ports_come_and_go():
    """On the real clock: the servers are real."""

    async def main():
        store, clock = MemoryStore(), LoopClock()
        services, slices = Informer("Service", store), Informer(SLICE, store, INDEXES[SLICE])
        recorder = EventRecorder(Collection(event.KIND, store, clock), clock, "test")
        health = HealthPorts(services, Backends(slices), recorder, Place("n1", IPv4Address("192.0.2.2")))
        one, other = free_port(), free_port()

        async def after(*changes):
            """What is asked for again, once this has been stored."""
            await store.commit(*changes)
            for cache in (services, slices):
                await cache.wait_revision(store.revision)
            return await health.reconcile(WEB)

        async with running(services), running(slices), running(health):
            await after(Put(a_balancer(one)))
            assert await asked(one) == 503
            await after(Put(a_slice(ready=True)))
            assert await asked(one) == 200
            await after(Put(a_slice(ready=False, serving=True, terminating=True)))
            assert await asked(one) == 503
            await after(Put(a_balancer(other)))
            assert (await asked(one), await asked(other)) == (0, 503)
            with socket.create_server(("127.0.0.1", one)):
                assert await after(Put(a_balancer(one))) == Again(RETRY_S)
                assert await asked(other) == 0
            assert await after(Put(a_balancer(one))) is None
            assert await asked(one) == 503
            await after(Delete("Service", WEB))
            assert await asked(one) == 0

    asyncio.run(main())
