"""Claims, volumes and classes through kubectl: bound, provisioned, waited for, kept, reclaimed, grown, protected."""

import contextlib
import json
import re
from pathlib import Path

import pytest

from contract.mounting import create

WAIT = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


def a_claim(name, size="1Gi", modes=("ReadWriteOnce",), **spec):
    asked = {"accessModes": list(modes), "resources": {"requests": {"storage": size}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": asked}


def a_volume(name, path, size="1Gi", modes=("ReadWriteOnce",), labels=None, **spec):
    said = {
        "accessModes": list(modes),
        "capacity": {"storage": size},
        "hostPath": {"path": str(path), "type": "DirectoryOrCreate"},
        **spec,
    }
    meta = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": said}


def a_class(name, provisioner="coracle.io/local-directory", **body):
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
        **body,
    }


def a_user(name, *claims):
    """A pod that mounts claims at /v/<claim>."""
    one = {
        "name": "c",
        "image": "busybox",
        "command": WAIT,
        "volumeMounts": [{"name": claim, "mountPath": f"/v/{claim}"} for claim in claims],
    }
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    spec = {"containers": [one], "volumes": volumes}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def phase(space, kind, name):
    return space.json("get", kind, name)["status"].get("phase")


def bound(space, *names):
    space.kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc", *names, "--timeout=60s")
    return [space.json("get", "pvc", name)["spec"]["volumeName"] for name in names]


def gone(space, kind, name):
    space.kubectl("wait", "--for=delete", kind, name, "--timeout=60s")


def said(space, kind, name):
    events = space.json("get", "events", "--field-selector", f"involvedObject.name={name},involvedObject.kind={kind}")
    return {(event["reason"], event["message"]) for event in events["items"]}


@pytest.fixture
def own(space):
    """Names for what has no namespace, removed after the test."""
    names = []

    def name(kind, short):
        names.append((kind, f"{short}-{space.namespace}"))
        return names[-1][1]

    yield name
    for kind, one in names:
        space.kubectl("delete", kind, one, "--ignore-not-found", "--wait=false")


def test_a_claim_gets_a_directory_that_outlives_pods_and_goes_with_it(space, own):
    assert "standard (default)" in space.text("get", "storageclass")
    create(space, a_claim("data"), a_user("first", "data"))
    space.kubectl("wait", "--for=condition=Ready", "pod/first", "--timeout=60s")
    (volume,) = bound(space, "data")
    space.kubectl("exec", "first", "--", "sh", "-c", "echo kept > /v/data/file")
    space.kubectl("delete", "pod", "first")
    create(space, a_user("second", "data"))
    space.kubectl("wait", "--for=condition=Ready", "pod/second", "--timeout=60s")
    assert space.text("exec", "second", "--", "cat", "/v/data/file") == "kept\n"

    row = space.text("get", "pvc", "data", "--no-headers").split()
    assert row[:7] == ["data", "Bound", volume, "1Gi", "RWO", "standard", "<unset>"]
    row = space.text("get", "pv", volume, "--no-headers").split()
    assert row[:8] == [volume, "1Gi", "RWO", "Delete", "Bound", f"{space.namespace}/data", "standard", "<unset>"]
    assert re.search(r"Used By:\s+second", space.text("describe", "pvc", "data"))
    assert {"ExternalProvisioning", "Provisioning", "ProvisioningSucceeded"} <= {
        reason for reason, _ in said(space, "PersistentVolumeClaim", "data")
    }

    path = Path(space.json("get", "pv", volume)["spec"]["hostPath"]["path"])
    assert (path / "file").read_text() == "kept\n"
    space.kubectl("delete", "pvc", "data", "--wait=false")
    assert re.search(r"^data\s+Terminating", space.text("get", "pvc", "--no-headers"))  # a pod has it
    space.kubectl("delete", "pod", "second")
    gone(space, "pvc", "data")
    gone(space, "pv", volume)
    assert not path.exists()


def test_a_claim_that_asks_for_more_gets_it_and_for_less_is_refused(space, own):
    fixed = own("storageclass", "fixed")
    create(space, a_class(fixed), a_claim("grows"), a_claim("stays", storageClassName=fixed))
    grows, _ = bound(space, "grows", "stays")

    def ask(name, size):
        patch = json.dumps({"spec": {"resources": {"requests": {"storage": size}}}})
        return space.kubectl("patch", "pvc", name, "-p", patch, check=False)

    assert ask("grows", "2Gi").returncode == 0
    space.wait_for(lambda: space.json("get", "pvc", "grows")["status"]["capacity"] == {"storage": "2Gi"})
    assert space.json("get", "pv", grows)["spec"]["capacity"] == {"storage": "2Gi"}
    assert "field can not be less than status.capacity" in ask("grows", "1Gi").stderr
    assert "the storageclass that provisions the pvc must support resize" in ask("stays", "2Gi").stderr
    done = space.kubectl("patch", "pvc", "stays", "-p", '{"spec":{"accessModes":["ReadWriteMany"]}}', check=False)
    assert "spec is immutable after creation except resources.requests" in done.stderr


def a_reader(name, claim, **more):
    """A pod that has a claim as the device /dev/disk."""
    devices = [{"name": "v", "devicePath": "/dev/disk"}]
    one = {"name": "c", "image": "busybox", "command": WAIT, "volumeDevices": devices}
    spec = {
        "containers": [one],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim, **more}}],
        "terminationGracePeriodSeconds": 0,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def backing_files():
    """The files behind loop devices, of other clouds too, whose come and go."""
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            yield path.read_text()


