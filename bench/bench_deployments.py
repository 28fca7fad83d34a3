"""How long from asking a Deployment for 50 pods to all of them available, to another version, and to none?

Beside it in the same run: 50 pods made one by one by a client, which is the floor under any controller.
"""

import time

import bench_pods
from measure import PodWatch, a_cloud, api_for_pods, pod, report

COUNT, RUNS = 50, 3
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"


def deployment(name):
    spec = pod(name)["spec"] | {"terminationGracePeriodSeconds": 1}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": COUNT,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def told(api, revision, is_so):
    """When a watch has seen a Deployment's status so (perf_counter seconds)."""
    for event in api.watch(f"{DEPLOYMENTS}?watch=true&resourceVersion={revision}"):
        if is_so(event["object"]["status"]):
            return time.perf_counter()
    raise AssertionError("the watch has ended")


def complete(status):
    return status.get("availableReplicas") == status.get("updatedReplicas") == status.get("replicas") == COUNT


def a_life(api, name):
    """(available, updated, gone) in seconds."""
    watch = PodWatch(api)
    start = time.perf_counter()
    made = api.call("POST", DEPLOYMENTS, deployment(name))
    available = told(api, made["metadata"]["resourceVersion"], complete) - start

    made = api.call("GET", f"{DEPLOYMENTS}/{name}")
    made["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "VERSION", "value": "2"}]
    start = time.perf_counter()
    made = api.call("PUT", f"{DEPLOYMENTS}/{name}", made)
    updated = told(api, made["metadata"]["resourceVersion"], complete) - start

    names = [item["metadata"]["name"] for item in api.call("GET", PODS)["items"]]
    start = time.perf_counter()
    api.call("DELETE", f"{DEPLOYMENTS}/{name}")
    return available, updated, watch.wait(names, "gone") - start


def one_by_one(api, run):
    running, _ = bench_pods.many(api, PodWatch(api), [f"floor-{run}-{number}" for number in range(COUNT)])
    return running


def main():
    with a_cloud() as cloud:
        cloud.coracle("images", "pull", "busybox")
        api = api_for_pods(cloud)
        lives = [a_life(api, f"web-{run}") for run in range(RUNS)]
        floors = [one_by_one(api, run) for run in range(RUNS)]
    report(
        f"A Deployment of {COUNT} pods (busybox sleep), image present, one node",
        [
            ("created -> all available, as its status says", [life[0] for life in lives], "s", "goal <= 4"),
            (f"  floor: {COUNT} pods made by a client, all Running", floors, "s", ""),
            ("another version -> all of it available (25 %, 25 %)", [life[1] for life in lives], "s", ""),
            ("deleted -> all pods gone, of which 1 s is grace", [life[2] for life in lives], "s", ""),
        ],
    )


if __name__ == "__main__":
    main()
