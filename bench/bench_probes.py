"""How soon is a pod gone whose process obeys, and what do probes cost a cloud that does nothing else?

Each of PODS pods has a readiness probe (TCP) and a liveness probe (HTTP), both every ten seconds, as is usual.
"""

import time

from measure import PodWatch, a_cloud, api_for_pods, idle_percent, report

ONE_BY_ONE, PODS, WATCHED_S = 20, 55, 30
PATH = "/api/v1/namespaces/default/pods"
OBEYS = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"
SERVES = "echo hi > /tmp/index.html; exec httpd -f -p 80 -h /tmp"
PROBES = {
    "readinessProbe": {"tcpSocket": {"port": 80}},
    "livenessProbe": {"httpGet": {"port": 80, "path": "/"}},
}


def pod(name, command, **more):
    box = {"name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", command], **more}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [box]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def gone_s(api, watch, name):
    api.call("POST", PATH, pod(name, OBEYS))
    watch.wait([name], "Running")
    time.sleep(0.3)  # the shell has to set its trap
    asked = time.perf_counter()
    api.call("DELETE", f"{PATH}/{name}")
    return watch.wait([name], "gone") - asked


def main():
    with a_cloud() as cloud:
        cloud.coracle("images", "pull", "busybox")
        api = api_for_pods(cloud)
        watch = PodWatch(api)
        gone_s(api, watch, "warm-up")
        gone = [gone_s(api, watch, f"one-{n}") for n in range(ONE_BY_ONE)]
        empty = idle_percent(cloud, WATCHED_S)
        for number in range(PODS):
            api.call("POST", PATH, pod(f"probed-{number}", SERVES, **PROBES))
        cloud.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
        time.sleep(5)
        probed = idle_percent(cloud, WATCHED_S)
    report(
        "Pods that obey, and pods that are probed",
        [
            ("delete -> gone, the process obeys SIGTERM", [1000 * s for s in gone], "ms", "goal <= 100"),
            ("an empty cloud, of one core", [empty], "%", ""),
            (f"{PODS} pods with {2 * PODS} probes every 10 s", [probed], "%", ""),
        ],
    )


if __name__ == "__main__":
    main()
