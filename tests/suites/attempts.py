"""Pods and what there is of them, for tests of the kubelet's decisions."""

from coracle.core.clock import rfc3339, rfc3339_micro
from coracle.core.object import Meta, Object
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.records import Attempt, Present

NOW_S = 1_700_000_000.0
READY = Object("Sandbox", Meta(name="pod-u"), {"status": {"state": "ready", "address": "10.32.0.5"}}, "engine/v1")
CHECKED = Notes("u", checked=True)


def a_pod(*names, deleting_in_s=None, phase="Pending", meta=None, **spec):
    containers = [{"name": name, "image": "nginx:1"} for name in names or ("web",)]
    gone = {"deleting": rfc3339(NOW_S + deleting_in_s), "grace_s": 30} if deleting_in_s is not None else {}
    body = {"spec": {"containers": containers, **spec}, "status": {"phase": phase}}
    return Object("Pod", Meta(name="p", namespace="default", uid="u", **gone, **(meta or {})), body)


def tried(container="web", number=0, state="running", ended_s=0.0, ran_s=1.0, backoff_s=0.0, **more):
    finished = NOW_S - ended_s
    times = {"finished_at": rfc3339_micro(finished), "started_at": rfc3339_micro(finished - ran_s)}
    if state != "exited":
        times = {"started_at": rfc3339_micro(NOW_S - ran_s)} if state == "running" else {}
    if state == "failed":
        times = {"finished_at": rfc3339_micro(finished)}
    id = f"{container}-{number}"
    return Attempt(id, container, number, state, backoff_s=backoff_s, grace_s=30.0, **times, **more)


def there(*attempts, sandbox=READY):
    grouped = {}
    for attempt in attempts:
        grouped.setdefault(attempt.container, []).append(attempt)
    return Present(sandbox, grouped)


INIT = [{"name": "first", "image": "nginx:1"}]
SIDECAR = [{"name": "beside", "image": "nginx:1", "restartPolicy": "Always"}]
