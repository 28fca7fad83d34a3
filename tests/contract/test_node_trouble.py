"""A node in trouble: a full disk, too little memory, a kubelet that does not answer.  On a cloud with a disk of its own."""

import io
import json
import os
import signal
import subprocess
import tarfile

import pytest

from coracle.testing.cloud import Cloud

MI = 1 << 20
BUSY = {"name": "c", "image": "busybox", "command": ["sleep", "1000"]}
MOUNTED = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
LITTLE = {"limits": {"cpu": "50m", "memory": "64Mi"}}


def setup(root, memory="100Mi", pids="0%"):
    """Write the kubelet's configuration."""
    lines = [
        "kind: KubeletConfiguration",
        f'evictionHard: {{memory.available: {memory}, nodefs.available: 150Mi, pid.available: "{pids}"}}',
        "evictionPressureTransitionPeriod: 2s",
        "nodeLeaseDurationSeconds: 4",
    ]
    (root / "kubelet.yaml").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def cloud_in_need(tmp_path_factory):
    root = tmp_path_factory.mktemp("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", root], check=True)
    try:
        setup(root)
        with Cloud.started(root) as cloud:
            yield cloud
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)


@pytest.fixture
def small(cloud_in_need):
    yield cloud_in_need
    cloud_in_need.kubectl("delete", "pods", "--all")


def restart(cloud, **settings):
    """Another configuration for the daemon, while the pods go on."""
    setup(cloud.root, **settings)
    fd = os.pidfd_open(cloud.daemon_pid)
    try:
        signal.pidfd_send_signal(fd, signal.SIGTERM)
        cloud.wait_for(lambda: cloud.coracle("status", check=False).returncode == 3)
    finally:
        os.close(fd)
    cloud.up()


def apply(cloud, name, container=BUSY, **spec):
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container], **spec}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
    cloud.kubectl("apply", "-f", "-", input=json.dumps(pod))


def node(cloud):
    """Its conditions, and the keys of its taints."""
    found = cloud.json("get", "nodes")["items"][0]
    taints = {f"{one['key']}:{one['effect']}" for one in found["spec"].get("taints", ())}
    return {one["type"]: one["status"] for one in found["status"]["conditions"]}, taints


def tainted(cloud, *taints):
    """The node's conditions once it has these taints and no others."""

    def found():
        conditions, present = node(cloud)
        return present == {f"node.kubernetes.io/{one}" for one in taints} and conditions

    return cloud.wait_for(found)


def condition(cloud, pod, type):
    conditions = cloud.json("get", "pod", pod)["status"]["conditions"]
    return next((one for one in conditions if one["type"] == type), {"status": None})


def reasons(cloud, name):
    return {one["reason"] for one in cloud.json("get", "events")["items"] if one["involvedObject"]["name"] == name}


def fill(cloud, name, bytes):
    cloud.kubectl("exec", "filler", "--", "fallocate", "-l", str(bytes), f"/v/{name}")


def free_bytes(cloud):
    disk = os.statvfs(cloud.root)
    return disk.f_bavail * disk.f_frsize


def fill_up(cloud):
    """To the last byte, before anybody has looked."""
    most = free_bytes(cloud) - MI
    words = f"fallocate -l {most} /v/most; dd if=/dev/zero of=/v/rest bs=4k"
    cloud.kubectl("exec", "filler", "--", "sh", "-c", words, check=False)


