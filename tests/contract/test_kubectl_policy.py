"""Quotas, limits, budgets, priorities and taints through the real kubectl, with real pods."""

import contextlib

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {app}}}}}
spec:
  terminationGracePeriodSeconds: 0
  {more}
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sleep, "3600"]
    resources: {{requests: {{cpu: {cpu}}}}}
"""

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "3600"]}]
"""

RANGE = """
apiVersion: v1
kind: LimitRange
metadata: {name: bounds}
spec: {limits: [{type: Container, max: {cpu: 800m}, default: {cpu: 200m}, defaultRequest: {cpu: 100m}}]}
"""

RUNTIMES = """
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {{name: ours-{tag}}}
handler: {handler}
overhead: {{podFixed: {{cpu: 20m}}}}
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {{name: theirs-{tag}}}
handler: somebody-elses
"""

# A node that never answers, and two pods there: one bears it for two seconds, the other for ever.
SILENT = """
apiVersion: v1
kind: Node
metadata: {name: silent}
---
apiVersion: v1
kind: Pod
metadata: {name: soon}
spec:
  nodeName: silent
  tolerations: [{key: gpu, operator: Exists, effect: NoExecute, tolerationSeconds: 2}]
  containers: [{name: main, image: busybox}]
---
apiVersion: v1
kind: Pod
metadata: {name: stays}
spec:
  nodeName: silent
  tolerations: [{operator: Exists}]
  containers: [{name: main, image: busybox}]
"""


def pod(name, cpu="10m", app="one", more=""):
    return POD.format(name=name, cpu=cpu, app=app, more=more)


def refusal(space, *words, **options):
    done = space.kubectl(*words, check=False, **options)
    assert done.returncode != 0, done.stdout
    return done.stderr


def names(space):
    return sorted(item["metadata"]["name"] for item in space.json("get", "pods")["items"])


