"""All figures that matter of a node that runs Kubernetes' workloads, in one run and one table.

Each has its goal and, where it was measured, what the real control plane takes: kubelet + containerd 1.36 under an API
server built from source, on two busy cores.  Floors and details are in the benchmarks whose questions these are.
"""

import time
from pathlib import Path

import bench_deployments
import bench_pods
import bench_probes
import bench_services
import bench_start
import bench_volumes
from measure import PodWatch, a_cloud, api_for_pods, idle_percent, own_pids, pss_bytes, report, timed

STARTS, RUNS, DEPLOYMENTS, PODS, IDLE_S = 5, 20, 3, 110, 60
CORE = "/api/v1/namespaces/default"


def empty(cloud):
    """(seconds to each start, memory in MB, percent of a core)."""
    starts_s = []
    for _ in range(STARTS):
        cloud.down()
        starts_s.append(timed(lambda: bench_start.ready(cloud)))
    time.sleep(3)
    return starts_s, pss_bytes(own_pids(cloud)) / 1e6, idle_percent(cloud, IDLE_S)


def change_s(cloud, api, watch):
    """From the PUT of a ConfigMap to its content in a container."""
    api.call("POST", f"{CORE}/configmaps", bench_volumes.a_map("settings", "first"))
    api.call("POST", f"{CORE}/pods", bench_volumes.with_volumes("reads", settings={"configMap": {"name": "settings"}}))
    watch.wait(["reads"], "Running")
    path = Path(f"/proc/{bench_volumes.first_process(cloud, 'reads')}/root/v/settings/key")
    found = bench_volumes.change_s(api, [path])
    api.call("DELETE", f"{CORE}/pods/reads")
    watch.wait(["reads"], "gone")
    return found


def idle_with_pods(cloud, api, watch, prefix, **probes):
    """Percent of a core that the node uses for PODS pods which nobody asks anything; memory of ours in MB."""
    names = [f"{prefix}-{number}" for number in range(PODS)]
    for name in names:
        api.call("POST", f"{CORE}/pods", bench_probes.pod(name, bench_probes.SERVES, **probes))
    watch.wait(names, "Running")
    cloud.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
    time.sleep(5)
    found = idle_percent(cloud, IDLE_S), pss_bytes(own_pids(cloud)) / 1e6
    for name in names:
        api.call("DELETE", f"{CORE}/pods/{name}?gracePeriodSeconds=0")
    watch.wait(names, "gone")
    return found


def main():
    with a_cloud() as cloud:
        cloud.coracle("images", "pull", "busybox")
        starts_s, empty_mb, empty_percent = empty(cloud)
        api = api_for_pods(cloud)
        watch = PodWatch(api)
        bench_pods.one(api, watch, "warm-up")
        started = [bench_volumes.running_s(api, watch, f"run-{number}") for number in range(RUNS)]
        gone = [bench_probes.gone_s(api, watch, f"obey-{number}") for number in range(RUNS)]
        lives = [bench_deployments.a_life(api, f"web-{run}") for run in range(DEPLOYMENTS)]
        changed = change_s(cloud, api, watch)
        followed = [bench_services.one(api, f"service-{number}") for number in range(RUNS)]
        quiet, quiet_mb = idle_with_pods(cloud, api, watch, "quiet")
        probed, _ = idle_with_pods(cloud, api, watch, "probed", **bench_probes.PROBES)
    available, updated, _ = zip(*lives, strict=True)
    many = bench_deployments.COUNT
    report(
        "Kubernetes' workloads on one node: all figures",
        [
            (f"Deployment of {many}: created -> all available", available, "s", "<= 4", "8.3 to 11.5"),
            ("  another version -> all of it available", updated, "s", ""),
            ("pod: create -> Running seen by a watch", [1000 * s for s in started], "ms", "<= 100", "540"),
            ("pod that obeys SIGTERM: delete -> gone", [1000 * s for s in gone], "ms", "<= 100", ""),
            ("ConfigMap: PUT -> seen in a mounted volume", [1000 * s for s in changed], "ms", "<= 1000"),
            ("Service: pod ready -> its node port leads there", [leads for _, leads in followed], "ms", "<= 100"),
            (f"{PODS} idle pods, all our processes, {IDLE_S} s", [quiet], "% of a core", "<= 1"),
            (f"  with {2 * PODS} probes every 10 s", [probed], "% of a core", ""),
            ("  memory of all our processes", [quiet_mb], "MB PSS", ""),
            (f"empty cluster, {IDLE_S} s", [empty_percent], "% of a core", ""),
            ("  memory of all our processes", [empty_mb], "MB PSS", "<= 120", "718 to 783 RSS, API server and etcd"),
            ("coracle up -> node Ready seen by kubectl", starts_s, "s", "<= 1.5"),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