def test_block_volumes_are_devices_that_are_copied_and_grow(space, own):
    def inside(pod, command, **options):
        return space.kubectl("exec", pod, "--", "sh", "-c", command, **options)

    def ready(*pods):
        space.kubectl("wait", "--for=condition=Ready", *(f"pod/{pod}" for pod in pods), "--timeout=60s")

    def has(pod):
        return inside(pod, "blockdev --getsize64 /dev/disk; dd if=/dev/disk bs=7 count=1 2>/dev/null").stdout.split()

    create(space, a_claim("raw", "8Mi", volumeMode="Block"), a_reader("one", "raw"))
    create(space, a_reader("two", "raw", readOnly=True), a_user("files", "raw"))
    ready("one", "two")
    inside("one", "echo written | dd of=/dev/disk conv=notrunc,fsync")
    assert has("two") == [str(8 * 2**20), "written"]
    assert "Operation not permitted" in inside("two", "dd if=/dev/zero of=/dev/disk count=1", check=False).stderr

    source = {"kind": "PersistentVolumeClaim", "name": "raw"}
    create(space, a_claim("copy", "16Mi", volumeMode="Block", dataSource=source), a_reader("three", "copy"))
    ready("three")
    assert has("three") == [str(16 * 2**20), "written"]
    space.kubectl("patch", "pvc", "raw", "-p", json.dumps({"spec": {"resources": {"requests": {"storage": "32Mi"}}}}))
    space.kubectl("wait", "--for=jsonpath={.status.capacity.storage}=32Mi", "pvc/raw", "--timeout=60s")
    assert has("one") == [str(32 * 2**20), "written"]

    (volume,) = bound(space, "raw")
    wrong = "volume raw has volumeMode Block, but is specified in volumeMounts"
    space.wait_for(lambda: any(text.endswith(wrong) for _, text in said(space, "Pod", "files")))
    space.kubectl("delete", "pod", "--all", "--wait=true")
    space.kubectl("delete", "pvc", "--all", "--wait=true")
    gone(space, "pv", volume)
    left = [file for file in backing_files() if volume in file]
    assert left == []


