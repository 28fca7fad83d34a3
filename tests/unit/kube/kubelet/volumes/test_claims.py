"""Where the volume of a claim is, and what is said where it cannot be had."""

import re
from types import SimpleNamespace

import pytest

from coracle.core.object import Meta, Object
from coracle.kube.kubelet.volumes.claims import ClaimUnusable, Place, locate, nobody_mounts
from coracle.testing.kube import a_pod

MADE = {"pv.kubernetes.io/provisioned-by": "coracle.io/local-directory"}
USED = {"persistentVolumeClaim": {"claimName": "data"}}
OWN = {"ephemeral": {"volumeClaimTemplate": {}}}


class Objects:
    """In place of the store: what is kept, by kind."""

    def __init__(self, pods=(), **kept):
        self.pods, self.kept = pods, kept

    def entries(self, type, namespace):
        return [SimpleNamespace(object=lambda pod=pod: pod) for pod in self.pods]

    def find(self, type, key):
        found = self.kept.get(type)
        if found is None or found.meta.name != key.name:
            return None
        return SimpleNamespace(key=key, labels=found.meta.labels, object=lambda: found)


def user(field, volume=USED):
    path = "mountPath" if field == "volumeMounts" else "devicePath"
    return a_pod(
        "user", containers=[{"name": "c", field: [{"name": "v", path: "/v"}]}], volumes=[{"name": "v", **volume}]
    )


def a_claim(name="data", phase="Bound", **meta):
    body = {"spec": {"volumeName": "disk"}, "status": {"phase": phase}}
    return Object("PersistentVolumeClaim", Meta(name=name, namespace="default", **meta), body)


def a_volume(annotations=None, **spec):
    return Object("PersistentVolume", Meta(name="disk", annotations=annotations or {}), {"spec": spec})


HOST, LOCAL = {"hostPath": {"path": "/p", "type": "File"}}, {"local": {"path": "/p"}}
BLOCK = {"volumeMode": "Block"}


@pytest.mark.parametrize(
    ("volume", "field", "place"),
    [
        pytest.param(a_volume(**HOST), "volumeMounts", Place("/p", "File"), id="by hand"),
        pytest.param(a_volume(MADE, **HOST), "volumeMounts", Place("/p", "File", ours=True), id="made here"),
        pytest.param(a_volume(MADE, **HOST, mountOptions=["ro"]), "volumeMounts", Place("/p", "File", ours=True, options=("ro",)), id="made here, with options"),
        pytest.param(a_volume(**LOCAL), "volumeMounts", Place("/p", ours=True, file_system=""), id="local"),
        pytest.param(a_volume(**LOCAL, mountOptions=["noexec"]), "volumeMounts", Place("/p", ours=True, file_system="", options=("noexec",)), id="local, with options"),
        pytest.param(a_volume(local={"path": "/p", "fsType": "xfs"}), "volumeMounts", Place("/p", ours=True, file_system="xfs"), id="local, with a file system to make"),
        pytest.param(a_volume(MADE, **HOST, **BLOCK), "volumeDevices", Place("/p", "File", ours=True, block=True), id="a block device made here"),
        pytest.param(a_volume(**LOCAL, **BLOCK), "volumeDevices", Place("/p", "BlockDevice", ours=True, block=True), id="a local block device"),
    ],
)  # fmt: skip
def test_where_it_is(volume, field, place):
    pod = user(field)
    reader = Objects(PersistentVolumeClaim=a_claim(), PersistentVolume=volume)
    assert locate(pod, pod.spec["volumes"][0], reader) == place


