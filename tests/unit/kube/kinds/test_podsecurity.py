"""The standards of pod security: what violates which, in the words of Kubernetes, and what becomes of it."""

import pytest

from coracle.core.errors import Forbidden, Invalid
from coracle.core.object import Meta, Object
from coracle.core.store import to_entry
from coracle.kube.kinds.namespace import validate, validate_change
from coracle.kube.kinds.podsecurity.admission import enforced, warnings
from coracle.kube.kinds.podsecurity.standards import PREFIX, Standard, standard, told, violations
from coracle.testing.kube import a_pod, a_workload

HARDENED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
HARDENED_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
BASELINE, RESTRICTED = Standard("baseline"), Standard("restricted")


def container(name="a", **context):
    return {"name": name, "image": "i", "securityContext": context}


def hardened(*more, pod=None, **spec):
    return {"securityContext": HARDENED_POD | (pod or {}), "containers": [container(**HARDENED), *more], **spec}


def found(asked, spec, annotations=None):
    return told(violations(asked, annotations or {}, spec))


def port(name, *numbers):
    return {"name": name, "ports": [{"containerPort": 80, "hostPort": number} for number in numbers]}


APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [container(appArmorProfile={"type": "Unconfined"})]}, 'forbidden AppArmor profile (container "a" must not set AppArmor profile type to "Unconfined")'),
        ({"containers": [container(capabilities={"add": ["SYS_ADMIN", "CHOWN", "NET_RAW"]})]}, 'non-default capabilities (container "a" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)'),
        ({"hostNetwork": True, "hostPID": True, "hostIPC": False}, "host namespaces (hostNetwork=true, hostPID=true)"),
        ({"volumes": [{"name": "v", "hostPath": {}}, {"name": "w", "emptyDir": {}}, {"name": "x", "hostPath": {}}]}, 'hostPath volumes (volumes "v", "x")'),
        ({"initContainers": [port("i", 81)], "containers": [port("a"), port("b", 90, 81)]}, 'hostPort (containers "i", "b" use hostPorts 81, 90)'),
        ({"containers": [port("a", 80)]}, 'hostPort (container "a" uses hostPort 80)'),
        ({"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "::1"}}, "lifecycle": {"preStop": {"tcpSocket": {"host": "b"}}}}]}, 'probe or lifecycle host (container "a" uses probe or lifecycle hosts "::1", "b")'),
        ({"containers": [container(privileged=True), container("b", privileged=False)]}, 'privileged (container "a" must not set securityContext.privileged=true)'),
        ({"containers": [container(procMount="Unmasked")]}, 'procMount (container "a" must not set securityContext.procMount to "Unmasked")'),
        ({"containers": [container(procMount="Unmasked")], "hostUsers": False}, ""),
        ({"securityContext": {"seLinuxOptions": {"type": "x"}}, "containers": [container(seLinuxOptions={"user": "u", "role": "r"})]}, 'seLinuxOptions (pod and container "a" set forbidden securityContext.seLinuxOptions: type "x"; user may not be set; role may not be set)'),
        ({"securityContext": {"seLinuxOptions": {"type": "container_t", "level": "s0:c1"}}}, ""),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}, "containers": [container("a"), container("b", seccompProfile={"type": "Unconfined"})]}, 'seccompProfile (pod and container "b" must not set securityContext.seccompProfile.type to "Unconfined")'),
        ({"securityContext": {"sysctls": [{"name": "net.core.somaxconn"}, {"name": "net.ipv4.tcp_rmem"}, {"name": "kernel.msgmax"}]}}, "forbidden sysctls (net.core.somaxconn, kernel.msgmax)"),
        ({"containers": [container(windowsOptions={"hostProcess": True})]}, 'hostProcess (container "a" must not set securityContext.windowsOptions.hostProcess=true)'),
        ({"containers": [container()], "ephemeralContainers": [container("e", runAsUser=0)]}, ""),
    ],
)  # fmt: skip
def test_what_the_baseline_forbids(spec, expected):
    assert found(BASELINE, spec) == expected