def test_claims_and_volumes_made_by_hand_find_each_other(space, own, tmp_path):
    small, large, wanted, many = (own("pv", name) for name in ("small", "large", "wanted", "many"))
    create(
        space,
        a_volume(small, tmp_path / "small", "1Gi"),
        a_volume(large, tmp_path / "large", "5Gi"),
        a_volume(wanted, tmp_path / "wanted", "5Gi", labels={"disk": space.namespace}),
        a_volume(many, tmp_path / "many", "2Gi", modes=("ReadOnlyMany", "ReadWriteMany"), storageClassName="by-hand"),
    )
    for name in (small, large, wanted, many):
        space.wait_for(lambda name=name: phase(space, "pv", name) == "Available")
    by_label = {"selector": {"matchLabels": {"disk": space.namespace}}, "storageClassName": ""}
    create(
        space,
        a_claim("labelled", **by_label),
        a_claim("shared", modes=("ReadWriteMany",), storageClassName="by-hand"),
        a_claim("named", volumeName=large, storageClassName=""),
        a_claim("too-big", size="6Gi", storageClassName=""),
    )
    assert bound(space, "labelled", "shared", "named") == [wanted, many, large]
    assert space.json("get", "pvc", "labelled")["status"]["capacity"] == {"storage": "5Gi"}
    create(space, a_claim("any", storageClassName=""))
    assert bound(space, "any") == [small]
    nothing = "no persistent volumes available for this claim and no storage class is set"
    space.wait_for(lambda: ("FailedBinding", nothing) in said(space, "PersistentVolumeClaim", "too-big"))

    create(space, a_user("uses", "named"))
    space.kubectl("wait", "--for=condition=Ready", "pod/uses", "--timeout=60s")
    space.kubectl("exec", "uses", "--", "sh", "-c", "echo 1 > /v/named/file")
    space.kubectl("delete", "pod", "uses")
    space.kubectl("delete", "pvc", "named", "labelled", "shared", "any")
    space.wait_for(lambda: phase(space, "pv", large) == "Released")
    assert (tmp_path / "large/file").read_text() == "1\n"  # Retain
    space.kubectl("patch", "pv", large, "--type=json", "-p", '[{"op":"remove","path":"/spec/claimRef"}]')
    space.wait_for(lambda: phase(space, "pv", large) == "Available")


def test_a_pod_waits_for_a_claim_and_a_claim_for_its_first_pod(space, own, tmp_path):
    late = own("storageclass", "late")
    create(
        space,
        a_class(late, volumeBindingMode="WaitForFirstConsumer"),
        a_claim("first-come", storageClassName=late),
        a_claim("unbound", storageClassName=""),
        a_claim("nowhere", storageClassName="none-such"),
        a_user("waits", "unbound"),
        a_user("lost", "absent"),
    )
    waiting = "waiting for first consumer to be created before binding"
    space.wait_for(lambda: ("WaitForFirstConsumer", waiting) in said(space, "PersistentVolumeClaim", "first-come"))
    missing = 'storageclass.storage.k8s.io "none-such" not found'
    space.wait_for(lambda: ("ProvisioningFailed", missing) in said(space, "PersistentVolumeClaim", "nowhere"))

    def refused(pod, why):
        none = "0/1 nodes are available"
        text = f"{none}: {why}. no new claims to deallocate, preemption: {none}: 1 Preemption is not helpful for scheduling."
        return ("FailedScheduling", text) in said(space, "Pod", pod)

    space.wait_for(lambda: refused("waits", "pod has unbound immediate PersistentVolumeClaims"))
    space.wait_for(lambda: refused("lost", 'persistentvolumeclaim "absent" not found'))
    assert phase(space, "pvc", "first-come") == "Pending"

    volume = own("pv", "comes")
    create(space, a_volume(volume, tmp_path / "comes"), a_user("consumer", "first-come"), a_claim("absent"))
    space.kubectl("wait", "--for=condition=Ready", "pod/waits", "pod/consumer", "pod/lost", "--timeout=60s")
    annotations = space.json("get", "pvc", "first-come")["metadata"]["annotations"]
    node = space.json("get", "pod", "consumer")["spec"]["nodeName"]
    assert annotations["volume.kubernetes.io/selected-node"] == node


