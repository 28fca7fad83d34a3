import pytest

from coracle.core.object import Meta, Object
from coracle.kube.kinds.podspec.warnings import warnings

TEMPLATED = {
    "Deployment": ("apps/v1", lambda spec: {"spec": {"template": {"spec": spec}}}, "spec.template.spec"),
    "CronJob": (
        "batch/v1",
        lambda spec: {"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}},
        "spec.jobTemplate.spec.template.spec",
    ),
    "PodTemplate": ("v1", lambda spec: {"template": {"spec": spec}}, "template.spec"),
}


def a_pod(**container):
    return Object("Pod", Meta(name="p"), {"spec": {"containers": [{"name": "c", "image": "busybox", **container}]}})


def ports(*given):
    return a_pod(ports=list(given))


def env(*given):
    return a_pod(env=[{"name": "PATH", "value": "/bin"}, *given])


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (a_pod(), []),
        (env({"name": "OTHER", "value": "x"}), []),
        (env({"name": "PATH", "value": "$(PATH):/opt"}), []),
        (env({"name": "PATH", "value": "/opt"}),
         ['spec.containers[0].env[1]: hides previous definition of "PATH", which may be dropped when using apply']),
        (env({"name": "PATH", "value": "$(PATH)"}),
         ['spec.containers[0].env[1]: hides previous definition of "PATH", which may be dropped when using apply']),
        (ports({"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}), []),
        (ports({"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}),
         ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"]),
        (ports({"containerPort": 80, "hostPort": 1}, {"containerPort": 80}),
         ["spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]"]),
        (ports({"containerPort": 80, "hostPort": 1}, {"containerPort": 80, "hostPort": 2}), []),
        (ports({"containerPort": 80, "hostPort": 1}, {"containerPort": 80, "hostPort": 1, "hostIP": "127.0.0.1"}),
         ["spec.containers[0].ports[1]: dangerously ambiguous port definition with spec.containers[0].ports[0]"]),
        (a_pod(resources={"limits": {"memory": "64m", "cpu": "100m"}}),
         ['spec.containers[0].resources.limits[memory]: fractional byte value "64m" is invalid, must be an integer']),
        (a_pod().with_spec(imagePullSecrets=[{"name": "a"}, {"name": "a"}]),
         ['spec.imagePullSecrets[1].name: duplicate name "a"']),
        (a_pod().with_spec(hostAliases=[{"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}]),
         ['spec.hostAliases[1].ip: duplicate ip "10.0.0.1"']),
        (a_pod().with_spec(topologySpreadConstraints=[{"topologyKey": "zone"}]),
         ["spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod"]),
    ],
)  # fmt: skip
def test_what_is_hardly_meant(pod, expected):
    assert warnings(pod) == expected


@pytest.mark.parametrize("kind", TEMPLATED)
def test_templates_are_looked_at_where_they_are(kind):
    api, body, at = TEMPLATED[kind]
    made = Object(kind, Meta(name="x"), body(ports({"containerPort": 80}, {"containerPort": 80}).spec), api)
    where = f"{at}.containers[0].ports"
    assert warnings(made) == [f"{where}[1]: duplicate port definition with {where}[0]"]


@pytest.mark.parametrize("body", [{}, {"spec": {}}, {"spec": {"template": {}}}, {"spec": {"template": "x"}}])
def test_what_makes_no_pods_is_not_warned_of(body):
    assert warnings(Object("ConfigMap", Meta(name="x"), body)) == []


def test_a_spec_that_stays_is_not_warned_of_again():
    twice = ports({"containerPort": 80}, {"containerPort": 80})
    assert warnings(twice.with_meta(labels={"a": "b"}), twice) == []
    assert warnings(twice, a_pod()) != []
