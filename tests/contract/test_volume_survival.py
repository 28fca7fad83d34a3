"""The daemon dies with kill -9: volumes stay as they are, follow their sources again, and go with their pod."""

import os
import select
import signal
from pathlib import Path

import pytest

from contract.mounting import OBJECTS, VOLUMES, a_pod, create, inside, ready
from coracle.testing.cloud import Cloud

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


class Default:
    """The cloud's namespace `default`, as a `space`."""

    def __init__(self, cloud):
        self.kubectl, self.json, self.wait_for = cloud.kubectl, cloud.json, cloud.wait_for


@pytest.fixture
def cloud(tmp_path_factory):
    with Cloud.started(Path(tmp_path_factory.mktemp("volumes"))) as cloud:
        cloud.wait_for(lambda: cloud.kubectl("get", "serviceaccount", "default").stdout)
        yield cloud


def kill_daemon(cloud):
    """Kill it, and wait until the kernel says that it is gone."""
    fd = os.pidfd_open(cloud.daemon_pid)
    os.kill(cloud.daemon_pid, signal.SIGKILL)
    assert select.select([fd], [], [], 60)[0]
    os.close(fd)


def mounts_of(cloud):
    """What is mounted below the cloud's scratch, in its own mount namespace."""
    lines = Path(f"/proc/{cloud.daemon_pid}/mountinfo").read_text().splitlines()
    return [line for line in lines if f"{cloud.root}/scratch/" in line]


def test_volumes_outlive_the_daemon_and_leave_nothing(cloud):
    space = Default(cloud)
    cloud.kubectl("apply", "-f", "-", input=OBJECTS)
    volumes = {**VOLUMES, "data": {"persistentVolumeClaim": {"claimName": "data"}}}
    mounts = [
        {"name": "data", "mountPath": "/sub", "subPath": "a"},
        {"name": "settings", "mountPath": "/etc/single", "subPath": "plain.txt"},
    ]
    limits = {"resources": {"limits": {"cpu": "250m", "memory": "32Mi"}}}
    create(space, CLAIM, a_pod("lives", volumes, mounts, limits))
    ready(space, "lives")
    inside(space, "lives", "echo disk > /v/disk/f; echo memory > /v/memory/f; echo claim > /sub/f")
    before = mounts_of(cloud)
    assert len(before) == 6  # keys, all, memory, the token, two parts

    kill_daemon(cloud)
    cloud.up()
    assert inside(space, "lives", "cat /v/disk/f /v/memory/f /v/data/a/f").stdout.split() == ["disk", "memory", "claim"]
    cloud.kubectl("patch", "configmap", "settings", "-p", '{"data":{"plain.txt":"changed"}}')
    cloud.wait_for(lambda: inside(space, "lives", "cat /v/settings/plain.txt").stdout == "changed")
    assert inside(space, "lives", "cat /etc/single").stdout == "hello"
    assert len(mounts_of(cloud)) == len(before)

    cloud.kubectl("delete", "pod", "lives", "--wait=false")
    kill_daemon(cloud)
    cloud.up()
    cloud.kubectl("wait", "--for=delete", "pod/lives", "--timeout=60s")
    cloud.wait_for(lambda: not list((cloud.root / "scratch").glob("pod-*")))
    assert not mounts_of(cloud)
    (volume,) = cloud.json("get", "pv")["items"]
    assert (Path(volume["spec"]["hostPath"]["path"]) / "a/f").read_text() == "claim\n"
