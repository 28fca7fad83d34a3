"""Streams of pods by kubectl: logs of all sorts, attach, exec in any container, cp, run, port-forward."""

import asyncio
import base64
import json
import os
import pty
import re
import select
import socket
import subprocess
import urllib.request

import aiohttp
import pytest
from tests.contract.conftest import Space

SERVER = "echo hello from $0 > /tmp/index.html; httpd -f -p 127.0.0.1:8080 -h /tmp"
PODS = [
    {
        "metadata": {"name": "many"},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "initContainers": [
                {"name": "init", "image": "busybox", "command": ["sh", "-c", "echo first; echo second"]},
                {"name": "side", "image": "busybox", "restartPolicy": "Always", "command": ["sh", "-c", "echo side; exec sleep 1000"]},
            ],
            "containers": [
                {"name": "web", "image": "busybox", "command": ["sh", "-c", f"echo serving; {SERVER}", "web"]},
                {"name": "reader", "image": "busybox", "stdin": True, "command": ["sh", "-c", "while read line; do echo got $line; done; sleep 1000"]},
                {"name": "full", "image": "debian", "command": ["sh", "-c", "echo out; echo err >&2; exec sleep 1000"]},
            ],
        },
    },
    {
        "metadata": {"name": "again"},
        "spec": {"containers": [{"name": "main", "image": "busybox", "command": ["sh", "-c", "echo run $(date +%s%N); sleep 1; exit 1"]}]},
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def room(cloud):
    cloud.kubectl("create", "namespace", "pod-streams")
    room = Space(cloud, "pod-streams")
    items = [{"apiVersion": "v1", "kind": "Pod", **pod} for pod in PODS]
    room.kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    room.kubectl("wait", "--for=condition=Ready", "pod/many", "--timeout=60s")
    yield room
    cloud.kubectl("delete", "namespace", "pod-streams", "--wait=false")


@pytest.fixture
def start(room):
    """Start a kubectl that goes on until the test is over."""
    started = []

    def start(*words, **options):
        command = ["kubectl", "-n", room.namespace, *words]
        process = subprocess.Popen(command, env=room.cloud.environment, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


# -- logs


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-c", "init"), "first\nsecond\n"),
        (("-c", "init", "--tail=1"), "second\n"),
        (("-c", "init", "--since=1h", "--limit-bytes=6"), "first\n"),
        (("-c", "init", "--since-time=2100-01-01T00:00:00Z"), ""),
        (("-c", "side"), "side\n"),
        (("-c", "web", "--prefix"), "[pod/many/web] serving\n"),
    ],
)
def test_logs(room, words, expected):
    room.wait_for(lambda: room.text("logs", "many", *words) == expected)


def test_logs_of_all_containers(room):
    def said():
        return sorted(room.text("logs", "many", "--all-containers", "--prefix").splitlines())

    expected = [
        "[pod/many/full] err",
        "[pod/many/full] out",
        "[pod/many/init] first",
        "[pod/many/init] second",
        "[pod/many/side] side",
        "[pod/many/web] serving",
    ]
    room.wait_for(lambda: [line for line in said() if "reader" not in line] == expected)
    with_times = room.text("logs", "many", "--all-containers", "--timestamps").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ", line) for line in with_times)


def test_logs_of_the_run_before(room):
    def restarted():
        (status,) = room.json("get", "pod", "again")["status"]["containerStatuses"]
        return status["restartCount"] >= 1

    room.wait_for(restarted, 60)
    for words in (("--previous",), ()):
        room.wait_for(lambda words=words: room.text("logs", "again", *words).startswith("run "))
    never = room.kubectl("logs", "many", "-c", "web", "--previous", check=False)
    assert 'previous terminated container "web" in pod "many" not found' in never.stderr


def test_logs_want_a_container_by_its_name(room):
    refused = room.kubectl("logs", "many", "-c", "nobody", check=False)
    assert "container nobody is not valid for pod many" in refused.stderr


