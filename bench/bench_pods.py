"""How long from creating a pod to Running, and from deleting it to gone, as a watch sees it?

Floor in the same run: `crun run` of the same program in an unpacked busybox, with nothing around it.
"""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from measure import PodWatch, a_cloud, api_for_pods, pod, report, timed

ONE_BY_ONE, AT_ONCE, RUNS = 30, 50, 3
PODS = "/api/v1/namespaces/default/pods"


def one(api, watch, name):
    start = time.perf_counter()
    api.call("POST", PODS, pod(name))
    running = watch.wait([name], "Running")
    asked = time.perf_counter()
    api.call("DELETE", f"{PODS}/{name}")
    return running - start, watch.wait([name], "gone") - asked


def many(api, watch, names):
    start = time.perf_counter()
    for name in names:
        api.call("POST", PODS, pod(name))
    running = watch.wait(names, "Running")
    asked = time.perf_counter()
    for name in names:
        api.call("DELETE", f"{PODS}/{name}?gracePeriodSeconds=1")
    return running - start, watch.wait(names, "gone") - asked


def floor_s():
    """`crun run` of busybox's true: where this host's cgroups need it, in a mount namespace without `unified`."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as bundle:
        root = Path(bundle) / "rootfs" / "bin"
        root.mkdir(parents=True)
        subprocess.run(["cp", "/bin/busybox", root / "busybox"], check=True)
        for directory in ("proc", "dev", "sys", "tmp"):
            (root.parent / directory).mkdir()
        subprocess.run(["crun", "spec"], cwd=bundle, check=True)
        spec = json.loads((Path(bundle) / "config.json").read_text())
        spec["process"] |= {"args": ["/bin/busybox", "true"], "terminal": False}
        (Path(bundle) / "config.json").write_text(json.dumps(spec))
        script = "umount /sys/fs/cgroup/unified 2>/dev/null; for i in $(seq 20); do crun run floor$$-$i; done"
        return timed(lambda: subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=bundle, check=True)) / 20


def main():
    with a_cloud() as cloud:
        cloud.coracle("images", "pull", "busybox")
        api = api_for_pods(cloud)
        watch = PodWatch(api)
        one(api, watch, "warm-up")
        singles = [one(api, watch, f"one-{n}") for n in range(ONE_BY_ONE)]
        crowds = [many(api, watch, [f"many-{run}-{n}" for n in range(AT_ONCE)]) for run in range(RUNS)]
        floors_s = [floor_s() for _ in range(RUNS)]
    report(
        "Pods, image present (busybox sleep), one node",
        [
            ("create -> Running seen by a watch, one by one", [1000 * s for s, _ in singles], "ms", "goal <= 100"),
            ("  floor: crun run of the same", [1000 * s for s in floors_s], "ms", ""),
            ("delete -> gone (sleep ignores SIGTERM as pid 1: 5 s of grace)", [s for _, s in singles], "s", ""),
            (f"{AT_ONCE} at once, all Running", [s for s, _ in crowds], "s", "goal <= 4"),
            (f"{AT_ONCE} at once, all gone after 1 s of grace", [s for _, s in crowds], "s", ""),
        ],
    )


if __name__ == "__main__":
    main()
