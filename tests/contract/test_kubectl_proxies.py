"""Pods, services and the node through the API: `kubectl proxy` and `kubectl get --raw`, every verb, streams, WebSockets."""

import base64
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import uuid

import pytest

from contract.conftest import Space

SERVE = """
import base64, hashlib, json, ssl, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("upgrade") == "websocket":
            return self.talk()
        if self.path.startswith("/ticks"):
            return self.tick()
        said = {"method": self.command, "path": self.path, "bytes": len(body), "secret": "authorization" in self.headers}
        out, kind, status = json.dumps(said).encode(), "application/json", 200
        if self.path == "/page":
            out, kind = b'<a href="/next">next</a> <img src="pic.png">', "text/html; charset=utf-8"
        if self.path == "/go":
            status = 302
        self.send_response(status)
        fields = [("Content-Type", kind), ("Content-Length", str(len(out))), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
        for name, value in fields + ([("Location", "/there?x=1")] if status == 302 else []):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(out)
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer
    def tick(self):
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nfirst\\r\\n")
        self.rfile.readline()  # nothing comes until the client goes
    def talk(self):
        key = self.headers["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key).digest())
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
            b"Sec-WebSocket-Accept: " + accept + b"\\r\\n\\r\\n")
        head = self.rfile.read(2)
        mask = self.rfile.read(4)
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(head[1] & 127)))
        self.wfile.write(bytes((0x81, len(data))) + data.upper())
        self.close_connection = True
    def log_message(self, *words):
        print(*words, flush=True)
plain, secure = ThreadingHTTPServer(("", 8080), Echo), ThreadingHTTPServer(("", 8443), Echo)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
secure.socket = context.wrap_socket(secure.socket, server_side=True)
threading.Thread(target=secure.serve_forever, daemon=True).start()
plain.serve_forever()
"""
POD = {
    "metadata": {"name": "echo", "labels": {"app": "echo"}},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "tls", "secret": {"secretName": "tls"}}],
        "containers": [
            {
                "name": "main",
                "image": "python",
                "command": ["python3", "-u", "-c", SERVE],
                "ports": [{"containerPort": 8080, "name": "web"}, {"containerPort": 8443, "name": "tls"}],
                "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
                "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
            }
        ],
    },
}
SERVICE = {
    "metadata": {"name": "echo"},
    "spec": {
        "selector": {"app": "echo"},
        "ports": [
            {"name": "http", "port": 80, "targetPort": "web"},
            {"name": "https", "port": 443, "targetPort": "tls"},
        ],
    },
}