# -- exec, cp


@pytest.mark.parametrize(
    ("container", "websockets"),
    [("web", "true"), ("side", "true"), ("reader", "true"), ("full", "true"), ("web", "false")],
)
def test_exec_in_any_container(room, container, websockets, monkeypatch):
    monkeypatch.setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
    words = ("exec", "-i", "many", "-c", container, "--", "sh", "-c", "cat; hostname; exit 4")
    done = room.kubectl(*words, input="input\n", check=False)
    assert (done.returncode, done.stdout) == (4, "input\nmany\n")


def test_exec_where_it_cannot_be(room):
    over = room.kubectl("exec", "many", "-c", "init", "--", "true", check=False)
    assert over.returncode != 0
    missing = room.kubectl("exec", "many", "-c", "web", "--", "no-such-program", check=False)
    assert (missing.returncode != 0, "no-such-program" in missing.stderr) == (True, True)


def test_cp_in_any_container(room, tmp_path):
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "tree" / "below" / "file").write_text("x" * 300_000)
    room.kubectl("cp", str(tmp_path / "tree"), "many:/tmp/tree", "-c", "full")
    room.kubectl("cp", "many:/tmp/tree", str(tmp_path / "back"), "-c", "full")
    assert (tmp_path / "back" / "below" / "file").read_text() == "x" * 300_000


