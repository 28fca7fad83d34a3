"""The lecture's Kubernetes session, typed into the real kubectl (issue: "Must be shown", 1 to 4)."""

import ipaddress
import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "lecture"


def pods(space, selector="app=mywebapp"):
    """The pods that are there and not going."""
    found = space.json("get", "pods", "-l", selector)["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def all_running(space, count, selector="app=mywebapp"):
    found = pods(space, selector)
    ready = [p for p in found if all(c["ready"] for c in p["status"].get("containerStatuses", [{"ready": False}]))]
    return found if len(found) == len(ready) == count else None


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def page(space, url):
    """What is there, once somebody answers: rules and programs follow a moment after what is told of them."""

    def answered():
        try:
            return get(url)
        except OSError:
            return ""

    return space.wait_for(answered)


def describe_field(space, kind, name, field):
    return re.search(rf"^{field}:\s+(.*)$", space.text("describe", kind, name), re.MULTILINE)[1]


def test_a_pod_with_two_containers(space, cloud):
    nowhere = {"spec": {"nodeSelector": {"nowhere": "x"}}}
    space.kubectl("run", "nowhere", "--image=busybox", f"--overrides={json.dumps(nowhere)}")
    with subprocess.Popen(
        ["kubectl", "-n", space.namespace, "get", "pods", "-w"],
        env=cloud.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        lines = [watching.stdout.readline(), watching.stdout.readline()]
        assert lines[-1].startswith("nowhere")  # from here on it sees everything
        space.kubectl("delete", "pod", "nowhere")
        assert space.text("create", "-f", EXAMPLES / "pod.yaml") == "pod/mysmallpod created\n"
        space.kubectl("wait", "--for=condition=Ready", "pod/mysmallpod", "--timeout=120s")
        while "2/2" not in lines[-1]:
            lines.append(watching.stdout.readline())
            assert lines[-1], lines
        watching.terminate()
    assert any(re.search(r"mysmallpod\s+0/2\s+ContainerCreating\s+0", line) for line in lines), lines
    assert re.search(r"mysmallpod\s+2/2\s+Running\s+0", lines[-1])

    said = space.text("describe", "pod", "mysmallpod")
    for expected in (
        r"Node:\s+\S+/[\d.]+",
        r"Labels:\s+app=web",
        r"Status:\s+Running",
        r"Scheduled",
        r"Pulled",
        r"Started",
    ):
        assert re.search(expected, said), said
    address = re.search(r"^IP:\s+(\S+)", said, re.MULTILINE)[1]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(cloud.chosen["pod_cidr"])

    # both containers have this address, and meet on localhost
    for container in ("www", "keyvaluestore"):
        assert address in space.text("exec", "mysmallpod", "-c", container, "--", "cat", "/etc/hosts")
    ping = "exec 3<>/dev/tcp/127.0.0.1/6379; echo PING >&3; head -1 <&3"
    met = space.wait_for(lambda: space.text("exec", "mysmallpod", "-c", "www", "--", "bash", "-c", ping))
    assert met.strip() == "+PONG"
    assert "Welcome to nginx!" in page(space, f"http://{address}/")

    assert 'pod "mysmallpod" deleted' in space.text("delete", "pod", "mysmallpod")
    assert space.text("get", "pods", "-o", "name") == ""


def test_two_pods_have_two_addresses(space):
    manifest = (EXAMPLES / "pod.yaml").read_text()
    for name in ("one", "two"):
        space.kubectl("create", "-f", "-", input=manifest.replace("mysmallpod", name))
    found = space.wait_for(lambda: all_running(space, 2, "app=web"))
    assert len({pod["status"]["podIP"] for pod in found}) == 2


@pytest.fixture
def rc(space):
    assert space.text("create", "-f", EXAMPLES / "rc.yaml") == "replicationcontroller/my-rc created\n"
    space.wait_for(lambda: all_running(space, 4))
    space.wait_for(lambda: space.json("get", "rc", "my-rc")["status"].get("readyReplicas") == 4)
    return space


def test_a_replication_controller(rc):
    assert re.search(r"NAME\s+DESIRED\s+CURRENT\s+READY\s+AGE\nmy-rc\s+4\s+4\s+4\s+\d+s\n", rc.text("get", "rc"))
    said = rc.text("describe", "rc", "my-rc")
    assert re.search(r"Selector:\s+app=mywebapp", said)
    assert re.search(r"Replicas:\s+4 current / 4 desired", said)
    assert re.search(r"Pods Status:\s+4 Running / 0 Waiting / 0 Succeeded / 0 Failed", said)
    assert len(re.findall(r"SuccessfulCreate .* Created pod: my-rc-\w{5}", said)) == 4

    assert "replicationcontroller/my-rc scaled" in rc.text("scale", "rc", "my-rc", "--replicas=2")
    rc.wait_for(lambda: all_running(rc, 2))
    rc.kubectl("scale", "rc", "my-rc", "--replicas=5")
    rc.wait_for(lambda: all_running(rc, 5))
    rc.wait_for(lambda: re.search(r"my-rc\s+5\s+5\s+5", rc.text("get", "rc", "my-rc")))


def test_a_deleted_pod_is_replaced(rc):
    before = {pod["metadata"]["name"] for pod in pods(rc)}
    gone = sorted(before)[0]
    rc.kubectl("delete", "pod", gone)
    after = {pod["metadata"]["name"] for pod in rc.wait_for(lambda: all_running(rc, 4))}
    assert gone not in after
    assert len(after & before) == 3


def pids_of(address, program):
    """The host's pids of `program` in the network namespace that has `address`."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if (directory / "comm").read_text().strip() == program and f" {address}\n" in _local_addresses(directory):
                found.append(int(directory.name))
        except OSError:
            continue
    return found


def _local_addresses(directory):
    trie = (directory / "net" / "fib_trie").read_text()
    return "".join(f" {address}\n" for address in re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", trie))


def test_a_killed_process_comes_back(rc):
    victim = pods(rc)[0]
    name, address = victim["metadata"]["name"], victim["status"]["podIP"]
    (pid,) = rc.wait_for(lambda: pids_of(address, "redis-server"))
    os.kill(pid, signal.SIGKILL)

    def restarted():
        statuses = rc.json("get", "pod", name)["status"]["containerStatuses"]
        store = next(status for status in statuses if status["name"] == "keyvaluestore")
        return store["restartCount"] == 1 and store["ready"] and store

    store = rc.wait_for(restarted)
    assert store["lastState"]["terminated"]["exitCode"] == 137
    rc.wait_for(lambda: len(pids_of(address, "redis-server")) == 1)  # the program comes a moment after the start
    assert rc.json("get", "pod", name)["status"]["podIP"] == address


def tagged(space):
    """Let each pod's nginx say the pod's name."""
    for pod in pods(space):
        name = pod["metadata"]["name"]
        page = "echo $HOSTNAME > /var/www/html/index.html || echo $HOSTNAME > /usr/share/nginx/html/index.html"
        space.kubectl("exec", name, "-c", "frontend", "--", "sh", "-c", page)
    return {pod["metadata"]["name"] for pod in pods(space)}


def test_a_service_spreads_over_its_pods(rc, cloud):
    assert rc.text("create", "-f", EXAMPLES / "service.yaml") == "service/my-service created\n"
    address = rc.json("get", "service", "my-service")["spec"]["clusterIP"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(cloud.chosen["service_cidr"])
    rc.wait_for(lambda: describe_field(rc, "service", "my-service", "Endpoints").endswith("+ 1 more..."))
    names = tagged(rc)
    page(rc, f"http://{address}/")
    from_host = [get(f"http://{address}/").strip() for _ in range(60)]
    assert set(from_host) == names

    fetch = "import urllib.request as r; print([r.urlopen('http://{}/').read().decode().strip() for _ in range(60)])"
    pod = sorted(names)[0]
    for where in (address, "my-service", f"my-service.{rc.namespace}.svc.cluster.local"):
        said = fetched_in_pod(rc, pod, where, 60)
        assert set(said) == names, fetch

    rc.kubectl("scale", "rc", "my-rc", "--replicas=5")
    rc.wait_for(lambda: describe_field(rc, "service", "my-service", "Endpoints").endswith("+ 2 more..."))
    rc.kubectl("scale", "rc", "my-rc", "--replicas=1")
    rc.wait_for(lambda: all_running(rc, 1))
    only = pods(rc)[0]["status"]["podIP"]
    rc.wait_for(lambda: describe_field(rc, "service", "my-service", "Endpoints") == f"{only}:80")


def fetched_in_pod(space, pod, host, times):
    """What `times` requests for http://host/ answer, made by bash in the pod: the image has no other client."""
    one = f"exec 3<>/dev/tcp/{host}/80; printf 'GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n' >&3; sed '1,/^\\r*$/d' <&3"
    loop = f"for i in $(seq {times}); do ({one}); done"
    return space.text("exec", pod, "-c", "frontend", "--", "bash", "-c", loop).split()


def test_the_slide_as_printed_is_refused_and_corrected_it_works(rc):
    refused = rc.kubectl("create", "-f", EXAMPLES / "service-public-as-printed.yaml", check=False)
    assert refused.returncode == 1
    assert 'strict decoding error: unknown field "spec.ports[0].type"' in refused.stderr
    assert rc.kubectl("get", "service", "my-service", check=False).returncode == 1

    rc.kubectl("create", "-f", EXAMPLES / "service-public.yaml")
    port = int(re.search(r"NodePort:\s+<unset>\s+(\d+)/TCP", rc.text("describe", "service", "my-service"))[1])
    assert 30000 <= port <= 32767
    node = rc.json("get", "nodes")["items"][0]["status"]["addresses"]
    host = next(a["address"] for a in node if a["type"] == "InternalIP")
    rc.wait_for(lambda: rc.json("get", "endpoints", "my-service")["subsets"])
    for where in ("127.0.0.1", "localhost", host):
        assert "Welcome to nginx!" in page(rc, f"http://{where}:{port}/")
