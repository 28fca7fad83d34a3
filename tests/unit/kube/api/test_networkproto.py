"""Services, endpoints, ingresses and policies as Go's clients send them: nothing of what they say is lost."""

import pytest

from coracle.kube.api.networkproto import TABLES
from coracle.kube.api.podproto import INT_OR_STRING
from coracle.kube.api.protobuf import parse_protobuf
from coracle.wire.protobuf import As, Map

NET = "networking.k8s.io/v1"
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
TARGET = {"kind": "Pod", "namespace": "default", "name": "web-0", "uid": "u"}


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def counted(number, raw):
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def one(number, type, value):
    """A field as Go writes it."""
    if type in ("int", "number", "bool", "flag"):
        return varint(number << 3) + varint(int(value))
    if type in ("string", "text"):
        return counted(number, value.encode())
    if type is INT_OR_STRING:
        value = {"type": 1, "text": value} if isinstance(value, str) else {"int": value}
    elif isinstance(type, As) and any(name == "*" for name, _ in type.table.values()):
        inner = {name for name, _ in next(kind for name, kind in type.table.values() if name == "*").values()}
        value = {
            **{k: v for k, v in value.items() if k not in inner},
            "*": {k: v for k, v in value.items() if k in inner},
        }
    return counted(number, message(value, type.table if isinstance(type, As) else type))


def message(doc, table):
    out = b""
    for number, (name, type) in table.items():
        if name not in doc:
            continue
        if isinstance(type, list):
            out += b"".join(one(number, type[0], item) for item in doc[name])
        elif isinstance(type, Map):
            pairs = ({"key": key, "value": value} for key, value in doc[name].items())
            out += b"".join(one(number, {1: ("key", "string"), 2: ("value", type.value)}, pair) for pair in pairs)
        else:
            out += one(number, type, doc[name])
    return out


DOCS = [
    {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": {"a": "b"}},
        "spec": {
            "type": "LoadBalancer", "selector": {"app": "web"}, "clusterIP": "100.64.0.20", "clusterIPs": ["100.64.0.20"],
            "ports": [
                {"name": "http", "protocol": "TCP", "port": 80, "targetPort": "http", "appProtocol": "kubernetes.io/h2c"},
                {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 5353, "nodePort": 30053},
            ],
            "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            "externalIPs": ["192.0.2.1"], "loadBalancerIP": "192.0.2.2", "loadBalancerSourceRanges": ["192.0.2.0/24"],
            "externalTrafficPolicy": "Local", "healthCheckNodePort": 30054, "publishNotReadyAddresses": True,
            "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"], "allocateLoadBalancerNodePorts": False,
            "loadBalancerClass": "example.com/x", "internalTrafficPolicy": "Cluster", "trafficDistribution": "PreferSameNode",
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.2", "ipMode": "VIP", "ports": [{"port": 80, "protocol": "TCP"}]}]}},
    },
    {
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"},
        "subsets": [{
            "addresses": [{"ip": "10.0.0.1", "hostname": "db-0", "nodeName": "n1", "targetRef": TARGET}],
            "notReadyAddresses": [{"ip": "10.0.0.2"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        }],
    },
    {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "web-1"}, "addressType": "IPv4",
        "endpoints": [{
            "addresses": ["10.0.0.1"], "conditions": {"ready": True, "serving": True, "terminating": False},
            "hostname": "db-0", "targetRef": TARGET, "nodeName": "n1", "zone": "a",
            "hints": {"forZones": [{"name": "a"}], "forNodes": [{"name": "n1"}]},
        }],
        "ports": [{"name": "", "protocol": "TCP", "port": 80}],
    },
    {
        "apiVersion": NET, "kind": "Ingress", "metadata": {"name": "front"},
        "spec": {
            "defaultBackend": {"resource": {"apiGroup": "a.b", "kind": "Bucket", "name": "b"}}, "ingressClassName": "nginx",
            "rules": [
                {"host": "shop.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}},
                {"host": "all.example"},
            ],
            "tls": [{"hosts": ["shop.example"], "secretName": "cert"}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    },
    {
        "apiVersion": NET, "kind": "IngressClass", "metadata": {"name": "nginx"},
        "spec": {
            "controller": "example.com/x",
            "parameters": {"apiGroup": "a.b", "kind": "K", "name": "n", "scope": "Namespace", "namespace": "x"},
        },
    },
    {
        "apiVersion": NET, "kind": "NetworkPolicy", "metadata": {"name": "closed"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress", "Egress"],
            "ingress": [{
                "ports": [{"protocol": "TCP", "port": "http"}, {"port": 80, "endPort": 90}],
                "from": [{"podSelector": {}, "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}],
            }],
            "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}],
        },
    },
    {
        "apiVersion": NET, "kind": "IPAddress", "metadata": {"name": "10.0.0.1"},
        "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "web"}},
    },
    {
        "apiVersion": NET, "kind": "ServiceCIDR", "metadata": {"name": "more"}, "spec": {"cidrs": ["10.0.0.0/8"]},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "r", "message": "m"}]},
    },
]  # fmt: skip


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc["kind"])
def test_what_was_sent_is_read(doc):
    type = {1: ("apiVersion", "string"), 2: ("kind", "string")}
    inner = message(doc, TABLES[doc["apiVersion"], doc["kind"]])
    assert parse_protobuf(b"k8s\x00" + counted(1, message(doc, type)) + counted(2, inner)) == doc


def test_every_table_is_read_once():
    assert {(doc["apiVersion"], doc["kind"]) for doc in DOCS} == set(TABLES)