# -- attach, run


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_attach_hands_input_on_and_lets_go_at_its_end(room, start, websockets, monkeypatch):
    monkeypatch.setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
    attached = start("attach", "-i", "many", "-c", "reader", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    attached.stdin.write("one\ntwo\n")
    attached.stdin.flush()
    assert [attached.stdout.readline() for _ in range(2)] == ["got one\n", "got two\n"]
    attached.stdin.close()  # without stdinOnce, the container goes on for whoever comes next
    assert attached.wait(60) == 0


def test_attach_where_nothing_runs(room):
    refused = room.kubectl("attach", "many", "-c", "init", check=False)
    assert refused.returncode != 0


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_run_with_a_terminal_is_removed_when_one_leaves(room, websockets, monkeypatch):
    monkeypatch.setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
    ours, theirs = pty.openpty()
    words = ("run", "shell", "-it", "--rm", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never")
    command = ["kubectl", "-n", room.namespace, *words, "--", "sh"]
    with subprocess.Popen(command, env=room.cloud.environment, stdin=theirs, stdout=theirs, stderr=theirs) as shell:
        os.close(theirs)
        os.write(ours, b"echo $((40+2)) $(hostname); exit 3\n")
        said = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                said += os.read(ours, 4096)
            except OSError:
                break
        assert shell.wait(60) == 3, said
    os.close(ours)
    assert b"42 shell" in said
    assert room.kubectl("get", "pod", "shell", check=False).returncode == 1


# -- port-forward


def forwarded(forwarding, to):
    """The port that a `kubectl port-forward` has chosen."""
    said = forwarding.stdout.readline()
    return int(re.fullmatch(rf"Forwarding from 127\.0\.0\.1:(\d+) -> {to}\n", said)[1])


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_port_forward_reaches_the_loopback_of_a_pod(room, start, websockets, monkeypatch):
    monkeypatch.setenv("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets)
    room.kubectl("exec", "many", "-c", "web", "--", "sh", "-c", "head -c 3000000 /dev/zero > /tmp/big")
    port = forwarded(start("port-forward", "pod/many", ":8080", stdout=subprocess.PIPE, text=True), 8080)
    for _ in range(3):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/index.html", timeout=60) as page:
            assert page.read() == b"hello from web\n"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/big", timeout=60) as page:
        assert len(page.read()) == 3_000_000


def test_port_forward_to_where_nobody_listens(room, start):
    forwarding = start("port-forward", "pod/many", ":81", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with socket.create_connection(("127.0.0.1", forwarded(forwarding, 81)), timeout=60) as caller:
        assert caller.recv(10) == b""
    assert "failed to connect to localhost:81 inside the pod" in forwarding.stderr.readline()
    room.wait_for(lambda: forwarding.poll() is not None)


def test_a_pod_that_is_over_takes_no_connections(room):
    room.kubectl("run", "done", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--", "true")
    room.wait_for(lambda: room.json("get", "pod", "done")["status"]["phase"] == "Succeeded", 60)
    refused = room.kubectl("port-forward", "pod/done", ":80", check=False)
    assert "unable to forward port because pod is not running. Current status=Succeeded" in refused.stderr
    assert (
        "cannot exec into a container in a completed pod"
        in room.kubectl("exec", "done", "--", "true", check=False).stderr
    )


# -- plain WebSockets, without kubectl's own protocols


@pytest.fixture
def at_proxy(start):
    """Where `kubectl proxy` lets one ask the API without certificates."""
    proxy = start("proxy", "--port=0", "--reject-paths=^-$", stdout=subprocess.PIPE, text=True)
    return "http://" + proxy.stdout.readline().rpartition(" ")[2].strip()


def messages(url, protocol):
    """What comes over a WebSocket until its end."""

    async def listen():
        async with aiohttp.ClientSession() as session, session.ws_connect(url, protocols=[protocol]) as socket:
            assert socket.protocol == protocol
            return [message.data async for message in socket]

    return asyncio.run(listen())


def test_exec_in_the_first_protocol_of_channels(room, at_proxy):
    url = f"{at_proxy}/api/v1/namespaces/{room.namespace}/pods/many/exec?container=web&stdout=1&stderr=1&command="
    assert b"".join(messages(url + "hostname", "channel.k8s.io")) == b"\1many\n"
    failed = messages(url + "false", "channel.k8s.io")
    assert failed == [b"\3command terminated with non-zero exit code: exit status 1"]


def test_logs_over_a_websocket(room, at_proxy):
    url = f"{at_proxy}/api/v1/namespaces/{room.namespace}/pods/many/log?container=init"
    assert b"".join(messages(url, "binary.k8s.io")) == b"first\nsecond\n"


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v4.base64.channel.k8s.io"])
def test_port_forward_over_channels_as_other_clients_do(room, at_proxy, protocol):
    is_text = "base64" in protocol
    url = f"{at_proxy}/api/v1/namespaces/{room.namespace}/pods/many/portforward?ports=8080&ports=81"
    heard = dict.fromkeys(range(4), b"")

    async def talk():
        async with aiohttp.ClientSession() as session, session.ws_connect(url, protocols=[protocol]) as socket:
            asked = b"GET /index.html HTTP/1.0\r\n\r\n"
            await (
                socket.send_str("0" + base64.b64encode(asked).decode()) if is_text else socket.send_bytes(b"\0" + asked)
            )
            async for message in socket:
                channel = int(message.data[0])
                heard[channel] += base64.b64decode(message.data[1:]) if is_text else message.data[1:]

    asyncio.run(talk())
    ports = [int.from_bytes(said[:2], "little") for said in heard.values()]
    assert ports == [8080, 8080, 81, 81]
    assert heard[0][2:].endswith(b"hello from web\n")
    assert (heard[1][2:], heard[2][2:]) == (b"", b"")
    assert b"failed to connect to localhost:81 inside the pod" in heard[3]


@pytest.mark.parametrize("query", ["", "ports=0", "ports=x", "ports=65536", "ports=80&ports=", "ports=1,2,3,4,5,6"])
def test_ports_that_cannot_be_forwarded_over_channels(room, at_proxy, query):
    url = f"{at_proxy}/api/v1/namespaces/{room.namespace}/pods/many/portforward?{query}"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        messages(url, "v4.channel.k8s.io")
    assert refused.value.status == 400
