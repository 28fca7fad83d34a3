"""Which volumes are set up."""

from coracle.kube.kubelet.volumes.using import used
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