def an_image(mi):
    """The tar of a root file system with one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("big")
        entry.size = mi * MI
        tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    return buffer.getvalue()


GREEDY = {
    "volume": ({"limits": {}}, "/v/a", 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '),
    "container": ({"limits": {"ephemeral-storage": "1Mi"}}, "/a", "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "),
}  # fmt: skip


def begin_greedy(cloud):
    """Pods that write more than they may."""
    for name, (resources, path, _) in GREEDY.items():
        words = ["sh", "-c", f"dd if=/dev/zero of={path} bs=1M count=3; exec sleep 1000"]
        volume = {"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}
        apply(cloud, f"greedy-{name}", {**BUSY, **MOUNTED, "command": words, "resources": resources}, volumes=[volume])


def test_a_full_disk(small):
    """First what nobody needs is given back, then the pod goes that holds most; then all is as before.

    Meanwhile those go that hold more than they may.
    """
    begin_greedy(small)
    (small.root.parent / "own.tar").write_bytes(an_image(1))
    small.docker("import", str(small.root.parent / "own.tar"), "own:1")
    small.docker("pull", "nginx")
    apply(small, "modest")
    apply(small, "done", {**BUSY, "command": ["sh", "-c", "echo said"]}, restartPolicy="Never")
    apply(small, "filler", {**BUSY, **MOUNTED}, volumes=[{"name": "v", "emptyDir": {}}])
    small.kubectl("wait", "--for=condition=Ready", "pod/modest", "pod/filler", "--timeout=60s")
    small.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/done", "--timeout=60s")
    name = small.json("get", "nodes")["items"][0]["metadata"]["name"]
    assert small.json("get", "node", name)["status"]["allocatable"]["ephemeral-storage"] == "256000Ki"

    fill(small, "a", free_bytes(small) - 100 * MI)
    small.wait_for(lambda: "EvictionThresholdMet" in reasons(small, name))
    small.wait_for(lambda: node(small) == ({**node(small)[0], "DiskPressure": "False"}, set()))
    left = small.docker("images", "--format", "{{.Repository}}").stdout.split()
    assert sorted(left) == ["busybox", "own"]  # an image that was made here could not be had again
    done = small.json("get", "pod", "done")["status"]
    assert done["containerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"
    assert small.json("get", "pod", "filler")["status"]["phase"] == "Running"

    fill_up(small)
    small.wait_for(lambda: small.json("get", "pod", "filler")["status"].get("reason") == "Evicted")
    said = small.json("get", "pod", "filler")["status"]
    assert said["phase"] == "Failed"
    assert said["message"].startswith("The node was low on resource: ephemeral-storage. Threshold quantity: 150Mi, available: ")  # fmt: skip
    assert condition(small, "filler", "DisruptionTarget")["reason"] == "TerminationByKubelet"
    small.wait_for(lambda: {"Evicted", "Killing"} <= reasons(small, "filler"))
    pressed = {"NodeHasDiskPressure", "NodeHasNoDiskPressure", "EvictionThresholdMet"}
    small.wait_for(lambda: pressed <= reasons(small, name))
    assert small.json("get", "pod", "modest")["status"]["phase"] == "Running"
    for name, (_, _, message) in GREEDY.items():
        status = small.wait_for(lambda name=name: small.json("get", "pod", f"greedy-{name}")["status"].get("reason") and small.json("get", "pod", f"greedy-{name}")["status"])  # fmt: skip
        assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Evicted", message)
    small.wait_for(lambda: node(small) == ({**node(small)[0], "DiskPressure": "False"}, set()))


def test_too_little_memory(small):
    """Who uses more than it asked for goes first, who is critical stays; new pods wait."""
    in_memory = {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}]}
    words = ["sh", "-c", "dd if=/dev/zero of=/v/big bs=1M count=60 && exec sleep 1000"]
    apply(small, "hog", {**BUSY, **MOUNTED, "command": words}, **in_memory)
    apply(small, "modest")
    apply(small, "safe", {**BUSY, "resources": LITTLE})
    apply(small, "vital", priorityClassName="system-node-critical")
    small.kubectl("wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")
    restart(small, memory="99.9%", pids="99.99%")
    conditions = tainted(small, *(f"{one}-pressure:NoSchedule" for one in ("memory", "pid")))
    assert (conditions["MemoryPressure"], conditions["PIDPressure"], conditions["Ready"]) == ("True", "True", "True")
    apply(small, "late")
    small.wait_for(lambda: small.json("get", "pod", "safe")["status"]["phase"] == "Failed")
    pods = {one["metadata"]["name"]: one["status"] for one in small.json("get", "pods")["items"]}
    assert pods["vital"]["phase"] == "Running"
    assert pods["late"]["phase"] == "Pending"
    gone_at = {name: condition(small, name, "DisruptionTarget")["lastTransitionTime"] for name in ("hog", "modest", "safe")}  # fmt: skip
    assert sorted(gone_at, key=lambda name: (gone_at[name], name)) == ["hog", "modest", "safe"]
    assert "has larger consumption of memory" in pods["hog"]["message"]
    assert "Container c was using" not in pods["safe"]["message"]
    restart(small)
    small.kubectl("wait", "--for=condition=Ready", "pod/late", "pod/vital", "--timeout=60s")
    assert node(small)[1] == set()


def test_a_node_that_falls_silent_and_comes_back(small):
    """Its pods go on; it is unreachable, and so are they; who does not wait for it is let go of, and ended at last."""
    apply(small, "patient")
    gone = {
        "key": "node.kubernetes.io/unreachable",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 1,
    }
    apply(small, "hasty", tolerations=[gone])
    small.kubectl("expose", "pod", "patient", "--port=80")
    small.kubectl("wait", "--for=condition=Ready", "pod/patient", "pod/hasty", "--timeout=60s")
    name = small.json("get", "nodes")["items"][0]["metadata"]["name"]
    before = small.json("get", "pod", "patient")["status"]["containerStatuses"]

    small.coracle("kubelet", "stop")
    conditions = tainted(small, *(f"unreachable:{effect}" for effect in ("NoSchedule", "NoExecute")))
    assert set(conditions.values()) == {"Unknown"}
    assert "NotReady" in small.kubectl("get", "nodes").stdout
    small.wait_for(lambda: condition(small, "patient", "Ready")["status"] == "False")
    small.wait_for(lambda: not small.json("get", "endpoints", "patient")["subsets"][0].get("addresses"))
    small.wait_for(lambda: small.json("get", "pod", "hasty")["metadata"].get("deletionTimestamp"))
    assert condition(small, "hasty", "DisruptionTarget")["reason"] == "DeletionByTaintManager"
    assert small.json("get", "pod", "hasty")["status"]["containerStatuses"][0]["state"].get("running")

    assert "does not answer" in small.kubectl("logs", "patient", check=False).stderr

    small.coracle("kubelet", "start")
    small.wait_for(lambda: node(small)[1] == set())
    assert node(small)[0]["Ready"] == "True"
    small.kubectl("wait", "--for=condition=Ready", "pod/patient", "--timeout=60s")
    small.kubectl("wait", "--for=delete", "pod/hasty", "--timeout=60s")
    assert small.json("get", "pod", "patient")["status"]["containerStatuses"] == before
    small.wait_for(lambda: small.json("get", "endpoints", "patient")["subsets"][0].get("addresses"))
    small.wait_for(lambda: {"NodeNotReady", "NodeReady", "RegisteredNode"} <= reasons(small, name))