@pytest.mark.parametrize(
    ("kept", "volume", "field", "said"),
    [
        pytest.param({}, USED, "volumeMounts", 'persistentvolumeclaims "data" not found', id="no claim"),
        pytest.param({"PersistentVolumeClaim": a_claim(phase="Pending")}, USED, "volumeMounts", "PVC is not bound", id="not bound"),
        pytest.param({"PersistentVolumeClaim": a_claim(deleting="2026-11-23T00:00:00Z")}, USED, "volumeMounts", "PVC is being deleted", id="going"),
        pytest.param({"PersistentVolumeClaim": a_claim("user-v")}, OWN, "volumeMounts", "pod is not owner", id="another's own"),
        pytest.param({"PersistentVolumeClaim": a_claim(), "PersistentVolume": a_volume(**LOCAL, **BLOCK)}, USED, "volumeMounts", "has volumeMode Block, but is specified in volumeMounts", id="blocks to be mounted"),
        pytest.param({"PersistentVolumeClaim": a_claim(), "PersistentVolume": a_volume(**LOCAL)}, USED, "volumeDevices", "has volumeMode Filesystem, but is specified in volumeDevices", id="files as a device"),
        pytest.param({"PersistentVolumeClaim": a_claim(), "PersistentVolume": a_volume(**HOST, **BLOCK)}, USED, "volumeDevices", "no block volume plugin matched: hostPath", id="a host's path as a device"),
        pytest.param({"PersistentVolumeClaim": a_claim(), "PersistentVolume": a_volume(**LOCAL, mountOptions=["ro", "uid=0"])}, USED, "volumeMounts", "unknown mount options: uid=0", id="an option of file systems"),
        pytest.param({"PersistentVolumeClaim": a_claim(), "PersistentVolume": a_volume(**HOST, mountOptions=["ro"])}, USED, "volumeMounts", "Mount options are not supported for this volume type: ro", id="options of a host's path"),
        pytest.param({"PersistentVolumeClaim": a_claim(), "PersistentVolume": a_volume(nfs={})}, USED, "volumeMounts", "no volume plugin matched: nfs", id="elsewhere"),
    ],
)  # fmt: skip
def test_why_it_cannot_be_had(kept, volume, field, said):
    pod = user(field, volume)
    with pytest.raises(ClaimUnusable, match=re.escape(said)):
        locate(pod, pod.spec["volumes"][0], Objects(**kept))


def test_a_driver_that_is_not_here_is_named():
    assert "driver name a.example not found" in nobody_mounts("v", "csi", {"driver": "a.example"})


def running(name, address="", phase="Running", claim="data"):
    pod = user("volumeMounts", {"persistentVolumeClaim": {"claimName": claim}}).with_meta(
        name=name, uid=name, created="1"
    )
    return pod.with_spec(nodeName="n").with_status(phase=phase, podIP=address)


@pytest.mark.parametrize(
    ("pod", "other", "taken"),
    [
        pytest.param(running("b"), running("a", "10.0.0.1"), True, id="another runs"),
        pytest.param(running("a"), running("b", "10.0.0.1"), True, id="another runs that is younger"),
        pytest.param(running("b"), running("a"), True, id="another has come before"),
        pytest.param(running("a"), running("b"), False, id="another has come later"),
        pytest.param(running("b"), running("a", "10.0.0.1", phase="Succeeded"), False, id="another has ended"),
        pytest.param(running("b"), running("a", "10.0.0.1", claim="other"), False, id="another has another claim"),
        pytest.param(running("b", "10.0.0.2"), running("b", "10.0.0.2"), False, id="itself"),
    ],
)
def test_a_claim_for_one_pod_is_for_one_pod(pod, other, taken):
    alone = a_claim().with_spec(accessModes=["ReadWriteOncePod"])
    reader = Objects(pods=[pod, other], PersistentVolumeClaim=alone, PersistentVolume=a_volume(**HOST))
    if not taken:
        locate(pod, pod.spec["volumes"][0], reader)
        return
    with pytest.raises(ClaimUnusable, match="is already in use by another pod"):
        locate(pod, pod.spec["volumes"][0], reader)


@pytest.mark.parametrize(("zone", "fits"), [("here", True), ("there", False)])
def test_a_volume_is_where_it_says_even_for_a_pod_that_was_put_there_by_hand(zone, fits):
    need = {"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}
    volume = a_volume(**LOCAL, nodeAffinity={"required": {"nodeSelectorTerms": [need]}})
    node = Object("Node", Meta(name="n", labels={"zone": "here"}), {})
    pod = user("volumeMounts").with_spec(nodeName="n")
    reader = Objects(PersistentVolumeClaim=a_claim(), PersistentVolume=volume, Node=node)
    if fits:
        assert locate(pod, pod.spec["volumes"][0], reader).path == "/p"
        return
    with pytest.raises(ClaimUnusable, match="no matching NodeSelectorTerms"):
        locate(pod, pod.spec["volumes"][0], reader)
