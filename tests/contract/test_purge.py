"""`coracle down --purge` leaves the host as it was before `up` (issue: "Must be shown", 8)."""

import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from coracle.node.config import RUN, tag_of
from coracle.testing.cloud import Cloud

RUNNING = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  shareProcessNamespace: true
  volumes: [{name: scratch, emptyDir: {medium: Memory}}]
  containers:
  - {name: www, image: nginx}
  - {name: box, image: busybox, command: [sleep, "1000"], volumeMounts: [{name: scratch, mountPath: /scratch}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30006}]}
"""


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def of_cloud(cloud):
    """What of this cloud is on the host: other clouds may come and go meanwhile."""
    marks = (tag_of(cloud.name), cloud.name, str(cloud.root))
    listings = {
        "links": said("ip", "-o", "link"),
        "namespaces": said("ip", "netns"),
        "rules": said("nft", "list", "ruleset"),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "cgroups": "\n".join(_groups()),
        "run": "\n".join(str(path) for path in (*RUN.glob("*"), *RUN.glob(".chosen/*"))),
        "processes": "\n".join(_command_lines()),
    }
    if (cloud.root / "cloud.json").exists():
        marks += (cloud.chosen["pod_cidr"].rpartition(".")[0] + ".",)
    listings["routes"] = said("ip", "route")
    return {
        what: lines
        for what, text in listings.items()
        if (lines := [line for line in text.splitlines() if any(mark in line for mark in marks)])
    }


def _groups():
    """The control groups of all clouds; they come and go meanwhile, which `glob` does not bear."""
    for folder, below, _ in os.walk("/sys/fs/cgroup"):
        if folder.endswith("/coracle"):
            yield from (f"{folder}/{name}" for name in below)


def _command_lines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


@pytest.mark.parametrize("killed", [False, True], ids=["alive", "daemon killed"])
def test_nothing_is_left(tmp_path, killed):
    cloud = Cloud(tmp_path / "cloud")
    assert of_cloud(cloud) == {}
    try:
        cloud.up()
        cloud.kubectl("create", "-f", "-", input=RUNNING)
        cloud.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
        assert {"links", "rules", "mounts", "cgroups", "run", "processes", "routes"} <= set(of_cloud(cloud))
        if killed:
            kill_daemon(cloud)
    finally:
        cloud.coracle("down", "--purge")
    assert of_cloud(cloud) == {}
    assert not cloud.root.exists()


def kill_daemon(cloud):
    fd = os.pidfd_open(cloud.daemon_pid)
    signal.pidfd_send_signal(fd, signal.SIGKILL)
    assert select.select([fd], [], [], 60)[0]
    os.close(fd)
