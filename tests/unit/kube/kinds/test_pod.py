"""Pods: what they say where the user said nothing, what is refused, and how they are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coracle.core.collection import Deletion
from coracle.core.errors import Invalid
from coracle.core.object import Key, Meta, Object
from coracle.core.quantity import parse
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.podspec import amounts, changes, columns, defaults, rules
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod, place

ONE = Key("default", "one")


def with_container(**fields):
    return {"containers": [{"name": "www", "image": "nginx", **fields}]}


# -- defaults ----------------------------------------------------------------------------------------------------------


def test_what_a_pod_says_where_the_user_said_nothing():
    spec = pods.default(a_pod("one")).spec
    assert {name: value for name, value in spec.items() if name not in ("containers", "tolerations")} == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "enableServiceLinks": True,
    }
    assert spec["containers"] == [
        {
            "name": "www",
            "image": "nginx",
            "imagePullPolicy": "Always",
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        }
    ]
    assert [(t["key"], t["effect"], t["tolerationSeconds"]) for t in spec["tolerations"]] == [
        ("node.kubernetes.io/not-ready", "NoExecute", 300),
        ("node.kubernetes.io/unreachable", "NoExecute", 300),
    ]


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"), ("nginx:latest", "Always"), ("nginx:1.27", "IfNotPresent"),
        ("localhost:5000/nginx", "Always"), ("localhost:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"), ("nginx:latest@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)  # fmt: skip
def test_pull_policy_follows_the_tag(image, policy):
    assert defaults.pull_policy(image) == policy


def test_a_negative_grace_is_the_least_one():
    assert (
        pods.default(a_pod("one").with_spec(terminationGracePeriodSeconds=-1)).spec["terminationGracePeriodSeconds"]
        == 1
    )


def test_defaults_do_not_go_into_what_was_said():
    said = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "enableServiceLinks": False}
    spec = defaults.pod_spec({**said, "containers": [], "schedulerName": None})
    assert {name: spec[name] for name in said} == said
    assert spec["schedulerName"] == "default-scheduler"


def test_the_parts_of_containers_and_volumes():
    probe = {"httpGet": {"port": 80}}
    container = {
        "name": "a", "image": "b:1", "ports": [{"containerPort": 80}], "readinessProbe": probe,
        "lifecycle": {"preStop": {"httpGet": {"port": 1}}},
        "env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
    }  # fmt: skip
    volumes = [{"name": "e"}, {"name": "h", "hostPath": {"path": "/x"}}, {"name": "c", "configMap": {"name": "x"}}]
    spec = defaults.pod_spec({"containers": [container], "volumes": volumes})
    (filled,) = spec["containers"]
    assert filled["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert filled["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
    }  # fmt: skip
    assert filled["lifecycle"]["preStop"]["httpGet"] == {"port": 1, "path": "/", "scheme": "HTTP"}
    assert filled["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert filled["resources"] == {
        "limits": {"cpu": "500m", "memory": "1Gi"},
        "requests": {"cpu": "100m", "memory": "1Gi"},
    }
    assert spec["volumes"] == [
        {"name": "e", "emptyDir": {}},
        {"name": "h", "hostPath": {"path": "/x", "type": ""}},
        {"name": "c", "configMap": {"name": "x", "defaultMode": 0o644}},
    ]


def test_a_template_gets_less_than_a_pod():
    spec = defaults.template({"spec": with_container(resources={"limits": {"cpu": "1"}})})["spec"]
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert not {"tolerations", "serviceAccountName", "priority", "enableServiceLinks"} & set(spec)


def test_on_the_hosts_network_ports_are_the_hosts():
    spec = defaults.pod_spec({"hostNetwork": True, **with_container(ports=[{"containerPort": 80}])})
    assert spec["containers"][0]["ports"][0]["hostPort"] == 80


_SPECS = st.fixed_dictionaries(
    {"containers": st.lists(st.fixed_dictionaries({"name": st.text(max_size=3), "image": st.text(max_size=5)}), max_size=2)},
    optional={
        "restartPolicy": st.sampled_from(["", "Always", "Never", None]),
        "tolerations": st.lists(st.fixed_dictionaries({}, optional={"key": st.text(max_size=2), "effect": st.text(max_size=2)})),
        "volumes": st.lists(st.fixed_dictionaries({"name": st.text(max_size=2)}, optional={"secret": st.just({})}), max_size=2),
        "hostNetwork": st.booleans(),
    },
)  # fmt: skip


@given(_SPECS)
def test_filling_in_twice_is_filling_in_once(spec):
    once = defaults.pod_spec(spec)
    assert defaults.pod_spec(once) == once


# -- rules -------------------------------------------------------------------------------------------------------------


def probed(**probe):
    return with_container(livenessProbe=probe)


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"containers": []}, "spec.containers", "Required value"),
        ({"containers": [{"name": "a"}]}, "spec.containers[0].image", "Required value"),
        ({"containers": [{"image": "a"}]}, "spec.containers[0].name", "Required value"),
        (with_container(image=" a"), "spec.containers[0].image", 'Invalid value: " a": must not have leading or trailing whitespace'),
        (with_container(name="A"), "spec.containers[0].name", 'Invalid value: "A": a lowercase RFC 1123 label must consist of'),
        ({"containers": [{"name": "a", "image": "b"}] * 2}, "spec.containers[1].name", 'Duplicate value: "a"'),
        ({**with_container(), "restartPolicy": "Sometimes"}, "spec.restartPolicy", 'Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'),
        ({**with_container(), "dnsPolicy": "X"}, "spec.dnsPolicy", 'Unsupported value: "X": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"'),
        (with_container(restartPolicy="Never", restartPolicyRules=[{"action": "Restart"}]), "spec.containers[0].restartPolicyRules[0].exitCodes", "Required value: must be specified"),
        (with_container(restartPolicy="Never", restartPolicyRules=[{"action": "Restart", "exitCodes": {"operator": "In"}}] * 21), "spec.containers[0].restartPolicyRules", "Too many: 21: must have at most 20 items"),
        (with_container(restartPolicy="Never", restartPolicyRules=[{"action": "Restart", "exitCodes": {}}]), "spec.containers[0].restartPolicyRules[0].exitCodes.operator", 'Unsupported value: "": supported values: "In", "NotIn"'),
        ({**with_container(), "hostnameOverride": "Not.A.Name"}, "spec.hostnameOverride", 'Invalid value: "Not.A.Name": a lowercase RFC 1123 subdomain'),
        ({**with_container(), "hostnameOverride": "a" * 63 + ".b"}, "spec.hostnameOverride", "Too long: may not be more than 64 bytes"),
        ({**with_container(), "hostnameOverride": "a", "setHostnameAsFQDN": True}, "spec.hostnameOverride", "Forbidden: may not be set when `setHostnameAsFQDN`"),
        ({**with_container(), "hostnameOverride": "a", "hostNetwork": True}, "spec.hostnameOverride", "Forbidden: may not be set when `hostNetwork`"),
        ({**with_container(), "activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds", "Invalid value: 0: must be between 1 and 2147483647, inclusive"),
        ({**with_container(), "nodeSelector": {"a b": "c"}}, "spec.nodeSelector", 'Invalid value: "a b": name part must consist of'),
        ({**with_container(), "hostAliases": [{"ip": "x"}]}, "spec.hostAliases[0].ip", 'Invalid value: "x": must be a valid IP address'),
        (with_container(ports=[{"containerPort": 70000}]), "spec.containers[0].ports[0].containerPort", "Invalid value: 70000: must be between 1 and 65535, inclusive"),
        (with_container(ports=[{}]), "spec.containers[0].ports[0].containerPort", "Required value"),
        (with_container(ports=[{"containerPort": 1, "name": "a_b"}]), "spec.containers[0].ports[0].name", 'Invalid value: "a_b": must contain only alpha-numeric'),
        (with_container(ports=[{"containerPort": 1, "protocol": "ICMP"}]), "spec.containers[0].ports[0].protocol", 'Unsupported value: "ICMP"'),
        (with_container(ports=[{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]), "spec.containers[0].ports[1].hostPort", 'Duplicate value: "TCP//9"'),
        (with_container(imagePullPolicy="X"), "spec.containers[0].imagePullPolicy", 'Unsupported value: "X": supported values: "Always", "IfNotPresent", "Never"'),
        (with_container(env=[{"name": "a=b"}]), "spec.containers[0].env[0].name", 'Invalid value: "a=b": a valid environment variable name must'),
        (with_container(env=[{"name": "a", "valueFrom": {}}]), "spec.containers[0].env[0].valueFrom", "Invalid value: \"\": must specify one of: `fieldRef`"),
        (with_container(env=[{"name": "a", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]), "spec.containers[0].env[0].valueFrom", "Invalid value: \"\": may not be specified when `value` is not empty"),
        (with_container(env=[{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]), "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath", 'Invalid value: "x": error converting fieldPath: field label not supported: x'),
        (with_container(env=[{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]), "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath", 'Unsupported value: "status.phase"'),
        (with_container(env=[{"name": "a", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}]), "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor", "Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource"),
        (with_container(env=[{"name": "a", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}}]), "spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName", 'Not found: "v"'),
        ({**with_container(env=[{"name": "a", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}}]), "volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName", 'Invalid value: "v": must be a volume of type emptyDir'),
        (with_container(envFrom=[{"prefix": "=", "configMapRef": {"name": "a"}}]), "spec.containers[0].envFrom[0].prefix", 'Invalid value: "=": a valid environment variable name'),
        (with_container(volumeMounts=[{"name": "x", "mountPath": "/a"}]), "spec.containers[0].volumeMounts[0].name", 'Not found: "x"'),
        ({**with_container(volumeMounts=[{"name": "v", "mountPath": "/a"}] * 2), "volumes": [{"name": "v"}]}, "spec.containers[0].volumeMounts[1].mountPath", 'Invalid value: "/a": must be unique'),
        ({**with_container(), "volumes": [{"name": "v"}] * 2}, "spec.volumes[1].name", 'Duplicate value: "v"'),
        ({**with_container(), "volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]}, "spec.volumes[0].hostPath.path", 'Invalid value: "/a/../b": must not contain \'..\''),
        ({**with_container(), "volumes": [{"name": "v", "hostPath": {"path": "/a"}, "emptyDir": {}}]}, "spec.volumes[0].emptyDir", "Forbidden: may not specify more than 1 volume type"),
        (with_container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}), "spec.containers[0].resources.requests", 'Invalid value: "2": must be less than or equal to cpu limit of 1'),
        (with_container(resources={"limits": {"cpu": "-1"}}), "spec.containers[0].resources.limits[cpu]", 'Invalid value: "-1": must be greater than or equal to 0'),
        (with_container(resources={"limits": {"foo": "1"}}), "spec.containers[0].resources.limits[foo]", 'Invalid value: "foo": must be a standard resource type or fully qualified'),
        (probed(), "spec.containers[0].livenessProbe", "Required value: must specify a handler type"),
        (probed(exec={"command": ["a"]}, tcpSocket={"port": 1}), "spec.containers[0].livenessProbe.tcpSocket", "Forbidden: may not specify more than 1 handler type"),
        (probed(exec={"command": ["a"]}, successThreshold=2), "spec.containers[0].livenessProbe.successThreshold", "Invalid value: 2: must be 1"),
        (probed(httpGet={"port": 80, "httpHeaders": [{"name": "a b"}]}), "spec.containers[0].livenessProbe.httpGet.httpHeaders", 'Invalid value: "a b": a valid HTTP header must consist of'),
        ({**with_container(), "schedulingGates": [{"name": "a"}] * 2}, "spec.schedulingGates[1]", 'Duplicate value: "a"'),
        (with_container(lifecycle={"preStop": {"sleep": {"seconds": 31}}}), "spec.containers[0].lifecycle.preStop.sleep", "Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)"),
        (probed(tcpSocket={"port": 0}), "spec.containers[0].livenessProbe.tcpSocket.port", "Invalid value: 0: must be between 1 and 65535, inclusive"),
        ({**with_container(), "initContainers": [{"name": "i", "image": "b", "livenessProbe": {"exec": {"command": ["a"]}}}]}, "spec.initContainers[0].livenessProbe", "Forbidden: may not be set for init containers without restartPolicy=Always"),
        ({**with_container(), "initContainers": [{"name": "www", "image": "b"}]}, "spec.initContainers[0].name", 'Duplicate value: "www"'),
        ({**with_container(), "tolerations": [{"operator": "Equal"}]}, "spec.tolerations[0].operator", 'Invalid value: "Equal": operator must be Exists when `key` is empty'),
        ({**with_container(), "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}}, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms", "Required value: must have at least one node selector term"),
        ({**with_container(), "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}}, "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey", "Required value: can not be empty"),
        (with_container(securityContext={"privileged": True, "allowPrivilegeEscalation": False}), "spec.containers[0].securityContext", 'Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: cannot set `allowPrivilegeEscalation`'),
    ],
)  # fmt: skip
def test_what_is_refused(spec, field, text):
    problems = rules.problems(defaults.pod_spec(spec))
    assert [problem for problem in problems if problem.field == field and problem.text.startswith(text)], problems


def test_a_full_pod_breaks_no_rule():
    spec = {
        "initContainers": [{"name": "sidecar", "image": "a", "restartPolicy": "Always", "readinessProbe": {"exec": {"command": ["x"]}}}],
        "containers": [{
            "name": "www", "image": "nginx", "ports": [{"name": "http", "containerPort": 80, "hostPort": 8080}],
            "env": [{"name": "a.b-c", "value": "x"}, {"name": "Y", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}],
            "envFrom": [{"configMapRef": {"name": "x"}}], "volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "b/c"}],
            "resources": {"requests": {"cpu": "1", "example.com/gpu": "1"}, "limits": {"cpu": "1", "example.com/gpu": "1"}},
            "readinessProbe": {"httpGet": {"port": "http"}, "successThreshold": 2},
        }],
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}}, {"name": "s", "secret": {"secretName": "x"}}],
        "tolerations": [{"operator": "Exists"}], "nodeSelector": {"disk": "ssd"},
    }  # fmt: skip
    assert rules.problems(defaults.pod_spec(spec)) == []


# -- amounts -----------------------------------------------------------------------------------------------------------


def asking(cpu, **more):
    return {"name": cpu, "resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        pytest.param({"containers": [asking("1"), asking("500m")]}, "1500m", id="containers together"),
        pytest.param({"containers": [asking("1")], "initContainers": [asking("3"), asking("2")]}, "3", id="or one init container"),
        pytest.param({"containers": [asking("1")], "initContainers": [asking("1", restartPolicy="Always")]}, "2", id="and sidecars"),
        pytest.param(
            {"containers": [asking("1")], "initContainers": [asking("1", restartPolicy="Always"), asking("3")]}, "4",
            id="a sidecar beside a later init container",
        ),
        pytest.param({"containers": [asking("1")], "overhead": {"cpu": "250m"}}, "1250m", id="and overhead"),
    ],
)  # fmt: skip
def test_requests(spec, cpu):
    assert amounts.requests(spec)["cpu"] == parse(cpu)


BOTH = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"requests": BOTH, "limits": BOTH}], "Guaranteed"),
        ([{"requests": BOTH, "limits": BOTH}, {}], "Burstable"),
        ([{"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": BOTH}], "Burstable"),
    ],
)
def test_qos_class(resources, expected):
    assert amounts.qos_class({"containers": [{"resources": each} for each in resources]}) == expected


# -- through the collection --------------------------------------------------------------------------------------------


def test_a_new_pod_is_pending_whatever_its_maker_says():
    async def main():
        stage = Stage()
        await stage.rooms()
        await stage["Pod"].create(a_pod("one").with_status(phase="Running"))
        assert stage["Pod"].get(ONE).status == {"phase": "Pending", "qosClass": "BestEffort"}

    run(main())


def test_what_of_a_pod_may_change():
    async def main():
        stage = Stage()
        await stage.rooms()
        pods = stage["Pod"]
        await pods.create(a_pod("one"))
        image = [{**pods.get(ONE).spec["containers"][0], "image": "nginx:2"}]
        await pods.change(ONE, lambda pod: pod.with_spec(containers=image))
        await pods.change(ONE, lambda pod: pod.with_spec(activeDeadlineSeconds=10))
        more = [*pods.get(ONE).spec["tolerations"], {"key": "x", "operator": "Exists"}]
        await pods.change(ONE, lambda pod: pod.with_spec(tolerations=more))
        assert pods.get(ONE).meta.generation == 4
        for change in (
            {"restartPolicy": "Never"},
            {"tolerations": more[:1]},
            {"activeDeadlineSeconds": 11},
            {"containers": [{**image[0], "command": ["x"]}]},
            {"containers": image * 2},
            {"nodeName": "n1"},
        ):
            with pytest.raises(Invalid):
                await pods.change(ONE, lambda pod, change=change: pod.with_spec(**change))

    run(main())


def terms(*lists):
    chosen = [{"matchExpressions": [{"key": key, "operator": "Exists"} for key in keys]} for keys in lists]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": chosen}}}


ONLY_MORE = "only additions are allowed (no mutations or deletions)"
ANTI = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}


@pytest.mark.parametrize(
    ("had", "change", "said"),
    [
        pytest.param({}, {"nodeSelector": {"a": "1"}, "affinity": terms("x")}, "", id="anything where nothing was asked"),
        pytest.param({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"a": "1", "b": "2"}}, "", id="another label"),
        pytest.param({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"a": "2"}}, "only additions to spec.nodeSelector", id="another value"),
        pytest.param({"affinity": terms("x")}, {"affinity": terms("xy")}, "", id="another expression"),
        pytest.param({"affinity": terms("x")}, {"affinity": terms("yx")}, ONLY_MORE, id="in another order"),
        pytest.param({"affinity": terms("x")}, {"affinity": terms("x", "y")}, "no additions/deletions to non-empty", id="another term"),
        pytest.param({"affinity": terms("")}, {"affinity": terms("x")}, ONLY_MORE, id="a term that chooses nothing"),
        pytest.param({"affinity": terms("x")}, {"affinity": {**terms("x"), **ANTI}}, "pod updates may not change", id="how pods keep apart"),
        pytest.param({"schedulingGates": []}, {"nodeSelector": {"a": "1"}}, "pod updates may not change", id="no gate any more"),
    ],
)  # fmt: skip
def test_where_a_gated_pod_may_go(had, change, said):
    old = {**with_container(), "schedulingGates": [{"name": "example.com/wait"}], **had}
    found = changes.problems({**old, **change}, old)
    assert said in found[0].text if said else not found


def test_a_forbidden_change_says_which_changes_are_not():
    async def main():
        stage = Stage()
        await stage.rooms()
        await stage["Pod"].create(a_pod("one"))
        with pytest.raises(Invalid) as caught:
            await stage["Pod"].change(ONE, lambda pod: pod.with_spec(hostname="x"))
        (problem,) = caught.value.problems
        assert problem.field == "spec"
        assert problem.text.startswith(
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*]"
        )
        assert '+ \tspec.hostname: "x",' in problem.text

    run(main())


def test_a_pod_is_bound_once():
    async def main():
        stage = Stage()
        await stage.rooms()
        await stage["Pod"].create(a_pod("one"))
        await place(stage, ONE)
        with pytest.raises(Invalid, match="pod one is already assigned to node n1"):
            await stage["Pod"].change(ONE, lambda pod: pod.with_spec(nodeName="n2"), part="binding")

    run(main())


@pytest.mark.parametrize(
    ("asked_s", "phase", "placed", "expected"),
    [
        pytest.param(None, "Running", True, 30, id="what the pod asks for"),
        pytest.param(5, "Running", True, 5, id="what the client asks for"),
        pytest.param(0, "Running", True, None, id="at once"),
        pytest.param(None, "Succeeded", True, None, id="it has ended"),
        pytest.param(None, "Pending", False, None, id="it never ran"),
    ],
)
def test_how_long_a_pod_has_to_go(asked_s, phase, placed, expected):
    async def main():
        stage = Stage()
        await stage.rooms()
        await stage["Pod"].create(a_pod("one"))
        if placed:
            await place(stage, ONE)
            await stage["Pod"].change(ONE, lambda pod: pod.with_status(phase=phase), part="status")
        await stage["Pod"].delete(ONE, Deletion(grace_s=asked_s))
        left = stage["Pod"].find(ONE)
        assert (left.meta.grace_s if left else None) == expected

    run(main())


# -- columns -----------------------------------------------------------------------------------------------------------


def shown(status, *, deleting="", init=()):
    names = [entry["name"] for entry in status.get("containerStatuses", [{"name": "www"}])]
    spec = {"containers": [{"name": name} for name in names], "initContainers": list(init)}
    return Object(
        "Pod", Meta(name="p", created="2023-11-14T22:13:20Z", deleting=deleting), {"spec": spec, "status": status}
    )


def one(name="www", *, ready=False, restarts=0, last=None, **state):
    return {"name": name, "ready": ready, "restartCount": restarts, "state": state, "lastState": last or {}}


UP = one(ready=True, running={"startedAt": "2023-11-14T22:13:20Z"})
INIT = ({"name": "i1"}, {"name": "i2"})
NOT_YET = [{"type": "Initialized", "status": "False"}]


@pytest.mark.parametrize(
    ("pod", "ready", "word"),
    [
        (shown({"phase": "Pending"}), "0/1", "Pending"),
        (shown({"phase": "Pending", "containerStatuses": [one(waiting={"reason": "ContainerCreating"})]}), "0/1", "ContainerCreating"),
        (shown({"phase": "Running", "containerStatuses": [UP, UP | {"name": "b"}]}), "2/2", "Running"),
        (shown({"phase": "Running", "containerStatuses": [UP, one("b", waiting={"reason": "CrashLoopBackOff"})]}), "1/2", "CrashLoopBackOff"),
        (shown({"phase": "Pending", "containerStatuses": [one(waiting={"reason": "ErrImagePull"})]}), "0/1", "ErrImagePull"),
        (shown({"phase": "Succeeded", "containerStatuses": [one(terminated={"reason": "Completed", "exitCode": 0})]}), "0/1", "Completed"),
        (shown({"phase": "Failed", "containerStatuses": [one(terminated={"reason": "Error", "exitCode": 1})]}), "0/1", "Error"),
        (shown({"phase": "Failed", "containerStatuses": [one(terminated={"reason": "OOMKilled", "exitCode": 137})]}), "0/1", "OOMKilled"),
        (shown({"phase": "Failed", "containerStatuses": [one(terminated={"exitCode": 3})]}), "0/1", "ExitCode:3"),
        (shown({"phase": "Failed", "containerStatuses": [one(terminated={"exitCode": 0, "signal": 9})]}), "0/1", "Signal:9"),
        (shown({"phase": "Running", "containerStatuses": [one(terminated={"reason": "Completed"}), UP | {"name": "b"}], "conditions": [{"type": "Ready", "status": "True"}]}), "1/2", "Running"),
        (shown({"phase": "Running", "containerStatuses": [one(terminated={"reason": "Completed"}), UP | {"name": "b"}]}), "1/2", "NotReady"),
        (shown({"phase": "Running", "containerStatuses": [UP]}, deleting="x"), "1/1", "Terminating"),
        (shown({"phase": "Failed", "reason": "Evicted"}), "0/1", "Evicted"),
        (shown({"phase": "Pending", "initContainerStatuses": [one("i1", running={}), one("i2")], "conditions": NOT_YET}, init=INIT), "0/1", "Init:0/2"),
        (shown({"phase": "Pending", "initContainerStatuses": [one("i1", terminated={"exitCode": 0}), one("i2", waiting={"reason": "PodInitializing"})], "conditions": NOT_YET}, init=INIT), "0/1", "Init:1/2"),
        (shown({"phase": "Pending", "initContainerStatuses": [one("i1", waiting={"reason": "CrashLoopBackOff"})], "conditions": NOT_YET}, init=INIT), "0/1", "Init:CrashLoopBackOff"),
        (shown({"phase": "Pending", "initContainerStatuses": [one("i1", terminated={"exitCode": 2, "reason": "Error"})], "conditions": NOT_YET}, init=INIT), "0/1", "Init:Error"),
        (shown({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}), "0/1", "SchedulingGated"),
    ],
)  # fmt: skip
def test_ready_and_status(pod, ready, word):
    assert (columns.ready_cell(pod), columns.status_word(pod)) == (ready, word)


def test_restarts_say_how_long_ago():
    last = {"terminated": {"finishedAt": "2023-11-14T22:13:20Z"}}
    pod = shown({"phase": "Running", "containerStatuses": [UP | {"restartCount": 3, "lastState": last}]})
    assert columns.restarts_cell(pod, 1_700_000_005) == "3 (5s ago)"
    assert columns.restarts_cell(shown({"phase": "Running", "containerStatuses": [UP]}), 0) == "0"


def test_the_headings_are_kubectls():
    assert [column.name for column in columns.COLUMNS] == [
        "Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates",
    ]  # fmt: skip
    assert [column.priority for column in columns.COLUMNS] == [0, 0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("0", True), ("5", True), ("-5", True), ("2147483647", True), ("-2147483648", True),
        ("", False), ("+5", False), ("05", False), ("-0", False), ("many", False), ("2147483648", False),
    ],
)  # fmt: skip
def test_what_a_deletion_cost_may_be(text, fits):
    name = "controller.kubernetes.io/pod-deletion-cost"
    said = [] if fits else [(f"metadata.annotations[{name}]", f'Invalid value: "{text}": must be a 32bit integer')]
    pod = pods.default(a_pod("one").with_meta(annotations={name: text}))
    assert [(problem.field, problem.text) for problem in pods.validate(pod)] == said
    template = {"metadata": {"annotations": {name: text}}, "spec": pod.spec}
    found = rules.template_problems(template, "spec.template")
    assert [problem.field for problem in found] == ([] if fits else [f"spec.template.annotations[{name}]"])


ARMOR = "container.apparmor.security.beta.kubernetes.io/"


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("runtime/default", {"type": "RuntimeDefault"}),
        ("unconfined", {"type": "Unconfined"}),
        ("localhost/mine", {"type": "Localhost", "localhostProfile": "mine"}),
        ("", None),
    ],
)
def test_a_profile_in_an_annotation_becomes_the_containers(said, field):
    own = {"name": "own", "image": "i", "securityContext": {"appArmorProfile": {"type": "Unconfined"}}}
    pod = a_pod("web", containers=[{"name": "www", "image": "i"}, own])
    pod = pods.assign(pod.with_meta(annotations={f"{ARMOR}www": said, f"{ARMOR}own": "localhost/other"}), None, None)
    found = [(one.get("securityContext") or {}).get("appArmorProfile") for one in pod.spec["containers"]]
    assert found == [field, {"type": "Unconfined"}]


@pytest.mark.parametrize(
    ("name", "said", "text"),
    [
        ("www", "docker/default", 'Invalid value: "docker/default": invalid AppArmor profile name'),
        ("www", "localhost/", 'Invalid value: "localhost/": invalid AppArmor profile name'),
        ("other", "unconfined", 'Invalid value: "other": container not found'),
    ],
)
def test_a_profile_in_an_annotation_is_of_a_container_and_one_there_is(name, said, text):
    pod = pods.default(a_pod("web").with_meta(annotations={ARMOR + name: said}))
    assert [(one.field, one.text) for one in pods.validate(pod)] == [(f"metadata.annotations[{ARMOR}{name}]", text)]