def test_quotas_and_limits(space):
    space.kubectl("create", "quota", "most", "--hard=pods=2,requests.cpu=500m,count/configmaps=5")
    space.kubectl("apply", "-f", "-", input=pod("a", "200m"))
    assert (
        "exceeded quota: most, requested: requests.cpu=400m, used: requests.cpu=200m, limited: requests.cpu=500m"
        in (refusal(space, "apply", "-f", "-", input=pod("b", "400m")))
    )
    assert "failed quota: most: must specify requests.cpu for: web" in refusal(space, "run", "web", "--image=busybox")
    space.kubectl("apply", "-f", "-", input=RANGE)  # what containers get unasked counts
    space.kubectl("run", "web", "--image=busybox", "--restart=Never", "--command", "--", "sleep", "3600")
    given = space.json("get", "pod", "web")
    assert given["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "200m"}, "requests": {"cpu": "100m"}}
    assert "requested: pods=1, used: pods=2, limited: pods=2" in refusal(space, "apply", "-f", "-", input=pod("c"))
    big = '{"spec":{"containers":[{"name":"c","image":"busybox","resources":{"limits":{"cpu":"1"}}}]}}'
    said = refusal(space, "run", "c", "--image=busybox", f"--overrides={big}")
    assert "maximum cpu usage per Container is 800m, but limit is 1" in said

    space.wait_for(lambda: space.json("get", "quota", "most")["status"]["used"]["pods"] == "2")
    shown = space.text("describe", "quota", "most")
    assert "requests.cpu      300m  500m" in shown
    assert "count/configmaps  1     5" in shown
    assert "cpu       -    800m  100m             200m" in space.text("describe", "limits", "bounds")
    space.kubectl("delete", "pod", "a", "web", "--now")
    space.wait_for(lambda: space.json("get", "quota", "most")["status"]["used"]["pods"] == "0")

    space.kubectl("patch", "quota", "most", "-p", '{"spec":{"hard":{"pods":"1"}}}')
    space.kubectl("apply", "-f", "-", input=WEB)  # what a controller may not make it says
    space.wait_for(lambda: "exceeded quota: most, requested: pods=1" in space.text("get", "events"))


def test_budgets_hold_a_drain(space):
    (node,) = (item["metadata"]["name"] for item in space.json("get", "nodes")["items"])
    label = f"app={space.namespace}"  # a drain looks into every namespace
    space.kubectl("apply", "-f", "-", input=WEB.replace("app: web", f"app: {space.namespace}"))
    space.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    space.kubectl("create", "pdb", "guard", f"--selector={label}", "--min-available=2")
    space.wait_for(lambda: space.json("get", "pdb", "guard")["status"].get("currentHealthy") == 2)
    assert space.json("get", "pdb", "guard")["status"]["conditions"][0]["reason"] == "InsufficientPods"
    selected = (f"--pod-selector={label}", "--timeout=1s")
    try:
        said = refusal(space, "drain", node, *selected)
        assert "Cannot evict pod as it would violate the pod's disruption budget." in said
        assert "SchedulingDisabled" in space.text("get", "node", node)
        space.kubectl("patch", "pdb", "guard", "-p", '{"spec":{"minAvailable":0}}')
        space.wait_for(lambda: space.json("get", "pdb", "guard")["status"]["disruptionsAllowed"] == 2)
        done = space.text("drain", node, f"--pod-selector={label}", "--timeout=60s")
        assert done.count(" evicted") == 2
        space.wait_for(lambda: "1 node(s) were unschedulable" in space.text("get", "events"))
    finally:
        space.kubectl("uncordon", node)
    space.kubectl("rollout", "status", "deployment/web", "--timeout=60s")


def test_a_more_important_pod_gets_the_room(space):
    (node,) = space.json("get", "nodes")["items"]
    most = f"{int(node['status']['allocatable']['cpu']) * 1000 - 400}m"
    name = f"high-{space.namespace}"
    space.kubectl("create", "priorityclass", name, "--value=1000")
    try:
        space.kubectl("apply", "-f", "-", input=pod("low", most, "low"))
        space.kubectl("wait", "--for=condition=Ready", "pod/low", "--timeout=60s")
        space.kubectl("apply", "-f", "-", input=pod("top", most, "top", f"priorityClassName: {name}"))
        space.kubectl("wait", "--for=condition=Ready", "pod/top", "--timeout=60s")
        assert names(space) == ["top"]
        assert space.json("get", "pod", "top")["spec"]["priority"] == 1000
        top = space.json("get", "pod", "top")["metadata"]["uid"]
        space.wait_for(lambda: f"Preempted by pod {top} on node" in space.text("get", "events"))
        space.kubectl("apply", "-f", "-", input=pod("late", most, "late"))
        space.wait_for(lambda: "No preemption victims found for incoming pod." in space.text("get", "events"))
    finally:
        space.kubectl("delete", "priorityclass", name)


def test_taints_send_pods_away(space):
    with contextlib.ExitStack() as stack:
        stack.callback(space.kubectl, "delete", "node", "silent", "--wait=false")
        space.kubectl("apply", "-f", "-", input=SILENT)
        assert names(space) == ["soon", "stays"]
        space.kubectl("taint", "node", "silent", "gpu=yes:NoExecute")
        space.wait_for(lambda: space.json("get", "pod", "soon")["metadata"].get("deletionTimestamp"))
        why = {
            one["type"]: one["reason"]
            for one in space.json("get", "pod", "soon")["status"]["conditions"]
            if "reason" in one
        }
        assert why["DisruptionTarget"] == "DeletionByTaintManager"
        assert "deletionTimestamp" not in space.json("get", "pod", "stays")["metadata"]
        space.kubectl("cordon", "silent")
        space.wait_for(lambda: "node.kubernetes.io/unschedulable" in space.text("describe", "node", "silent"))
        space.kubectl("delete", "pods", "--all", "--force", "--grace-period=0")


def test_runtime_classes_and_gates(space):
    (node,) = space.json("get", "nodes")["items"]
    handler = node["status"]["nodeInfo"]["containerRuntimeVersion"].partition(":")[0]
    classes = RUNTIMES.format(tag=space.namespace, handler=handler)
    space.kubectl("apply", "-f", "-", input=classes)
    try:
        for whose in ("ours", "theirs"):
            more = f"runtimeClassName: {whose}-{space.namespace}"
            space.kubectl("apply", "-f", "-", input=pod(whose, more=more))
        space.kubectl("apply", "-f", "-", input=pod("gated", more='schedulingGates: [{name: "example.com/quota"}]'))
        space.kubectl("wait", "--for=condition=Ready", "pod/ours", "--timeout=60s")
        assert space.json("get", "pod", "ours")["spec"]["overhead"] == {"cpu": "20m"}
        said = (
            'Failed to create pod sandbox: failed to get sandbox runtime: no runtime for "somebody-elses" is configured'
        )
        space.wait_for(lambda: said in space.text("get", "events"))
        assert "ContainerCreating" in space.text("get", "pod", "theirs")
        space.wait_for(lambda: "SchedulingGated" in space.text("get", "pod", "gated"))
        space.kubectl("patch", "pod", "gated", "--type=json", "-p", '[{"op":"remove","path":"/spec/schedulingGates"}]')
        space.kubectl("wait", "--for=condition=Ready", "pod/gated", "--timeout=60s")
    finally:
        space.kubectl("delete", "-f", "-", input=classes)
