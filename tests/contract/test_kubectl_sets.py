"""StatefulSets and DaemonSets through the real kubectl, with real pods and volumes."""

import json
import re

import pytest

STATEFUL = """
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: store
        image: busybox
        imagePullPolicy: IfNotPresent
        command: [sh, -c, 'echo "$HOSTNAME $VERSION" >> /data/log; exec sleep 3600']
        env: [{name: VERSION, value: "1"}]
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""

DAEMONS = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: agent, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "3600"]}]
"""


def rolled_out(space, what):
    space.kubectl("rollout", "status", what, "--timeout=60s")


def pods_of(space):
    return f"/api/v1/namespaces/{space.namespace}/pods"


@pytest.fixture
def db(space):
    space.begun = json.loads(space.text("get", "--raw", pods_of(space)))["metadata"]["resourceVersion"]
    space.kubectl("apply", "-f", "-", input=STATEFUL)
    rolled_out(space, "statefulset/db")
    return space


def names(space, kind="pods"):
    return [item["metadata"]["name"] for item in space.json("get", kind)["items"]]


def steps(space):
    """What has happened to pods since the set was made: that they were there, and that they were ready."""
    watch = f"{pods_of(space)}?watch=1&resourceVersion={space.begun}&timeoutSeconds=1"
    found = {}
    for event in map(json.loads, space.text("get", "--raw", watch).splitlines()):
        pod, known = event["object"], event["object"]["status"].get("conditions") or ()
        ready = any((one["type"], one["status"]) == ("Ready", "True") for one in known)
        found[pod["metadata"]["name"] + (" ready" if ready else " made")] = True
    return list(found)


def written(db, name, *lines):
    """Wait until these and no others are in the log in a pod's volume: its program writes a moment after its start."""
    whole = "".join(f"{line}\n" for line in lines)
    db.wait_for(lambda: db.text("exec", name, "--", "cat", "/data/log") == whole)


def test_a_stateful_sets_life(db):
    assert names(db) == ["db-0", "db-1", "db-2"]
    assert steps(db) == [f"db-{number} {how}" for number in (0, 1, 2) for how in ("made", "ready")]
    assert re.search(r"db\s+3/3\s+\d+s\s+store\s+busybox\n", db.text("get", "sts", "-o", "wide"))
    for name in ("db-0", "db-2"):
        assert db.text("exec", name, "--", "hostname").strip() == name
    address, asked = db.json("get", "pod", "db-2")["status"]["podIP"], f"db-2.db.{db.namespace}.svc.cluster.local"
    db.wait_for(lambda: address in db.text("exec", "db-0", "--", "nslookup", asked))

    # another version comes from the highest down, each pod with its own volume
    db.kubectl("patch", "sts/db", "-p", '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}}}}')
    db.kubectl("set", "env", "sts/db", "VERSION=2")
    rolled_out(db, "statefulset/db")
    for name, lines in {"db-0": ["db-0 1"], "db-1": ["db-1 1"], "db-2": ["db-2 1", "db-2 2"]}.items():
        written(db, name, *lines)
    db.kubectl("patch", "sts/db", "-p", '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}')
    rolled_out(db, "statefulset/db")
    written(db, "db-0", "db-0 1", "db-0 2")
    status = db.json("get", "sts", "db")["status"]
    assert status["currentRevision"] == status["updateRevision"]

    assert re.search(r"REVISION\s+CHANGE-CAUSE\n1 .*\n2 ", db.text("rollout", "history", "sts/db"))
    db.kubectl("rollout", "undo", "sts/db")
    rolled_out(db, "statefulset/db")
    written(db, "db-1", "db-1 1", "db-1 2", "db-1 1")
    revisions = db.text("get", "controllerrevisions")
    assert re.search(r"db-\w+\s+statefulset.apps/db\s+3\s", revisions)

    # the highest goes first, and its volume with it, as its retention policy says
    db.kubectl("scale", "sts/db", "--replicas=1", "--timeout=60s")
    db.wait_for(lambda: names(db) == ["db-0"])
    db.wait_for(lambda: names(db, "pvc") == ["data-db-0"])
    db.kubectl("scale", "sts/db", "--replicas=2", "--timeout=60s")
    rolled_out(db, "statefulset/db")
    written(db, "db-1", "db-1 1")

    said = db.text("describe", "sts/db")
    for expected in (
        r"Replicas:\s+2 desired \| 2 total",
        r"Pods Status:\s+2 Running / 0 Waiting",
        r"SuccessfulCreate .* statefulset-controller\s+create Claim data-db-2 Pod db-2 in StatefulSet db success",
        r"create Pod db-0 in StatefulSet db successful",
        r"delete Pod db-2 in StatefulSet db successful",
    ):
        assert re.search(expected, said), said
    db.kubectl("delete", "sts/db")
    db.wait_for(lambda: not names(db))
    assert names(db, "pvc") == ["data-db-0", "data-db-1"]  # its deletion retains them


def test_a_deleted_pod_comes_back_as_itself(db):
    before = db.json("get", "pod", "db-1")["metadata"]["uid"]
    db.kubectl("delete", "pod", "db-1")
    rolled_out(db, "statefulset/db")
    db.wait_for(lambda: db.json("get", "pod", "db-1")["status"]["phase"] == "Running")
    assert db.json("get", "pod", "db-1")["metadata"]["uid"] != before
    written(db, "db-1", "db-1 1", "db-1 1")


def test_a_daemon_sets_life(space, cloud):
    space.kubectl("apply", "-f", "-", input=DAEMONS)
    rolled_out(space, "daemonset/agent")
    assert re.search(r"agent\s+1\s+1\s+1\s+1\s+1\s+<none>\s+\d+s", space.text("get", "ds"))
    (pod,) = space.json("get", "pods")["items"]
    node = cloud.json("get", "nodes")["items"][0]["metadata"]["name"]
    assert pod["spec"]["nodeName"] == node
    cloud.kubectl("cordon", node)  # which is no matter to daemons
    try:
        space.kubectl("delete", "pod", pod["metadata"]["name"])
        space.wait_for(lambda: space.json("get", "pods")["items"][0]["status"]["phase"] == "Running")
    finally:
        cloud.kubectl("uncordon", node)

    space.kubectl("set", "env", "ds/agent", "A=1")
    rolled_out(space, "daemonset/agent")
    space.kubectl("rollout", "undo", "ds/agent")
    rolled_out(space, "daemonset/agent")
    assert re.search(r"CHANGE-CAUSE\n2 .*\n3 ", space.text("rollout", "history", "ds/agent"))
    space.kubectl("rollout", "restart", "ds/agent")
    rolled_out(space, "daemonset/agent")

    # where no node fits it has no pod; back it comes when one does
    selector = '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"gold"}}}}}'
    space.kubectl("patch", "ds/agent", "-p", selector)
    space.wait_for(lambda: not names(space))
    space.wait_for(lambda: re.search(r"agent\s+0\s+0\s+0\s+0\s+0\s+disk=gold\s", space.text("get", "ds")))
    cloud.kubectl("label", "node", node, "disk=gold")
    try:
        rolled_out(space, "daemonset/agent")
        space.wait_for(lambda: len(names(space)) == 1)
    finally:
        cloud.kubectl("label", "node", node, "disk-")
    space.wait_for(lambda: not names(space))
    said = space.text("describe", "ds/agent")
    assert re.search(r"SuccessfulCreate .* daemonset-controller\s+Created pod: agent-\w{5}", said)
