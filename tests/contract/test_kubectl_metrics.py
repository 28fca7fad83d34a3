"""kubectl top and autoscale: what pods use, and as many of them as that asks for."""

import json

BUSY = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "busy"},
    "spec": {
        "selector": {"matchLabels": {"app": "busy"}},
        "template": {
            "metadata": {"labels": {"app": "busy"}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        "name": "main",
                        "image": "busybox",
                        "command": ["sh", "-c", "while :; do :; done"],
                        "resources": {"requests": {"cpu": "20m"}, "limits": {"cpu": "40m"}},
                    },
                    {
                        "name": "idle",
                        "image": "busybox",
                        "command": ["sleep", "1000"],
                        "resources": {"requests": {"cpu": "1m"}},
                    },
                ],
            },
        },
    },
}


def rows(text):
    return [line.split() for line in text.splitlines()[1:]]


def test_top_and_autoscale(space):
    space.kubectl("apply", "-f", "-", input=json.dumps(BUSY))
    space.kubectl("rollout", "status", "deployment/busy", "--timeout=60s")
    found = {row[1]: int(row[2].removesuffix("m")) for row in rows(space.text("top", "pod", "--containers"))}
    assert found["main"] > found["idle"]
    assert rows(space.text("top", "pod", "--selector", "app=none")) == []
    node = rows(space.text("top", "node"))[0]
    assert node[1].endswith("m")
    assert node[3].endswith("Mi")
    refused = space.kubectl("top", "pod", "none", check=False)
    assert f'podmetrics.metrics.k8s.io "{space.namespace}/none" not found' in refused.stderr
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{space.namespace}/pods"
    window = json.loads(space.text("get", "--raw", path))["items"][0]
    assert float(window["window"].removesuffix("s")) >= 1

    space.kubectl("autoscale", "deployment", "busy", "--cpu-percent=50", "--max=2")
    scaler = ("get", "hpa", "busy")
    space.wait_for(lambda: space.json(*scaler)["status"].get("desiredReplicas") == 2)
    assert space.json("get", "deployment", "busy")["spec"]["replicas"] == 2
    assert "%/50%" in space.text(*scaler)
    why = "New size: 2; reason: cpu resource utilization (percentage of request) above target"
    said = space.wait_for(lambda: why in (text := space.text("describe", "hpa", "busy")) and text)
    assert "ValidMetricFound" in said
    path = f"/apis/autoscaling/v1/namespaces/{space.namespace}/horizontalpodautoscalers/busy"
    old = json.loads(space.text("get", "--raw", path))
    assert old["apiVersion"] == "autoscaling/v1"
    assert old["spec"]["targetCPUUtilizationPercentage"] == 50
    space.kubectl("delete", "hpa", "busy")
