"""What a pod finds in its environment: set in one pod, read back from inside, a table of features."""

import json

import pytest

OBJECTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {mode: fast, LEVEL: "3", name.with.dots: dotted}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {user: admin, password: "p$(x)w"}
---
apiVersion: v1
kind: Service
metadata: {name: shop-db}
spec: {selector: {app: none}, ports: [{name: sql, port: 5432}, {name: admin, port: 80, protocol: UDP}]}
"""


def container(name, **more):
    return {"name": name, "image": "busybox", **more}


def ref(variable, kind, /, **how):
    return {"name": variable, "valueFrom": {kind: how}}


MAIN = container(
    "main",
    command=[
        "sh",
        "-c",
        'tr "\\0" "\\n" < /proc/1/environ; echo "ARGS=$0 $1 $2"; echo END=; exec sleep 1000',
        "$(PLAIN)",
        "$$(PLAIN)",
    ],
    args=["$(NOBODY)"],
    resources={"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1500m", "memory": "64Mi"}},
    envFrom=[
        {"configMapRef": {"name": "settings"}},
        {"prefix": "K_", "secretRef": {"name": "keys"}},
        {"configMapRef": {"name": "absent", "optional": True}},
    ],
    env=[
        {"name": "PLAIN", "value": "one"},
        {"name": "JOINED", "value": "$(PLAIN)-$(LEVEL)-$(SHOP_DB_SERVICE_PORT)-$(NOBODY)-$$(PLAIN)"},
        {"name": "LEVEL", "value": "4"},
        {"name": "EMPTY", "value": ""},
        ref("POD_NAME", "fieldRef", fieldPath="metadata.name"),
        ref("POD_NAMESPACE", "fieldRef", fieldPath="metadata.namespace"),
        ref("POD_UID", "fieldRef", fieldPath="metadata.uid"),
        ref("POD_LABEL", "fieldRef", fieldPath="metadata.labels['app']"),
        ref("POD_NOTE", "fieldRef", fieldPath="metadata.annotations['example.org/note']"),
        ref("NO_LABEL", "fieldRef", fieldPath="metadata.labels['none']"),
        ref("NODE_NAME", "fieldRef", fieldPath="spec.nodeName"),
        ref("ACCOUNT", "fieldRef", fieldPath="spec.serviceAccountName"),
        ref("POD_IP", "fieldRef", fieldPath="status.podIP"),
        ref("POD_IPS", "fieldRef", fieldPath="status.podIPs"),
        ref("HOST_IP", "fieldRef", fieldPath="status.hostIP"),
        ref("CPU_LIMIT", "resourceFieldRef", resource="limits.cpu"),
        ref("CPU_MILLI", "resourceFieldRef", resource="limits.cpu", divisor="1m"),
        ref("CPU_ASKED", "resourceFieldRef", resource="requests.cpu", divisor="1m"),
        ref("MEMORY", "resourceFieldRef", resource="limits.memory", divisor="1Mi"),
        ref("OTHERS_MEMORY", "resourceFieldRef", containerName="second", resource="requests.memory", divisor="1Ki"),
        ref("MODE", "configMapKeyRef", name="settings", key="mode"),
        ref("PASSWORD", "secretKeyRef", name="keys", key="password"),
        ref("LEFT", "fileKeyRef", volumeName="left", path="variables", key="FIRST"),
        ref("NOT_LEFT", "fileKeyRef", volumeName="left", path="variables", key="THIRD", optional=True),
        ref("MAYBE", "secretKeyRef", name="keys", key="absent", optional=True),
    ],
)
SECOND = container(
    "second", args=["sh", "-c", "env; echo END=; exec sleep 1000"], resources={"requests": {"memory": "1Mi"}}
)
WRITER = container(
    "writes",
    command=["sh", "-c", "printf \"FIRST='one'\\nSECOND='two\\nlines'\\n\" > /left/variables"],
    volumeMounts=[{"name": "left", "mountPath": "/left"}],
)
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "looks", "labels": {"app": "look"}, "annotations": {"example.org/note": "two words"}},
    "spec": {
        "initContainers": [WRITER],
        "containers": [MAIN, SECOND],
        "volumes": [{"name": "left", "emptyDir": {}}],
        "terminationGracePeriodSeconds": 0,
    },
}
BARE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "bare"},
    "spec": {"containers": [SECOND], "enableServiceLinks": False, "terminationGracePeriodSeconds": 0},
}


def told(space, pod, name):
    """The variables that a container has printed, and its arguments, once it has printed them all."""
    said = space.wait_for(lambda: (text := space.text("logs", pod, "-c", name)).endswith("END=\n") and text)
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def test_the_environment_is_as_the_pod_says(space):
    space.kubectl("apply", "-f", "-", input=OBJECTS)
    space.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": [POD, BARE]}))
    space.kubectl("wait", "--for=condition=Ready", "pod/looks", "pod/bare", "--timeout=60s")
    found, pod = told(space, "looks", "main"), space.json("get", "pod", "looks")
    service = space.json("get", "service", "shop-db")["spec"]["clusterIP"]
    assert found["ARGS"] == "one $(PLAIN) $(NOBODY)"
    expected = {
        "PLAIN": "one",
        "JOINED": "one-3-5432-$(NOBODY)-$(PLAIN)",  # LEVEL is set anew only after
        "LEVEL": "4",
        "EMPTY": "",
        "mode": "fast",
        "name.with.dots": "dotted",
        "K_user": "admin",
        "K_password": "p$(x)w",
        "POD_NAME": "looks",
        "POD_NAMESPACE": space.namespace,
        "POD_UID": pod["metadata"]["uid"],
        "POD_LABEL": "look",
        "POD_NOTE": "two words",
        "NO_LABEL": "",
        "NODE_NAME": pod["spec"]["nodeName"],
        "ACCOUNT": "default",
        "POD_IP": pod["status"]["podIP"],
        "POD_IPS": pod["status"]["podIP"],
        "HOST_IP": pod["status"]["hostIP"],
        "CPU_LIMIT": "2",
        "CPU_MILLI": "1500",
        "CPU_ASKED": "250",
        "MEMORY": "64",
        "OTHERS_MEMORY": "1024",
        "MODE": "fast",
        "PASSWORD": "p$(x)w",
        "LEFT": "one",
        "SHOP_DB_SERVICE_HOST": service,
        "SHOP_DB_SERVICE_PORT": "5432",
        "SHOP_DB_SERVICE_PORT_SQL": "5432",
        "SHOP_DB_SERVICE_PORT_ADMIN": "80",
        "SHOP_DB_PORT": f"tcp://{service}:5432",
        "SHOP_DB_PORT_80_UDP": f"udp://{service}:80",
        "SHOP_DB_PORT_80_UDP_PROTO": "udp",
        "SHOP_DB_PORT_80_UDP_PORT": "80",
        "SHOP_DB_PORT_80_UDP_ADDR": service,
        "KUBERNETES_SERVICE_PORT": "443",
        "HOSTNAME": "looks",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert not {"MAYBE", "NOT_LEFT"} & set(found)
    bare = told(space, "bare", "second")
    assert "SHOP_DB_SERVICE_HOST" not in bare
    assert "KUBERNETES_SERVICE_HOST" in bare


MISSING = {
    "map": (ref("V", "configMapKeyRef", name="later", key="k"), 'configmap "later" not found'),
    "key": (
        ref("V", "configMapKeyRef", name="settings", key="later"),
        "couldn't find key later in ConfigMap {}/settings",
    ),
    "secret": (ref("V", "secretKeyRef", name="later", key="k"), 'secret "later" not found'),
}


def test_a_container_waits_for_its_configuration_and_goes_on_by_itself(space):
    space.kubectl("apply", "-f", "-", input=OBJECTS)
    for name, (variable, _) in MISSING.items():
        spec = {"containers": [container("c", env=[variable], command=["sleep", "1000"])]}
        spec["terminationGracePeriodSeconds"] = 0
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        space.kubectl("apply", "-f", "-", input=json.dumps(pod))

    def waiting(name):
        statuses = space.json("get", "pod", name)["status"].get("containerStatuses", ())
        return next((one["state"]["waiting"] for one in statuses if "waiting" in one["state"]), {}).get("message")

    for name, (_, said) in MISSING.items():
        space.wait_for(lambda name=name: waiting(name))
        assert waiting(name) == said.format(space.namespace)
    assert "CreateContainerConfigError" in space.text("get", "pod", "map")
    space.kubectl("create", "configmap", "later", "--from-literal=k=v")
    space.kubectl("create", "secret", "generic", "later", "--from-literal=k=v")
    space.kubectl("patch", "configmap", "settings", "-p", '{"data":{"later":"v"}}')
    space.kubectl("wait", "--for=condition=Ready", "pod", *MISSING, "--timeout=60s")
    assert {space.text("exec", name, "--", "sh", "-c", "echo $V") for name in MISSING} == {"v\n"}


@pytest.mark.parametrize(
    ("where", "given", "said"),
    [
        ("env", [{"name": "A=B", "value": "x"}], "spec.containers[0].env[0].name: Invalid value: \"A=B\""),
        ("env", [ref("A", "fieldRef", fieldPath="spec.what")], "env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.what\": error converting fieldPath"),
        ("env", [{"name": "A", "value": "x", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}], "may not be specified when `value` is not empty"),
        ("envFrom", [{"configMapRef": {}}], "envFrom[0].configMapRef.name: Required value"),
    ],
)  # fmt: skip
def test_what_an_environment_may_not_say(space, where, given, said):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bad"},
        "spec": {"containers": [container("c", **{where: given})]},
    }
    done = space.kubectl("apply", "-f", "-", input=json.dumps(pod), check=False)
    assert done.returncode == 1
    assert said in done.stderr
