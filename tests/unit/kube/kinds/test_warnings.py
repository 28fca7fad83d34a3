import pytest

from coracle.core.object import Meta, Object
from coracle.kube.kinds.warnings import warnings

TEMPLATED = {
    "Deployment": ("apps/v1", lambda spec: {"spec": {"template": {"spec": spec}}}, "spec.template.spec"),
    "CronJob": (
        "batch/v1",
        lambda spec: {"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}},
        "spec.jobTemplate.spec.template.spec",
    ),
    "PodTemplate": ("v1", lambda spec: {"template": {"spec": spec}}, "template.spec"),
}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
ZONE = "failure-domain.beta.kubernetes.io/zone"
OLD_ZONE = {"matchExpressions": [{"key": ZONE, "operator": "Exists"}]}
OLD = f'{ZONE} is deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"


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
        (a_pod().with_spec(affinity={"podAffinity": {REQUIRED: [{"topologyKey": "zone"}]}}),
         [f"spec.affinity.podAffinity.{REQUIRED}[0].labelSelector: a null labelSelector results in matching no pod"]),
        (a_pod().with_spec(affinity={"podAntiAffinity": {PREFERRED: [{"podAffinityTerm": {"topologyKey": "zone"}}]}}),
         [f"spec.affinity.podAntiAffinity.{PREFERRED}[0].podAffinityTerm.labelSelector: "
          "a null labelSelector results in matching no pod"]),
        (a_pod().with_spec(affinity={"podAffinity": {REQUIRED: [{"topologyKey": "zone", "labelSelector": {}}]}}), []),
        (a_pod().with_spec(imagePullSecrets=[{}]), ['spec.imagePullSecrets[0].name: invalid empty name ""']),
        (a_pod().with_spec(overhead={"memory": "1500m", "cpu": "1m"}),
         ['spec.overhead[memory]: fractional byte value "1500m" is invalid, must be an integer']),
        (a_pod().with_spec(terminationGracePeriodSeconds=-1),
         ["spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"]),
        (a_pod().with_spec(terminationGracePeriodSeconds=0), []),
        (a_pod().with_spec(nodeSelector={"beta.kubernetes.io/os": "linux", "kubernetes.io/os": "linux"}),
         ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead']),
        (a_pod().with_spec(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [OLD_ZONE]}}}),
         [f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0].key: {OLD}"]),
        (a_pod().with_spec(affinity={"nodeAffinity": {PREFERRED: [{"weight": 1, "preference": OLD_ZONE}]}}),
         [f"spec.affinity.nodeAffinity.{PREFERRED}[0].preference.matchExpressions[0].key: {OLD}"]),
        (a_pod().with_spec(topologySpreadConstraints=[{"topologyKey": ZONE, "labelSelector": {}}]),
         [f"spec.topologySpreadConstraints[0].topologyKey: {OLD}"]),
        (a_pod().with_meta(annotations={"scheduler.alpha.kubernetes.io/critical-pod": ""}),
         ["metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; "
          'use the "priorityClassName" field instead']),
        (a_pod().with_meta(annotations={SECCOMP: "x"}),
         [f'metadata.annotations[{SECCOMP}]: non-functional in v1.27+; use the "seccompProfile" field instead']),
        (a_pod().with_meta(annotations={SECCOMP: "x"}).with_spec(securityContext={"seccompProfile": {}}), []),
        (a_pod().with_meta(annotations={f"container.{SECCOMP[:-3]}c": "x"}),
         [f"metadata.annotations[container.{SECCOMP[:-3]}c]: non-functional in v1.27+; "
          'use the "seccompProfile" field instead']),
        (a_pod(securityContext={"seccompProfile": {}}).with_meta(annotations={f"container.{SECCOMP[:-3]}c": "x"}), []),
        (a_pod().with_meta(annotations={"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}),
         ["metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; "
          'use the "appArmorProfile" field instead']),
        (a_pod().with_spec(volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "gitRepo": {"repository": "x"}}]),
         ["spec.volumes[1].gitRepo: deprecated in v1.11"]),
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


def a_deployment(spec, generation=1):
    made = Object("Deployment", Meta(name="x", generation=generation), {}, "apps/v1")
    return made.with_spec(template={"spec": spec})


TWICE = ports({"containerPort": 80}, {"containerPort": 80})


def test_what_stays_as_it_was_asked_for_is_not_warned_of_again():
    assert warnings(a_deployment(TWICE.spec), a_deployment(TWICE.spec)) == []
    assert len(warnings(a_deployment(TWICE.spec, 2), a_deployment(a_pod().spec))) == 1


def test_pods_that_are_there_are_not_warned_of():
    assert warnings(TWICE.with_meta(generation=2), a_pod().with_meta(generation=1)) == []


DOTTED = (
    "[a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')]"
)


@pytest.mark.parametrize(
    ("kind", "api", "whose"),
    [
        ("Pod", "v1", "the Pod's hostname"),
        ("ReplicationController", "v1", "Pod names and hostnames"),
        ("Deployment", "apps/v1", "Pod names and hostnames"),
        ("ReplicaSet", "apps/v1", "Pod names and hostnames"),
        ("Job", "batch/v1", "Pod names and hostnames"),
        ("CronJob", "batch/v1", "Pod names and hostnames"),
        ("DaemonSet", "apps/v1", None),
        ("ConfigMap", "v1", None),
    ],
)
def test_names_that_make_odd_host_names(kind, api, whose):
    made = Object(kind, Meta(name="a.b"), {}, api)
    said = (
        f"metadata.name: this is used in {whose}, which can result in surprising behavior; a DNS label is recommended"
    )
    assert warnings(made) == ([f"{said}: {DOTTED}"] if whose else [])
    assert warnings(made.with_meta(name="a")) == []
    assert warnings(made.with_meta(generation=2), made.with_meta(generation=1)) == []


def a_wide_job(completions=100_001, parallelism=10_001, mode="Indexed"):
    return {"completions": completions, "parallelism": parallelism, "completionMode": mode}


@pytest.mark.parametrize(
    ("spec", "warned"),
    [
        (a_wide_job(), True),
        (a_wide_job(completions=100_000), False),
        (a_wide_job(parallelism=10_000), False),
        (a_wide_job(mode="NonIndexed"), False),
    ],
)
def test_jobs_that_are_hard_to_track(spec, warned):
    said = (
        "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes "
        "might not be able to track completedIndexes when a big number of indexes fail"
    )
    assert warnings(Object("Job", Meta(name="x"), {"spec": spec}, "batch/v1")) == ([f"spec: {said}"] if warned else [])
    cron = Object("CronJob", Meta(name="x"), {"spec": {"jobTemplate": {"spec": spec}}}, "batch/v1")
    assert warnings(cron) == ([f"spec.jobTemplate.spec: {said}"] if warned else [])


def test_stateful_sets():
    made = Object("StatefulSet", Meta(name="x"), {}, "apps/v1")
    assert warnings(made.with_spec(revisionHistoryLimit=0)) == []
    assert warnings(made.with_spec(revisionHistoryLimit=-1)) == [
        "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
    ]
    claim = {"spec": {"resources": {"requests": {"storage": "1500m"}}}}
    assert warnings(made.with_spec(volumeClaimTemplates=[claim])) == [
        'spec.volumeClaimTemplates[0].resources.requests[storage]: fractional byte value "1500m" is invalid, must be an '
        "integer"
    ]
