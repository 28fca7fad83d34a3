"""Which volumes are set up."""

from coracle.kube.kubelet.volumes.using import propagation, used
from coracle.testing.kube import a_pod


def test_only_what_a_container_uses_is_set_up():
    from_file = {"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "file", "path": "p", "key": "A"}}}
    pod = a_pod(
        "web",
        containers=[{"name": "a", "volumeMounts": [{"name": "mounted", "mountPath": "/a"}], "env": [from_file]}],
        initContainers=[{"name": "b", "volumeDevices": [{"name": "device", "devicePath": "/b"}]}],
        ephemeralContainers=[{"name": "c", "volumeMounts": [{"name": "late", "mountPath": "/c"}]}],
        volumes=[{"name": name} for name in ("mounted", "file", "device", "late", "unused")],
    )
    assert used(pod) == {"mounted", "file", "device", "late"}


def test_how_mounts_pass():
    mounts = [{"name": "v", "mountPath": f"/{how}", "mountPropagation": how} for how in ("None", "HostToContainer")]
    pod = a_pod("web", containers=[{"name": "a", "volumeMounts": [*mounts, {"name": "w", "mountPath": "/w"}]}])
    assert (propagation(pod, "v"), propagation(pod, "w")) == ({"HostToContainer"}, set())
