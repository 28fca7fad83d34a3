"""Pods with volumes, and looking into them: for the tests of what a pod finds in its files."""

import json

OBJECTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {plain.txt: hello, second: two}
binaryData: {bytes: AAECAw==}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {password: s3cret}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: fixed}
immutable: true
data: {a: "1"}
"""

WAIT = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


def field(path, what):
    return {"path": path, "fieldRef": {"fieldPath": what}}


def amount(path, what, divisor):
    return {"path": path, "resourceFieldRef": {"containerName": "c", "resource": what, "divisor": divisor}}


VOLUMES = {
    "settings": {"configMap": {"name": "settings"}},
    "chosen": {
        "configMap": {
            "name": "settings",
            "defaultMode": 0o400,
            "items": [{"key": "plain.txt", "path": "deep/er/file", "mode": 0o755}, {"key": "second", "path": "two"}],
        }
    },
    "keys": {"secret": {"secretName": "keys", "defaultMode": 0o440}},
    "absent": {"configMap": {"name": "absent", "optional": True}},
    "about": {
        "downwardAPI": {
            "items": [
                field("labels", "metadata.labels"),
                field("annotations", "metadata.annotations"),
                field("app", "metadata.labels['app']"),
                field("name", "metadata.name"),
                amount("cpu", "limits.cpu", "1m"),
                amount("memory", "requests.memory", "1Mi"),
            ]
        }
    },
    "all": {
        "projected": {
            "defaultMode": 0o444,
            "sources": [
                {"configMap": {"name": "settings", "items": [{"key": "second", "path": "from/map"}]}},
                {"secret": {"name": "keys", "items": [{"key": "password", "path": "from/secret", "mode": 0o400}]}},
                {"downwardAPI": {"items": [field("from/pod", "metadata.namespace")]}},
            ],
        }
    },
    "memory": {"emptyDir": {"medium": "Memory", "sizeLimit": "2Mi"}},
    "disk": {"emptyDir": {}},
}


def a_pod(name, volumes, mounts=(), container=None, **spec):
    """A pod that waits, with each of `volumes` at /v/<its name> beside `mounts`."""
    everywhere = [{"name": volume, "mountPath": f"/v/{volume}"} for volume in volumes]
    one = {
        "name": "c", "image": "busybox", "command": WAIT, "volumeMounts": [*everywhere, *mounts], **(container or {}),
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": "look", "tier": "front"},
            "annotations": {"example.org/note": "two\nlines"},
        },
        "spec": {"containers": [one], "volumes": [{"name": key, **value} for key, value in volumes.items()], **spec},
    }


def create(space, *objects):
    space.kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def ready(space, *names):
    space.kubectl("wait", "--for=condition=Ready", "pod", *names, "--timeout=60s")


def inside(space, pod, script, check=True):
    return space.kubectl("exec", pod, "--", "sh", "-c", script, check=check)