def test_a_local_volume_waits_for_its_node(space, own, tmp_path):
    by_hand, here, there = own("storageclass", "local"), own("pv", "here"), own("pv", "there")
    node = space.json("get", "nodes")["items"][0]["metadata"]["labels"]["kubernetes.io/hostname"]
    (tmp_path / "disk").mkdir()

    def a_local(name, host):
        need = {"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}
        affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [need]}]}}
        local = {"local": {"path": str(tmp_path / "disk")}, "nodeAffinity": affinity, "hostPath": None}
        return a_volume(name, "", storageClassName=by_hand, **local)

    create(
        space,
        a_class(by_hand, "kubernetes.io/no-provisioner", volumeBindingMode="WaitForFirstConsumer"),
        a_local(there, "elsewhere"),
        a_claim("disk", storageClassName=by_hand),
        a_user("local", "disk"),
    )
    why = "1 node(s) didn't find available persistent volumes to bind"
    space.wait_for(lambda: any(why in message for _, message in said(space, "Pod", "local")))
    create(space, a_local(here, node))
    space.kubectl("wait", "--for=condition=Ready", "pod/local", "--timeout=60s")
    assert bound(space, "disk") == [here]
    space.kubectl("exec", "local", "--", "touch", "/v/disk/file")
    assert (tmp_path / "disk/file").exists()


@pytest.mark.parametrize(
    ("object", "text"),
    [
        (a_claim("x", modes=()), "spec.accessModes: Required value: at least 1 access mode is required"),
        (a_claim("x", modes=("Sometimes",)), 'spec.accessModes: Unsupported value: "Sometimes": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'),
        (a_claim("x", resources={}), "spec.resources[storage]: Required value"),
        (a_claim("x", size="0"), "must be greater than zero"),
        (a_volume("x", "/a", local={"path": "/b"}), "may not specify more than 1 volume type"),
        (a_volume("x", "/a", hostPath=None), "spec: Required value: must specify a volume type"),
        (a_volume("x", "/a", hostPath=None, local={"path": "/b"}), "spec.nodeAffinity: Required value: Local volume requires node affinity"),
        (a_volume("x", "/a", capacity={}), "spec.capacity: Required value"),
        (a_volume("x", "/a", persistentVolumeReclaimPolicy="Burn"), 'Unsupported value: "Burn"'),
        (a_class("x", ""), "provisioner: Required value"),
        (a_class("x", volumeBindingMode="Never"), 'volumeBindingMode: Unsupported value: "Never": supported values: "Immediate", "WaitForFirstConsumer"'),
    ],
)  # fmt: skip
def test_what_cannot_be_stored(space, object, text):
    done = space.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(object), check=False)
    assert done.returncode == 1
    assert text in done.stderr


def a_thing(kind, name, **body):
    return {"apiVersion": "storage.k8s.io/v1", "kind": kind, "metadata": {"name": name}, **body}


def test_what_drivers_say_of_themselves_is_kept_and_printed(space, own):
    where = {"persistentVolumeName": "disk"}
    rows = {
        "csidriver": (
            a_thing(
                "CSIDriver", own("csidriver", "d"), spec={"podInfoOnMount": True, "tokenRequests": [{"audience": "a"}]}
            ),
            ["true", "true", "false", "a", "false", "Persistent"],
        ),
        "csinode": (a_thing("CSINode", own("csinode", "n"), spec={"drivers": [{"name": "d.e", "nodeID": "1"}]}), ["1"]),
        "csistoragecapacity": (
            a_thing("CSIStorageCapacity", "c", storageClassName="fast", capacity="2Gi"),
            ["fast", "2Gi"],
        ),
        "volumeattachment": (
            a_thing(
                "VolumeAttachment",
                own("volumeattachment", "a"),
                spec={"attacher": "d.e", "nodeName": "n", "source": where},
            ),
            ["d.e", "disk", "n", "false"],
        ),
        "vac": (a_thing("VolumeAttributesClass", own("vac", "v"), driverName="d.e", parameters={"iops": "9"}), ["d.e"]),
    }
    create(space, *(thing for thing, _ in rows.values()))
    for kind, (thing, cells) in rows.items():
        name = thing["metadata"]["name"]
        row = space.text("get", kind, name, "--no-headers").split()
        assert row[: len(cells) + 1] == [name, *cells]
    attached = ("patch", "volumeattachment", rows["volumeattachment"][0]["metadata"]["name"], "--subresource=status")
    space.kubectl(*attached, "--type=merge", "-p", '{"status":{"attached":true}}')
    assert "true" in space.text("get", attached[1], attached[2], "--no-headers").split()
    (node,) = (one["metadata"]["name"] for one in space.json("get", "nodes")["items"])
    assert space.text("get", "csinode", node, "--no-headers").split()[:2] == [node, "0"]