class Place(Space):
    """A namespace with a pod and a Service `echo`, and a `kubectl proxy`."""

    port = 0

    def base(self, sort, name):
        return f"/api/v1/namespaces/{self.namespace}/{sort}/{name}/proxy"

    def ask(self, method, path, body=None, headers=None):
        """Status, headers and body, through `kubectl proxy`."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def told(self, method, path, body=None, headers=None):
        status, _, text = self.ask(method, path, body, headers)
        assert status == 200, text
        return json.loads(text)


@pytest.fixture(scope="module")
def place(cloud, tmp_path_factory):
    place = Place(cloud, "proxies-" + uuid.uuid4().hex[:4])
    cloud.kubectl("create", "namespace", place.namespace)
    user = cloud.json("config", "view", "--raw")["users"][0]["user"]
    files = tmp_path_factory.mktemp("tls")
    for name in ("certificate", "key"):
        (files / name).write_bytes(base64.b64decode(user[f"client-{name}-data"]))
    place.kubectl("create", "secret", "tls", "tls", f"--cert={files}/certificate", f"--key={files}/key")
    kinds = {"Pod": POD, "Service": SERVICE}
    items = [{"apiVersion": "v1", "kind": kind, **doc} for kind, doc in kinds.items()]
    place.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    place.kubectl("wait", "--for=condition=Ready", "pod/echo", "--timeout=120s")
    place.wait_for(lambda: len(place.json("get", "endpoints", "echo").get("subsets", [])) == 1)
    command = ["kubectl", "proxy", "--port=0"]
    with subprocess.Popen(command, env=cloud.environment, stdout=subprocess.PIPE, text=True) as proxy:
        place.port = int(proxy.stdout.readline().rpartition(":")[2])
        yield place
        proxy.terminate()
    cloud.kubectl("delete", "namespace", place.namespace, "--wait=false")


@pytest.mark.parametrize(
    ("sort", "name"),
    [
        ("pods", "echo"),
        ("pods", "echo:8080"),
        ("pods", "http:echo:8080"),
        ("pods", "https:echo:8443"),
        ("services", "echo:http"),
        ("services", "echo:80"),
        ("services", "https:echo:443"),
        ("services", "https:echo:https"),
    ],
)
def test_what_a_name_means(place, sort, name):
    path = place.base(sort, name) + "/a%20b/c?x=1&y=%2F"
    assert json.loads(place.text("get", "--raw", path)) == {
        "method": "GET", "path": "/a%20b/c?x=1&y=%2F", "bytes": 0, "secret": False,
    }  # fmt: skip


def test_every_verb_arrives_with_its_body(place):
    for method in ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"):
        for base in (place.base("pods", "echo"), place.base("services", "echo:http")):
            assert place.told(method, f"{base}/x", b"12345")["method"] == method
    shown = {"Authorization": "Basic bWU6c2VjcmV0"}  # to the API alone
    assert place.told("POST", f"{place.base('pods', 'echo')}?x=1", b"1", shown) == {
        "method": "POST", "path": "/?x=1", "bytes": 1, "secret": False,
    }  # fmt: skip
    assert place.told("PUT", f"{place.base('pods', 'echo')}/big", bytes(8 << 20))["bytes"] == 8 << 20
    status, headers, body = place.ask("HEAD", f"{place.base('pods', 'echo')}/x")
    assert (status, body, headers["Content-Type"]) == (200, "", "application/json")


def test_answers_lead_through_the_proxy(place):
    base = place.base("services", "echo:http")
    for method in ("GET", "HEAD"):
        status, headers, _ = place.ask(method, f"{base}?x=1")
        assert (status, headers["Location"]) == (301, f"{base}/?x=1")
    status, headers, _ = place.ask("GET", f"{base}/go")
    assert (status, headers["Location"], headers.get_all("Set-Cookie")) == (302, f"{base}/there?x=1", ["a=1", "b=2"])
    _, headers, page = place.ask("GET", f"{base}/page")
    assert page == f'<a href="{base}/next">next</a> <img src="pic.png">'


def test_streams_come_as_they_are_made_and_websockets_pass(place):
    with socket.create_connection(("127.0.0.1", place.port), 20) as client, client.makefile("rb") as read:
        client.sendall(f"GET {place.base('pods', 'echo')}/ticks HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert "first\r\n" in (line.decode() for line in read)  # nothing comes after it
    key = base64.b64encode(os.urandom(16)).decode()
    change = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13"
    path = f"{place.base('services', 'https:echo:https')}/talk"
    with socket.create_connection(("127.0.0.1", place.port), 20) as client, client.makefile("rb") as read:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{change}\r\n\r\n".encode())
        assert read.readline().startswith(b"HTTP/1.1 101")
        while read.readline().strip():
            pass
        client.sendall(b"\x81\x85\x00\x00\x00\x00hello")
        assert read.read(7) == b"\x81\x05HELLO"


@pytest.mark.parametrize(
    ("sort", "name", "said"),
    [
        ("pods", "nobody", 'pods "nobody" not found'),
        ("pods", "ftp:echo:80", 'invalid pod request "ftp:echo:80"'),
        ("pods", "echo:81", "error trying to reach service: dial tcp .*:81: connect: connection refused"),
        ("services", "echo", 'no endpoints available for service "echo"'),
        ("services", "echo:81", 'no service port 81 found for service "echo"'),
        ("services", "written:http", 'no endpoints available for service "written:http"'),
    ],
)
def test_what_is_refused(place, sort, name, said):
    if name.startswith("written"):  # an address that is no pod's
        written = {"metadata": {"name": "written"}, "subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"name": "http", "port": 80}]}]}  # fmt: skip
        place.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "Endpoints", **written}))
    done = place.kubectl("get", "--raw", place.base(sort, name) + "/", check=False)
    assert done.returncode != 0
    assert re.search(said, done.stderr), done.stderr


def test_the_kubelet_answers_for_its_node(place):
    node = place.json("get", "nodes")["items"][0]["metadata"]["name"]

    def raw(path, name=node):
        return place.text("get", "--raw", f"/api/v1/nodes/{name}/proxy/{path}")

    place.wait_for(lambda: "echo" in raw("stats/summary"))
    summary = json.loads(raw("stats/summary"))
    (mine,) = (pod for pod in summary["pods"] if pod["podRef"]["namespace"] == place.namespace)
    assert summary["node"]["nodeName"] == node
    assert mine["containers"][0]["name"] == "main"
    assert mine["containers"][0]["memory"]["workingSetBytes"] > 1_000_000
    full = {one["name"].rpartition("-")[0] or one["name"]: one["usedBytes"] > 0 for one in mine["volume"]}
    assert full["kube-api-access"]
    wanted = f'container_memory_working_set_bytes{{container="main",namespace="{place.namespace}",pod="echo"}}'
    assert wanted in raw("metrics/resource")
    assert 'probe_type="Readiness",result="successful"}' in raw("metrics/probes")
    assert (raw("healthz"), raw("healthz", f"{node}:10250")) == ("ok", "ok")
    listed = [pod["metadata"]["name"] for pod in json.loads(raw("pods"))["items"]]
    assert "echo" in listed
    assert "GET" in raw(f"containerLogs/{place.namespace}/echo/main?tailLines=1")
    assert raw("logs/").startswith("<pre>")


def test_cluster_info_names_the_dns_service(place):
    assert "CoreDNS" in place.cloud.kubectl("cluster-info").stdout
    address, dns = (
        place.json("--namespace", room, "get", "service", name)["spec"]["clusterIP"]
        for room, name in (("default", "kubernetes"), ("kube-system", "kube-dns"))
    )
    assert f"nameserver {dns}" in place.text("exec", "echo", "--", "cat", "/etc/resolv.conf")
    ask = "import socket; print(socket.gethostbyname('kubernetes.default'))"
    assert place.text("exec", "echo", "--", "python3", "-c", ask).strip() == address
    labels = b"".join(bytes([len(one)]) + one.encode() for one in ["kubernetes", "default", "svc", "cluster", "local"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:  # from this machine, as pods in its network do
        asking.settimeout(5)
        asking.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1", (dns, 53))
        assert asking.recv(512).endswith(socket.inet_aton(address))
