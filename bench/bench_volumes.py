"""How long until a changed ConfigMap is seen in a mounted volume, a claim is bound, and a pod with volumes runs?

Floors in the same run: two fsyncs on the same disk (what storing the change costs at least), and a pod without volumes.
The volume is looked at through the container's own root, without rest.
"""

import os
import statistics
import time
from pathlib import Path

from measure import PodWatch, a_cloud, api_for_pods, pod, report, timed

RUNS, PODS_EACH, MOUNTING = 30, 20, 20
CORE = "/api/v1/namespaces/default"
SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def a_map(name, value):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}}


def with_volumes(name, **volumes):
    made = pod(name)
    made["spec"]["volumes"] = [{"name": key, **value} for key, value in volumes.items()]
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": key, "mountPath": f"/v/{key}"} for key in volumes]
    made["spec"]["terminationGracePeriodSeconds"] = 0
    return made


def first_process(cloud, name):
    """The pid on the host of a pod's container."""
    found = cloud.docker("ps", "--quiet", "--filter", f"name=k8s_main_{name}_").stdout.split()[0]
    return cloud.docker("inspect", "--format", "{{.State.Pid}}", found).stdout.strip()


def seen(paths, value):
    """How long until all of `paths` hold `value`."""
    begun, left = time.perf_counter(), list(paths)
    while left:
        left = [path for path in left if path.read_text() != value]
    return time.perf_counter() - begun


def change(api, paths, value):
    api.call("PUT", f"{CORE}/configmaps/settings", a_map("settings", value))
    return seen(paths, value)


def change_s(api, paths):
    return [timed(lambda number=number: change(api, paths, f"{number}")) for number in range(RUNS)]


def running_s(api, watch, name, **volumes):
    begun = time.perf_counter()
    api.call("POST", f"{CORE}/pods", with_volumes(name, **volumes))
    found = watch.wait([name], "Running") - begun
    api.call("DELETE", f"{CORE}/pods/{name}")
    watch.wait([name], "gone")
    return found


def bound_s(api, name):
    begun = time.perf_counter()
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": SPEC}
    revision = api.call("POST", f"{CORE}/persistentvolumeclaims", claim)["metadata"]["resourceVersion"]
    for event in api.watch(f"{CORE}/persistentvolumeclaims?watch=true&resourceVersion={revision}"):
        if event["object"]["status"].get("phase") == "Bound":
            return time.perf_counter() - begun
    raise AssertionError("the watch has ended")


def syncs_s(root):
    path = Path(root) / "floor"

    def twice():
        for _ in range(2):
            with path.open("ab") as file:
                file.write(b"x" * 512)
                os.fsync(file.fileno())

    return [timed(twice) for _ in range(RUNS)]


def main():
    with a_cloud() as cloud:
        cloud.coracle("images", "pull", "busybox")
        api = api_for_pods(cloud)
        watch = PodWatch(api)
        api.call("POST", f"{CORE}/configmaps", a_map("settings", "first"))
        mounted = {"settings": {"configMap": {"name": "settings"}}}
        names = [f"reads-{number}" for number in range(PODS_EACH)]
        for name in names:
            api.call("POST", f"{CORE}/pods", with_volumes(name, **mounted))
        watch.wait(names, "Running")
        paths = [Path(f"/proc/{first_process(cloud, name)}/root/v/settings/key") for name in names]
        seen(paths, "first")
        one, all_of_them = change_s(api, paths[:1]), change_s(api, paths)
        floor = syncs_s(cloud.root)
        bound = [bound_s(api, f"claim-{number}") for number in range(RUNS)]
        many = {
            "settings": {"configMap": {"name": "settings"}},
            "about": {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            "scratch": {"emptyDir": {}},
            "memory": {"emptyDir": {"medium": "Memory"}},
            "claim": {"persistentVolumeClaim": {"claimName": "claim-0"}},
        }
        bare = [running_s(api, watch, f"bare-{number}") for number in range(MOUNTING)]
        full = [running_s(api, watch, f"full-{number}", **many) for number in range(MOUNTING)]
    ratio = statistics.median(full) / statistics.median(bare)
    report(
        "Volumes: changes seen, claims bound, pods with volumes running",
        [
            ("PUT of a ConfigMap -> seen in a container", [1000 * s for s in one], "ms", "goal <= 1000"),
            (f"  in all of {PODS_EACH} containers", [1000 * s for s in all_of_them], "ms", "goal <= 1000"),
            ("  floor: two fsyncs", [1000 * s for s in floor], "ms", ""),
            ("claim created -> bound, its volume made", [1000 * s for s in bound], "ms", ""),
            ("pod without volumes: create -> Running", [1000 * s for s in bare], "ms", ""),
            ("  with five of them", [1000 * s for s in full], "ms", ""),
            ("  ratio", [ratio], "", ""),
        ],
    )


if __name__ == "__main__":
    main()
