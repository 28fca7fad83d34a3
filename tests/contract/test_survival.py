"""The daemon dies with kill -9, or is taken down, and comes back: pods live on (issue: "Must be shown", 6)."""

import json
import os
import re
import select
import signal
import urllib.request
from pathlib import Path

import pytest

from coracle.testing.cloud import Cloud

PODS = """
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 2
  selector: {app: web}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: www, image: nginx}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, nodePort: 30005}]  # of those that no cloud gives unasked
---
apiVersion: v1
kind: Pod
metadata: {name: ticker}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: busybox, command: [sh, -c, "n=0; while :; do n=$((n+1)); echo $n; sleep 0.2; done"]}
"""


def ender(name, path):
    """A pod that ends with 42 once the file `go` is in the host's directory `path`."""
    wait = "echo waiting; while ! test -e /host/go; do sleep 0.1; done; echo done; exit 42"
    mount = {"name": "host", "mountPath": "/host"}
    main = {"name": "main", "image": "busybox", "command": ["sh", "-c", wait], "volumeMounts": [mount]}
    volumes = [{"name": "host", "hostPath": {"path": str(path)}}]
    spec = {"restartPolicy": "Never", "volumes": volumes, "containers": [main]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def cloud(tmp_path_factory):
    with Cloud.started(Path(tmp_path_factory.mktemp("survival"))) as cloud:
        cloud.kubectl("create", "-f", "-", input=PODS)
        cloud.wait_for(lambda: ready(cloud, 3), 120)
        cloud.wait_for(lambda: cloud.json("get", "endpoints", "web")["subsets"][0]["addresses"][1])
        cloud.wait_for(lambda: answers(cloud))
        yield cloud


def ready(cloud, count):
    pods = cloud.json("get", "pods")["items"]
    ours = [p for p in pods if p["metadata"].get("labels", {}).get("app") == "web" or p["metadata"]["name"] == "ticker"]
    states = [c["ready"] for p in ours for c in p["status"].get("containerStatuses", [{"ready": False}])]
    return ours if all(states) and len(ours) == count else None


def identities(cloud):
    """What of every running container stays if nothing is restarted."""
    return {
        (pod["metadata"]["uid"], pod["status"]["podIP"], c["containerID"], c["restartCount"])
        for pod in ready(cloud, 3)
        for c in pod["status"]["containerStatuses"]
    }


def processes(cloud):
    """Pid and start time of every process in the cloud's cgroups."""
    found = set()
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if f"/coracle/{cloud.name}/" in (directory / "cgroup").read_text():
                stat = (directory / "stat").read_text().rpartition(")")[2].split()
                if Path(f"/proc/{stat[1]}/comm").read_text() != "sh\n":  # a shell starts one `sleep` after the other
                    found.add((int(directory.name), stat[19]))
        except OSError:
            continue
    return found


def addresses(cloud):
    service = cloud.json("get", "service", "web")["spec"]
    return service["clusterIP"], service["ports"][0]["nodePort"]


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def answers(cloud, known=None):
    """The service answers at its cluster IP and its node port."""
    address, port = known or addresses(cloud)
    try:
        said = [get(f"http://{host}/") for host in (address, f"127.0.0.1:{port}") for _ in range(4)]
    except OSError:
        return False
    return all("Welcome to nginx!" in page for page in said)


def kill_daemon(cloud):
    """Kill it, and wait until the kernel says that it is gone."""
    pid = cloud.daemon_pid
    fd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([fd], [], [], 60)[0]
    os.close(fd)


def ticks(cloud):
    return [int(line) for line in cloud.kubectl("logs", "ticker").stdout.split()]


def ended(cloud, name):
    (status,) = cloud.json("get", "pod", name)["status"]["containerStatuses"]
    return status["state"]["terminated"]


def test_pods_outlive_a_killed_daemon_twice(cloud, tmp_path):
    for turn in (1, 2):
        outlive(cloud, f"ender{turn}", tmp_path)


def outlive(cloud, name, path):
    (path / "go").unlink(missing_ok=True)
    cloud.kubectl("create", "-f", "-", input=json.dumps(ender(name, path)))
    cloud.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    before, where, known = identities(cloud), processes(cloud), addresses(cloud)
    (ender_pid,) = {pid for pid, _ in where if "/host/go" in Path(f"/proc/{pid}/cmdline").read_text()}
    said = ticks(cloud)

    kill_daemon(cloud)
    assert cloud.kubectl("get", "pods", check=False).returncode == 1
    fd = os.pidfd_open(ender_pid)
    (path / "go").touch()
    assert select.select([fd], [], [], 60)[0]
    os.close(fd)
    left = {one for one in where if one[0] != ender_pid}
    assert left <= processes(cloud)
    assert answers(cloud, known)

    cloud.up()
    end = cloud.wait_for(lambda: ended(cloud, name))
    assert (end["exitCode"], end["reason"]) == (42, "Error")
    assert re.search(rf"{name}\s+0/1\s+Error\s+0", cloud.kubectl("get", "pods").stdout)
    assert cloud.kubectl("logs", name).stdout == "waiting\ndone\n"
    assert left <= processes(cloud)
    assert identities(cloud) == before
    assert {count for *_, count in before} == {0}
    assert addresses(cloud) == known
    everything_works(cloud, said)
    assert identities(cloud) == before


def everything_works(cloud, said):
    """Logs whole and going on, exec, scaling, and services that follow."""
    length = len(ticks(cloud))
    cloud.wait_for(lambda: len(ticks(cloud)) > max(length, len(said)))
    now = ticks(cloud)
    assert now == list(range(1, len(now) + 1))
    assert cloud.kubectl("exec", "ticker", "--", "echo", "here").stdout == "here\n"
    assert cloud.kubectl("exec", "ticker", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    oldest = [pod["metadata"]["name"] for pod in ready(cloud, 3)]
    cloud.kubectl("scale", "rc", "web", "--replicas=3")
    cloud.wait_for(lambda: ready(cloud, 4))
    new = next(p for p in ready(cloud, 4) if p["metadata"]["name"] not in oldest)
    cloud.wait_for(lambda: new["status"]["podIP"] in endpoints(cloud))
    assert answers(cloud)
    cloud.kubectl("scale", "rc", "web", "--replicas=2")
    cloud.wait_for(lambda: len(endpoints(cloud)) == 2 and ready(cloud, 3))
    assert {p["metadata"]["name"] for p in ready(cloud, 3)} == set(oldest)  # the youngest goes
    assert answers(cloud)


def endpoints(cloud):
    return {a["ip"] for subset in cloud.json("get", "endpoints", "web")["subsets"] for a in subset["addresses"]}


def test_a_deletion_asked_before_the_daemon_died_is_finished(cloud):
    cloud.kubectl("delete", "pod", "ticker", "--grace-period=6", "--wait=false")
    kill_daemon(cloud)
    cloud.up()
    cloud.kubectl("wait", "--for=delete", "pod/ticker", "--timeout=60s")
    assert cloud.wait_for(lambda: len(cloud.json("get", "pods")["items"]) == 2)


def test_a_second_daemon_is_refused(cloud):
    """`up` again finds the running one: the same pid, nothing new."""
    pid = cloud.daemon_pid
    cloud.up()
    assert cloud.daemon_pid == pid
    assert answers(cloud)


def test_down_and_up_brings_everything_back(cloud):
    known, uids = addresses(cloud), {uid for uid, *_ in identities(cloud)}
    cloud.down()
    assert processes(cloud) == set()
    assert not answers(cloud, known)
    cloud.up()
    cloud.wait_for(lambda: cloud.json("get", "rc", "web")["status"].get("readyReplicas") == 2, 60)
    assert addresses(cloud) == known
    cloud.wait_for(lambda: answers(cloud, known))
    web = cloud.json("get", "pods", "-l", "app=web")["items"]
    assert {pod["metadata"]["uid"] for pod in web} <= uids  # the same pods, their containers started again
    assert cloud.kubectl("exec", web[0]["metadata"]["name"], "--", "echo", "here").stdout == "here\n"