def test_profiles_in_annotations_count_too():
    said = 'annotation must not set AppArmor profile type to "' + APPARMOR + 'a=\\"unconfined\\""'
    notes = {f"{APPARMOR}a": "unconfined", f"{APPARMOR}b": "runtime/default", f"{APPARMOR}c": "localhost/x"}
    assert found(BASELINE, {}, notes) == f"forbidden AppArmor profile ({said})"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (hardened(), ""),
        ({"containers": [container()]}, 'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'),
        (hardened(container("b", **HARDENED | {"capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]}})), 'unrestricted capabilities (container "b" must not include "CHOWN" in securityContext.capabilities.add)'),
        (hardened(volumes=[{"name": "v", "hostPath": {}}, {"name": "w", "nfs": {}}, {"name": "x", "secret": {}}]), 'restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")'),
        (hardened(pod={"runAsNonRoot": False}), 'runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)'),
        (hardened(container("b", **HARDENED, runAsNonRoot=False, runAsUser=0)), 'runAsNonRoot != true (container "b" must not set securityContext.runAsNonRoot=false), runAsUser=0 (container "b" must not set runAsUser=0)'),
        (hardened(pod={"runAsNonRoot": None, "runAsUser": 0}, hostUsers=False), ""),
        (hardened(container("b", **HARDENED, procMount="Unmasked"), hostUsers=False), 'procMount (container "b" must not set securityContext.procMount to "Unmasked")'),
        (hardened(pod={"seccompProfile": {"type": "Unconfined"}}), 'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'),
        (hardened(hostIPC=True), "host namespaces (hostIPC=true)"),
    ],
)  # fmt: skip
def test_what_the_restricted_standard_wants_besides(spec, expected):
    assert found(RESTRICTED, spec) == expected


def test_a_version_knows_what_was_known_then():
    probe = {"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "b"}}}]}
    assert found(Standard("baseline", "v1.33"), probe) == ""
    assert found(Standard("baseline", "v1.34"), probe)
    assert "capabilities" not in found(Standard("restricted", "v1.21"), {"containers": [container()]})
    assert found(Standard("privileged"), probe) == ""


@pytest.mark.parametrize(
    ("labels", "enforce", "warn"),
    [
        ({}, "privileged:latest", "privileged:latest"),
        ({"enforce": "baseline", "enforce-version": "v1.30"}, "baseline:v1.30", "baseline:v1.30"),
        ({"enforce": "baseline", "warn": "restricted"}, "baseline:latest", "restricted:latest"),
        ({"enforce": "baseline", "warn": "privileged"}, "baseline:latest", "privileged:latest"),
        ({"enforce": "none", "warn": "none", "enforce-version": "1"}, "restricted:latest", "privileged:latest"),
    ],
)
def test_what_a_namespace_asks_for(labels, enforce, warn):
    given = {PREFIX + name: value for name, value in labels.items()}
    assert (str(standard(given, "enforce")), str(standard(given, "warn"))) == (enforce, warn)


def namespace(revision=0, **labels):
    given = {PREFIX + name.replace("_", "-"): value for name, value in labels.items()}
    return Object("Namespace", Meta("room", labels=given, revision=revision))


def test_labels_nobody_knows_are_refused_where_they_are_new():
    said = ["must be one of privileged, baseline, restricted", 'must be "latest" or "v1.x"']
    wrong = namespace(enforce="strict", warn_version="1.30")
    assert [problem.text.split(": ")[-1] for problem in validate(wrong)] == said
    assert validate(namespace(1, enforce="strict")) == []
    assert validate_change(wrong, wrong, "main") == []
    assert len(validate_change(wrong, namespace(), "main")) == 2


class Room:
    """A namespace with pods in it."""

    def __init__(self, pods=(), **labels):
        self.namespace, self.pods = namespace(**labels), pods

    def find(self, type, key):
        return to_entry(self.namespace) if type == "Namespace" else None

    def entries(self, type, namespace=None):
        return [to_entry(pod) for pod in self.pods]


def test_a_pod_is_refused():
    with pytest.raises(Forbidden) as caught:
        enforced("create", a_pod("web", hostPID=True), None, Room(enforce="baseline", enforce_version="v1.36"))
    said = 'pods "web" is forbidden: violates PodSecurity "baseline:v1.36": host namespaces (hostPID=true)'
    assert str(caught.value) == said
    assert not isinstance(caught.value, Invalid)
    assert enforced("create", a_pod("web", hostPID=True), None, Room(warn="restricted"))


def test_a_pod_that_is_there_stays_until_it_has_other_containers():
    pod, room = a_pod("web", hostPID=True), Room(enforce="baseline")
    assert enforced("update", pod.with_meta(labels={"a": "b"}), pod, room)
    for changed in ({"containers": [container()]}, {"ephemeralContainers": [container("e")]}):
        with pytest.raises(Forbidden):
            enforced("update", pod.with_spec(**changed), pod, room)


def test_who_makes_such_pods_is_warned():
    new = a_workload("Deployment.apps")
    said = warnings(new, None, Room(enforce="restricted"))
    assert len(said) == 1
    assert said[0].startswith('would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false (')
    assert warnings(new, new, Room(enforce="restricted")) == []
    assert warnings(new, None, Room(enforce="restricted", warn="baseline")) == []


def test_who_makes_a_namespace_stricter_is_told_of_its_pods():
    pods = [a_pod(name, namespace="room", hostPID=True) for name in ("b", "a", "c")]
    pods += [a_pod("d", namespace="room"), a_pod("e", namespace="room", hostIPC=True, hostNetwork=True, volumes=[{"name": "v", "hostPath": {}}])]  # fmt: skip
    said = warnings(namespace(enforce="baseline"), namespace(), Room(pods))
    assert said == [
        'existing pods in namespace "room" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): host namespaces",
        "e: host namespaces, hostPath volumes",
    ]
    assert warnings(namespace(enforce="baseline"), namespace(enforce="restricted"), Room(pods)) == []
    assert warnings(namespace(enforce="baseline"), None, Room(pods)) == []
