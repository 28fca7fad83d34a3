"""A log agent as people run them: a DaemonSet that reads the node's /var/log."""

import re

AGENT = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 0
      volumes: [{name: logs, hostPath: {path: /var/log, type: Directory}}]
      containers:
      - {name: agent, image: busybox, command: [sleep, "1000"], volumeMounts: [{name: logs, mountPath: /var/log, readOnly: true}]}
---
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: busybox, command: [sh, -c, "echo out; echo err >&2; sleep 2; exit 1"]}]
"""


def test_an_agent_finds_every_container_by_the_names_that_kubernetes_gives(space):
    space.kubectl("apply", "-f", "-", input=AGENT)

    def inside(*words):
        return space.text("exec", "daemonset/agent", "--", "sh", "-c", *words)

    space.kubectl("rollout", "status", "daemonset/agent", "--timeout=60s")
    space.wait_for(lambda: space.json("get", "pod", "talker")["status"]["containerStatuses"][0]["restartCount"])
    talker = space.json("get", "pod", "talker")
    folder = f"/var/log/pods/{space.namespace}_talker_{talker['metadata']['uid']}/c"
    space.wait_for(lambda: "1.log" in inside(f"ls {folder}"))
    lines = inside(f"cat {folder}/0.log").splitlines()
    assert sorted(re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\S+ ", "", line) for line in lines) == ["stderr F err", "stdout F out"]  # fmt: skip
    last = talker["status"]["containerStatuses"][0]["lastState"]["terminated"]["containerID"].rpartition("/")[2]
    assert inside(f"cat /var/log/containers/talker_{space.namespace}_c-{last}.log").splitlines() == lines
    space.kubectl("delete", "pod", "talker", "--now")
    space.wait_for(lambda: f"talker_{space.namespace}" not in inside("ls /var/log/containers /var/log/pods"))
