"""How soon does a Service lead to a pod that has become ready?

A pod is ready when a watch sees its status so; the Service leads there when a connection from the host to its
node port is answered, the time that the pod's program takes to listen included.  Beside it: when a watch sees the slice
of the pod.
"""

import socket
import threading
import time

from measure import Api, a_cloud, pod, report

RUNS = 20
PODS, SERVICES = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
SERVE = ("nc", "-ll", "-p", "8080", "-e", "hostname")


def a_service(api, name):
    """The node port of a Service for the pods of that name."""
    port = {"port": 80, "targetPort": 8080}
    spec = {"type": "NodePort", "selector": {"app": name}, "ports": [port]}
    made = api.call("POST", SERVICES, {"metadata": {"name": name}, "spec": spec})
    return made["spec"]["ports"][0]["nodePort"]


class Moments:
    """When a watch saw something become so (perf_counter seconds)."""

    def __init__(self, api, path, is_so):
        self.at, self._is_so = threading.Event(), is_so
        self.when_s = 0.0
        threading.Thread(target=self._follow, args=(api, path), daemon=True).start()

    def _follow(self, api, path):
        for event in api.watch(path):
            if self._is_so(event["object"]):
                self.when_s = time.perf_counter()
                self.at.set()
                return

    def wait(self):
        assert self.at.wait(60)
        return self.when_s


def is_ready(found):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in found["status"].get("conditions", ()))


def has_ready(found):
    return any(one["conditions"].get("ready") for one in found.get("endpoints") or ())


def answered(port):
    """When the node port led to somebody, asked without a pause; refused connections cost nothing."""
    until_s = time.perf_counter() + 60
    while time.perf_counter() < until_s:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as line:
                if line.recv(10):
                    return time.perf_counter()
        except OSError:
            time.sleep(0.001)
    raise AssertionError("nobody answered")


def one(api, name):
    """Milliseconds from the pod being seen ready to its slice being seen, and to an answer."""
    port = a_service(api, name)
    asked = pod(name, command=SERVE)
    asked["metadata"]["labels"] = {"app": name}
    asked["spec"]["terminationGracePeriodSeconds"] = 1
    made = api.call("POST", PODS, asked)
    since = made["metadata"]["resourceVersion"]
    ready = Moments(api, f"{PODS}?watch=true&resourceVersion={since}&fieldSelector=metadata.name%3D{name}", is_ready)
    told = f"labelSelector=kubernetes.io%2Fservice-name%3D{name}"
    sliced = Moments(api, f"{SLICES}?watch=true&resourceVersion={since}&{told}", has_ready)
    leads_s = answered(port)
    ready_s, sliced_s = ready.wait(), sliced.wait()
    api.call("DELETE", f"{SERVICES}/{name}")
    api.call("DELETE", f"{PODS}/{name}")
    return (sliced_s - ready_s) * 1000, (leads_s - ready_s) * 1000


def main():
    with a_cloud() as cloud:
        api = Api(cloud)
        one(api, "warm-up")
        found = [one(api, f"s{number}") for number in range(RUNS)]
        report(
            "A Service follows a ready pod (busybox nc, NodePort)",
            [
                ("ready -> its EndpointSlice, both seen by a watch", [sliced for sliced, _ in found], "ms", ""),
                ("ready -> the node port leads there", [leads for _, leads in found], "ms", "goal <= 100"),
            ],
        )


if __name__ == "__main__":
    main()
