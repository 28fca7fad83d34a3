from ipaddress import IPv4Address

import pytest

from coracle.core.object import Meta, Object
from coracle.kube.proxy.endpoints import Endpoint
from coracle.kube.proxy.names import of_pod, of_service
from coracle.net.zones import Alias, Pointer, Service

IP, ONE, TWO = IPv4Address("100.64.0.9"), IPv4Address("10.32.0.5"), IPv4Address("10.32.0.6")
WEB = "web.default.svc.cluster.local"
PORTS = [{"name": "http", "port": 80, "protocol": "TCP"}]


def a_service(**spec):
    body = {"spec": {"clusterIP": str(IP), "ports": [{"port": 80, "protocol": "TCP"}], **spec}}
    return Object("Service", Meta(name="web", namespace="default"), body)


READY = Endpoint(str(ONE), {"http": 8080}, hostname="db-0")
UNREADY = Endpoint(str(TWO), {"http": 8080}, ready=False)


@pytest.mark.parametrize(
    ("service", "behind", "expected"),
    [
        pytest.param(a_service(ports=[]), (), {WEB: [IP], "9.0.64.100.in-addr.arpa": [Pointer(WEB)]}, id="its address"),
        pytest.param(
            a_service(ports=PORTS),
            (),
            {
                WEB: [IP, Service(WEB, 80)],
                "9.0.64.100.in-addr.arpa": [Pointer(WEB)],
                f"_http._tcp.{WEB}": [Service(WEB, 80)],
            },
            id="its named ports",
        ),
        pytest.param(
            a_service(),
            (),
            {WEB: [IP, Service(WEB, 80)], "9.0.64.100.in-addr.arpa": [Pointer(WEB)]},
            id="a port without a name",
        ),
        pytest.param(
            a_service(clusterIP="None", ports=PORTS),
            (READY, UNREADY),
            {
                WEB: [ONE, Service(f"db-0.{WEB}", 8080)],
                f"db-0.{WEB}": [ONE],
                "5.0.32.10.in-addr.arpa": [Pointer(f"db-0.{WEB}")],
                f"_http._tcp.{WEB}": [Service(f"db-0.{WEB}", 8080)],
            },
            id="headless: its ready addresses, by their names",
        ),
        pytest.param(
            a_service(clusterIP="None", publishNotReadyAddresses=True),
            (UNREADY,),
            {WEB: [TWO], f"10-32-0-6.{WEB}": [TWO], "6.0.32.10.in-addr.arpa": [Pointer(f"10-32-0-6.{WEB}")]},
            id="headless: unready ones where asked, by address",
        ),
        pytest.param(
            a_service(clusterIP="None"),
            (Endpoint(str(ONE), {"": 80}, hostname="a"), Endpoint(str(TWO), {"": 80}, hostname="b")),
            {
                WEB: [ONE, Service(f"a.{WEB}", 80, weight=50), TWO, Service(f"b.{WEB}", 80, weight=50)],
                f"a.{WEB}": [ONE],
                f"b.{WEB}": [TWO],
                "5.0.32.10.in-addr.arpa": [Pointer(f"a.{WEB}")],
                "6.0.32.10.in-addr.arpa": [Pointer(f"b.{WEB}")],
            },
            id="headless: places share the weight",
        ),
        pytest.param(a_service(clusterIP="None"), (), {}, id="headless with nothing behind"),
        pytest.param(
            a_service(type="ExternalName", externalName="db.example.com."),
            (),
            {WEB: [Alias("db.example.com")]},
            id="alias",
        ),
    ],
)
def test_names_of_a_service(service, behind, expected):
    assert of_service(service, behind, "cluster.local") == expected


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {"podIP": str(ONE)}, {"10-32-0-5.default.pod.cluster.local": [ONE]}),
        ({}, {}, {}),
        ({"hostNetwork": True}, {"podIP": "192.0.2.2"}, {}),
        ({}, {"podIP": str(ONE), "phase": "Failed"}, {}),
    ],
)
def test_names_of_a_pod(spec, status, expected):
    pod = Object("Pod", Meta(name="p", namespace="default"), {"spec": spec, "status": status})
    assert of_pod(pod, "cluster.local") == expected
